"""The page for rule authors says what is so: its commands are run, its tables are those of the code."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from cli.plan_report import lines, wrapped
from cli.segments import app
from runs.plan_effects import Move, Plan, RulePlan
from segments import artifacts
from segments.features import FEATURES
from segments.lint import Check
from segments.predicate import ALL_OPERATORS
from segments.rule import Rule
from segments.source import RULES_DIR
from segments.steps import Reason
from segue.settings import PROJECT_ROOT
from tests.cli.test_new_rule import TUTORIAL_ANSWERS
from tests.pages import typed

PAGE = (PROJECT_ROOT / "docs/segments.md").read_text()
FEATURE_COLUMNS = PROJECT_ROOT / "dbt/models/marts/segments/fct_account_features.yml"
RULE = "weekend_listener"


def output_of(command: str) -> str:
    """What the page says that a command prints."""
    found = re.search(rf"^\$ uv run {re.escape(command)}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, command
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = PAGE.split(f"\n{heading}\n")[1]
    table = re.search(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands read and write, copied but for what the tutorial may have left."""
    rules = tmp_path / "segments/rules"
    shutil.copytree(RULES_DIR, rules, ignore=shutil.ignore_patterns(f"{RULE}.yml"))
    monkeypatch.setattr("segments.source.RULES_DIR", rules)
    for name in ("MACROS_FILE", "SCHEMA_FILE", "LOCK_FILE"):
        path: Path = getattr(artifacts, name)
        copy = tmp_path / path.relative_to(PROJECT_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        monkeypatch.setattr(artifacts, name, copy)
    monkeypatch.setattr("segments.versions.LOCK_FILE", artifacts.LOCK_FILE)
    return tmp_path


@pytest.fixture
def segments(checkout: Path) -> Callable[..., str]:
    """``segue segments …`` there, with output as from the project's folder."""

    def run(*arguments: str, answers: str | None = None) -> str:
        done = CliRunner().invoke(app, list(arguments), input=answers)
        return done.output.replace(f"{checkout}/", "")

    return run


def test_the_tutorial_gives_what_it_says(segments: Callable[..., str], checkout: Path) -> None:
    segments("compile")
    assert segments("new", answers=TUTORIAL_ANSWERS) == output_of("segue segments new")

    file = checkout / f"segments/rules/{RULE}.yml"
    [written] = re.findall(
        rf"^```yaml\n(# yaml-language-server.*?^id: {RULE}\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )
    assert file.read_text() == written

    right = file.read_text()
    file.write_text(right.replace("[50, 199]", "[199, 50]"))
    assert segments("lint") == output_of("segue segments lint")

    file.write_text(right)
    assert segments("lint") == "0 errors, 0 warnings\n"
    said = output_of("segue segments compile")
    assert segments("compile") == said

    (checkout / "merged.lock").write_text((PROJECT_ROOT / "segments/versions.lock").read_text())
    of_the_page = "segue segments compile --merged merged.lock"
    _, *compiled = typed("docs/segments.md", of_the_page, {"merged.lock": checkout / "merged.lock"})
    assert segments(*compiled).splitlines()[-1] == said.splitlines()[-1]


def test_the_plan_of_the_tutorial_is_written_as_plans_are() -> None:
    """Its numbers are of a day of the generated company; rules left out are a line with three dots."""
    shown = output_of("segue segments plan").splitlines()
    title = re.fullmatch(r"(\S+): ([\d,]+) of ([\d,]+) accounts with offers, ([\d,]+) before", shown[0])
    assert title is not None
    end = shown.index("", 2)
    plans: list[dict[str, Any]] = []
    for line in shown[3:end]:
        if re.fullmatch(r"[a-z0-9_]+", line):
            plans.append({"rule_id": line, "remark": []})
        elif match := re.fullmatch(r" *(?:(\d+|–) → )?(\d+|–)((?: +[\d,]+){6})", line):
            counts = [int(number.replace(",", "")) for number in match[3].split()]
            names = ("qualifying", "now", "control", "before", "gained", "lost")
            version = None if match[2] == "–" else int(match[2])
            plans[-1] |= {"version": version, "version_before": int(match[1]) if match[1] else version}
            plans[-1] |= dict(zip(names, counts, strict=True))
        elif line != "…":
            plans[-1]["remark"].append(line.strip())
    sections: dict[str, list[str]] = {}
    for line in shown[end + 1 :]:
        if line and not line.startswith(" "):
            heading = sections.setdefault(line, [])
        elif line.startswith("    "):
            heading[-1] += f" {line.strip()}"
        elif line:
            heading.append(line.strip())
    told = (
        "What accounts get instead", "Places that are taken and shown nothing in, or left",
        "Who qualifies for two rules", "Content that cannot be shown", "What nobody else knows",
    )  # fmt: skip
    assert list(sections) == [heading for heading in told if heading in sections]
    moves, places, overlaps, contents, unknowns = (tuple(sections.get(heading, ())) for heading in told)
    day, offers, accounts, before = (part.replace(",", "") for part in title.groups())
    plan: Any = Plan(
        date.fromisoformat(day), int(accounts), int(offers), int(before),
        tuple(
            RulePlan(content_refusals={}, **(each | {"remark": " ".join(each["remark"]) or None}))
            for each in plans
        ),
        overlaps, moves, places, (), contents, unknowns,  # type: ignore[arg-type]
    )  # fmt: skip

    assert list(lines(plan, 80)) == [line for line in shown if line != "…"]


def test_the_page_says_as_a_plan_does_who_takes_accounts_from_whom() -> None:
    offer, taken = "trial-30-days", Reason.LOST_EXCLUSIVITY
    move = Move("trial_for_engaged_free", offer, taken, RULE, offer, is_shown=True, accounts=206)

    assert "\n".join(wrapped(str(move), 80, "  ")) in PAGE


def test_every_command_is_listed() -> None:
    commands = {f"segue segments {name}" for name in get_command(app).commands}  # type: ignore[attr-defined]

    assert {re.sub(r"`| \[?[A-Z]+\]?", "", cells[0]) for cells in rows("### Commands")} == commands


def test_every_field_of_a_rule_is_listed() -> None:
    listed = [name for cells in rows("### Fields of a rule") for name in re.findall(r"`(\w+)`", cells[0])]

    assert sorted(listed) == sorted(Rule.model_fields)


def test_every_feature_is_listed_as_its_column_is_described() -> None:
    [model] = yaml.safe_load(FEATURE_COLUMNS.read_text())["models"]
    described = {column["name"]: column["description"] for column in model["columns"]}

    assert rows("### Predicates") == [[f"`{name}`", kind, described[name]] for name, kind in FEATURES.items()]
    assert set(ALL_OPERATORS) <= set(re.findall(r"`(\w+)`", PAGE.split("\n### Predicates\n")[1]))


def test_every_check_of_the_lint_is_listed() -> None:
    assert [cells[0] for cells in rows("### What the lint finds")] == [
        f"`{name}`" for name in get_args(Check)
    ]


def test_every_reason_is_listed_in_the_order_of_decision() -> None:
    listed = [
        code for cells in rows("### How it is decided") for code in re.findall(r"`([A-Z_]{5,})`", cells[1])
    ]

    assert listed == [reason.value for reason in Reason]
