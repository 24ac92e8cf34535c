"""The runbook has an entry for every failure that has a name, and each says all that is needed."""

from __future__ import annotations

import re

import pytest

from loaders.bigtable.errors import LoadCode
from local.site.errors_page import named_errors
from runs.incidents import WATCHED
from segue.settings import PROJECT_ROOT, Settings
from tests.runbook.entries import ENTRIES, RUNBOOK, SECTIONS

PARTS = ["**Seen:** ", "**Still served:** ", "1. ", "**Over when:** ", "**Owner:** "]


def test_every_code_has_one_entry_and_no_entry_is_of_a_code_that_is_gone() -> None:
    codes = [*(error.code for error in named_errors()), *(code.value for code in LoadCode), *WATCHED]

    assert sorted(code for code, _ in ENTRIES) == sorted(codes)


def test_an_entry_says_all_that_is_needed_in_one_order() -> None:
    for code, entry in ENTRIES:
        assert not entry.strip().startswith("**"), f"{code}: what it means comes first"
        places = [entry.find(f"\n{part}") for part in PARTS]
        assert -1 not in places, f"{code} lacks {PARTS[places.index(-1)]}"
        assert places == sorted(places), code


def test_the_entries_go_by_step() -> None:
    assert list(SECTIONS) == [
        "Anywhere", "Land", "Build", "Validate", "Publish", "Load", "Watch", "Serve", "Experiments", "Models",
        "Offer rules", "Ask", "Erase", "Embedded",
    ]  # fmt: skip


def test_every_setting_that_an_entry_names_is_one() -> None:
    named = set(re.findall(r"SEGUE_[A-Z_]+", RUNBOOK)) - {"SEGUE_ENV_FILE"}

    assert named <= {f"SEGUE_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    "dag",
    [
        "content",
        "daily_marts",
        "day_watch",
        "experiment_readouts",
        "model_watch",
        "offer_segments",
        "restate_range",
        "train_models",
    ],
)
def test_a_dag_names_codes_that_the_runbook_has_and_leads_there(dag: str) -> None:
    text = (PROJECT_ROOT / "dags" / f"{dag}.py").read_text()
    table = re.findall(r"^\| (`?\w+`?) \| (`.*`) \|$", text, flags=re.MULTILINE)

    assert "docs/runbook.md#code" in text
    named = {code for _, codes in table for code in re.findall(r"`(\w+)`", codes)}
    assert named <= {code for code, _ in ENTRIES}
    tasks = {task.strip("`") for task, _ in table} - {"any"}
    assert all(f"`{task}`" in text for task in tasks)


@pytest.mark.parametrize(
    ("dag", "sections"),
    [
        ("daily_marts", ["Land", "Build", "Validate", "Publish"]),
        ("offer_segments", ["Load"]),
    ],
)
def test_a_dag_names_all_codes_of_its_steps(dag: str, sections: list[str]) -> None:
    text = (PROJECT_ROOT / "dags" / f"{dag}.py").read_text()
    elsewhere = {"content", "nothing_to_plan", "not_retained", "moved"}

    for section in sections:
        assert [code for code in SECTIONS[section] if f"`{code}`" not in text and code not in elsewhere] == []
