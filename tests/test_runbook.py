"""The runbook has an entry for every failure that has a name, and what the entries say to do ends it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from loaders.bigtable.errors import LoadCode
from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.read_days import deliveries_of
from loaders.objects.folder import FolderStore
from loaders.objects.store import ABSENT
from local.site.errors_page import named_errors
from runs.failures import describe, foreseen
from runs.handover import left_by
from runs.incidents import WATCHED
from runs.steps import asked_by_trigger
from segments.rule import Rule
from segments.source import parse
from segue.errors import SegueError
from segue.settings import PROJECT_ROOT, Settings, get_settings
from segue_client.errors import SegueClientError
from serving.service.callers import Callers
from serving.service.certificates import server_credentials
from tests.certificates import Authority
from tests.loaders.landing.rates import declare, declared, deliver
from tests.segments.test_source import RULE

RUNBOOK = (PROJECT_ROOT / "docs" / "runbook.md").read_text()
SECTION = re.compile(r"^## (.*)$", flags=re.MULTILINE)
ENTRY = re.compile(r"^### (.*)$", flags=re.MULTILINE)
PARTS = ["**Seen:** ", "**Still served:** ", "1. ", "**Over when:** ", "**Owner:** "]
DAY = date(2026, 3, 1)


def parts_of(heading: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """(heading, what stands below it), in order."""
    split = heading.split(text)[1:]
    return list(zip(split[::2], split[1::2], strict=True))


SECTIONS = {
    section: [code for code, _ in parts_of(ENTRY, below)] for section, below in parts_of(SECTION, RUNBOOK)
}
ENTRIES = [entry for _, below in parts_of(SECTION, RUNBOOK) for entry in parts_of(ENTRY, below)]


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


Trial = tuple[Callable[[], object], Callable[[], object]]
"""What fails, and what its entry says to do about it."""
Drill = Callable[[Path, pytest.MonkeyPatch], Trial]


def wrong_setting(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "a fortnight")

    def read() -> Settings:
        get_settings.cache_clear()
        return get_settings()

    return read, lambda: monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "14")


def impossible_days(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    ends: dict[str, str | None] = {"start_date": "2026-03-01", "end_date": None}
    settings = Settings(_env_file=None)
    return (
        lambda: asked_by_trigger(settings, ends["start_date"], ends["end_date"], None),
        lambda: ends.update(end_date="2026-03-02"),
    )


def nothing_left(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    left: list[str | None] = [None]
    return lambda: left_by("build", "validate", left), lambda: left.append("the window of the build")


def landing_refused(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    settings = Settings(_env_file=None, landing_files_uri=folder.as_uri())
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"), declared(DAY, "SEK", file="p1.ndjson"))
    arrivals = Arrivals(date(2020, 1, 1), {}, {"fx_rates": frozenset([DAY])})
    return (
        lambda: deliveries_of(settings, arrivals, [CONTRACTS["fx_rates"]], [DAY]),
        lambda: deliver(settings, DAY, "SEK", file="p1.ndjson"),
    )


def object_conflict(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    store, known = FolderStore(folder), {"generation": ABSENT}
    store.write("state", b"another's")

    def look_again() -> None:
        known["generation"] = store.read("state")[1]

    return lambda: store.write("state", b"mine", replacing=known["generation"]), look_again


def rule_files(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    file = folder / "winback.yml"
    file.write_text(RULE.replace("has_ever_paid", "has_ever_payed"))
    return lambda: parse(file, Rule), lambda: file.write_text(RULE)


def callers_file(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    path = folder / "callers.yml"
    add = ["callers", "add", "checkout", "--file", str(path)]
    assert CliRunner().invoke(cli.app, add).exit_code == 0
    running, right = Callers(path), path.read_text()
    path.write_text("callers: [")
    return running.reload_if_changed, lambda: path.write_text(right + "\n")


def service_configuration(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    certificate, key = Authority(folder).issue("service")
    right = certificate.read_bytes()
    certificate.write_text("no certificate")
    settings = Settings(_env_file=None, service_certificate_file=certificate, service_key_file=key)
    return lambda: server_credentials(settings), lambda: certificate.write_bytes(right)


def file_system(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    target = folder / "not yet" / "page.html"
    return lambda: target.write_text("page"), lambda: target.parent.mkdir()


DRILLS = [
    wrong_setting, impossible_days, nothing_left, landing_refused, object_conflict, rule_files, callers_file,
    service_configuration, file_system,
]  # fmt: skip


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.__name__)
def test_what_an_entry_says_ends_the_failure(
    drill: Drill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, mend = drill(tmp_path, monkeypatch)

    with pytest.raises((SegueError, SegueClientError, OSError)) as failed:
        attempt()
    failure = foreseen(failed.value)
    assert failure is not None
    lines = describe(failure)
    assert lines[0].startswith(f"{drill.__name__}: ")
    assert lines[-1] == f"see docs/runbook.md#{drill.__name__}"

    mend()
    attempt()
    get_settings.cache_clear()


ENDED_ELSEWHERE = {
    "validation_failed": "expectations/test_gate.py::"
    "test_revenue_at_a_rate_that_nobody_tells_any_more_stops_the_run",
    "publication_refused": "runs/test_publish.py::test_a_changed_column_is_named_and_nothing_is_published",
    "nothing_published": "segue_client/test_reader.py::"
    "test_nothing_published_and_no_table_are_errors_not_unknown_accounts",
    "job_adrift": "loaders/warehouse/test_jobs.py::test_a_job_that_cannot_be_cancelled_either_is_named",
}
"""Tests that cause a failure in a world of an emulator, and do what the entry says until it is over."""

CAUSED_ELSEWHERE = {
    "warehouse": "loaders/warehouse/test_jobs.py",
    "service_unavailable": "cli/test_failures.py",
    "object_store": "loaders/objects/test_store.py",
    "landing_reader_killed": "loaders/landing/test_reader.py",
    "content": "loaders/cms/test_contentful.py",
    "build_failed": "dbt/test_rebuilding.py",
    "dbt_project": "runs/test_placement.py",
    "other_project": "runs/test_verdict.py",
    "not_built": "runs/test_verdict.py",
    "unjudged": "runs/test_verdict.py",
    "nothing_to_plan": "runs/test_segment_plan.py",
    "no_table": "loaders/bigtable/test_generations.py",
    "not_published": "loaders/bigtable/test_segments.py",
    "empty_partition": "loaders/bigtable/test_load.py",
    "invalid_row": "loaders/bigtable/test_load.py",
    "source": "loaders/bigtable/test_segments.py",
    "changed": "loaders/bigtable/test_load.py",
    "refused": "loaders/bigtable/test_load.py",
    "unacknowledged": "loaders/bigtable/test_writer.py",
    "overtaken": "loaders/bigtable/test_load.py",
    "incomplete": "loaders/bigtable/test_load.py",
    "not_verified": "loaders/bigtable/test_load.py",
    "not_replicated": "loaders/bigtable/test_replication.py",
    "not_retained": "loaders/bigtable/test_generations.py",
    "worker_died": "serving/service/test_workers.py",
    "invalid_account_id": "segue_client/test_row_key.py",
    "invalid_request": "serving/service/test_service.py",
    "lookup_failed": "segue_client/test_remote.py",
    "unavailable": "segue_client/test_remote.py",
    "timeout": "segue_client/test_remote.py",
    "not_authenticated": "serving/service/test_service.py",
    "rate_limited": "serving/service/test_service.py",
    "unreadable_offers": "serving/service/test_messages.py",
    "declarations": "experiments/test_declarations.py",
    "outside_file": "loaders/experiments/test_read_units.py",
    "model_artifact": "scoring/test_artifact.py",
    "model_decision": "runs/test_model_decisions.py",
    "training": "runs/test_model_decisions.py",
    "unknown_model": "runs/test_model_decisions.py",
    "tree_library": "scoring/test_artifact.py",
    "scoring": "loaders/scoring/test_scores.py",
    "trees_too_large": "scoring/test_sql.py",
    "nothing_to_read": "runs/test_experiment_readouts.py",
    "alert_not_sent": "loaders/alerts/test_channels.py",
    "marts_late": "runs/test_incidents.py",
    "segments_late": "runs/test_incidents.py",
    "fault": "runs/test_incidents.py",
    "feed_stale": "runs/test_day_watch.py",
    "volume": "runs/test_day_watch.py",
    "experiment_must_stop": "runs/test_experiment_readouts.py",
    "model_drift": "runs/test_model_watch.py",
    "rules_too_many": "segments/test_statement.py",
    "answer": "cli/test_new_rule.py",
    "query": "cli/test_query.py",
    "not_a_query": "cli/test_query.py",
    "not_confirmed": "cli/test_query.py",
    "usage": "cli/test_query.py",
    "not_erased": "loaders/erasure/test_erase.py",
    "account_was_merged": "loaders/erasure/test_every_feed.py",
    "embedded_service": "local/services/test_service.py",
    "not_an_emulator": "local/test_sandbox.py",
}
"""Modules whose tests cause a failure and see that it is refused."""

CAUSED_NOWHERE = {"demo_failed", "ledger", "moved"}
"""Failures that no test causes yet: nobody may join them without a word here."""


def test_it_is_known_of_every_code_whether_a_test_causes_it() -> None:
    told = [*(drill.__name__ for drill in DRILLS), *ENDED_ELSEWHERE, *CAUSED_ELSEWHERE, *CAUSED_NOWHERE]

    assert sorted(told) == sorted(code for code, _ in ENTRIES)


@pytest.mark.parametrize("test", ENDED_ELSEWHERE.values(), ids=list(ENDED_ELSEWHERE))
def test_the_test_that_is_named_is_there(test: str) -> None:
    file, name = test.split("::")
    module = ast.parse((PROJECT_ROOT / "tests" / file).read_text())

    assert name in {each.name for each in module.body if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("code", CAUSED_ELSEWHERE)
def test_the_module_that_is_named_speaks_of_the_failure(code: str) -> None:
    text = (PROJECT_ROOT / "tests" / CAUSED_ELSEWHERE[code]).read_text()
    names = {error.code: error.__name__ for error in named_errors()}

    assert any(
        each in text for each in (f"LoadCode.{code.upper()}", f"{code}:", names.get(code, code), f'"{code}"')
    )
