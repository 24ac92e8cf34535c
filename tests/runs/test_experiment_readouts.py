"""After a publication every running experiment is read, and what must stop is told once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from cli import app
from experiments.declaration import Experiment, Metric
from experiments.registry import load
from loaders.alerts.alert import AlertNotSentError
from loaders.experiments.daily_sums import SUMS
from loaders.experiments.readouts import SCHEMA
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import IncidentTable
from loaders.warehouse.ops import append_rows
from runs.experiment_alerts import raise_once
from runs.experiment_readouts import (
    Declared,
    NothingToReadError,
    declared_experiments,
    experiment_page,
    read_experiment,
    write_readouts,
)
from runs.rule_experiments import all_experiments
from segments.source import load_rules
from segue.settings import Settings
from tests.pages import typed
from tests.runbook.steps import says, step

START, LAST = date(2026, 9, 1), date(2026, 9, 20)
IS_PAID = {"mart": "fct_subscriber_daily", "day": "snapshot_date", "column": "is_paid", "aggregate": "any"}
PAID = Metric.model_validate({
    "id": "paid", "version": 1, "owner": "growth", "description": "–", "window_days": 7, "worse": "lower",
    "value": IS_PAID, "covariate_days": None,
})  # fmt: skip


def experiment(name: str) -> Experiment:
    return Experiment.model_validate({
        "id": name, "version": 1, "owner": "growth", "hypothesis": "–", "surface": "home", "salt": name,
        "variants": [{"name": "control", "percent": 50}, {"name": "shown", "percent": 50}],
        "control": "control",
        "metrics": [{"metric": "paid", "role": "success", "minimum_effect": 0.1}],
        "looks": [14, 20, 28], "start": START, "end": date(2026, 9, 20),
    })  # fmt: skip


DECLARED: Declared = (
    {name: experiment(name) for name in ("better", "worse", "lopsided", "mislogged", "nobody")},
    {"paid": PAID},
)
PAYERS = {"better": (30, 60), "worse": (60, 30), "lopsided": (30, 60), "mislogged": (30, 60)}
"""Of the hundred accounts that come into each arm on a day: those of control, and of the other."""


def mart_rows() -> list[tuple[Any, ...]]:
    """Exposures of twenty days, and what had become of them a week later."""
    rows = []
    for name, payers in PAYERS.items():
        for day in (START + timedelta(days=number) for number in range(20)):
            for arm, count in zip(("control", "shown"), payers, strict=True):
                units = 150 if (name, arm) == ("lopsided", "shown") else 100
                mismatches = 1 if name == "mislogged" else 0
                rows.append((name, arm, "exposures", day, units, mismatches, mismatches))
                rows.append((name, arm, "paid", day + timedelta(days=7), units, count, count))
    return [row for row in rows if row[3] <= LAST]


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    """A project with nothing but the published sums."""
    settings = world("readouts")
    publish_sums(settings)
    return settings


def publish_sums(settings: Settings) -> None:
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("marts")
    kinds = {"experiment_id": "STRING", "variant": "STRING", "metric": "STRING", "metric_date": "DATE"}
    kinds |= {"units": "INT64"} | dict.fromkeys(SUMS, "NUMERIC")
    table = warehouse.table("marts", "agg_experiment_daily")
    schema = [bigquery.SchemaField(name, kind) for name, kind in kinds.items()]
    warehouse.ensure_table(table, schema, partition_field="metric_date")
    values = ", ".join(
        f"('{name}', '{arm}', '{metric}', date '{day}', {units}, {y}, {yy})"
        for name, arm, metric, day, units, y, yy in mart_rows()
    )
    warehouse.run(
        f"insert into `{table}` (experiment_id, variant, metric, metric_date, units, sum_y, sum_yy) "
        f"values {values}"
    )
    published = {
        "run_date": LAST,
        "publication_id": "p",
        "mart": "agg_experiment_daily",
        "partition_date": LAST,
    }
    append_rows(warehouse, "publications", [published | {"published_at": datetime.now(UTC)}])


def readouts(settings: Settings) -> list[dict[str, Any]]:
    found = warehouse_of(settings).run(
        "select * from marts.experiment_readout order by readout_date, experiment_id"
    )
    return [dict(row) for row in found]


def alerts(settings: Settings) -> list[tuple[Any, ...]]:
    found = warehouse_of(settings).run(
        "select cause, run_date, opened_told, runbook from ops.incidents order by 1"
    )
    return [tuple(row.values()) for row in found]


TOLD: list[dict[str, Any]] = []


def note_down(alert: dict[str, Any]) -> None:
    TOLD.append(alert)


def fail(alert: dict[str, Any]) -> None:
    raise OSError(f"no network for {alert['cause']}")


def test_days_are_read_once_and_the_same_again_and_what_must_stop_is_told_one_time(
    settings: Settings,
) -> None:
    telling = settings.model_copy(update={"alert_callback": f"{__name__}:note_down"})

    # Published were two days; the last one adds up the same sums.
    written = write_readouts(telling, date(2026, 9, 14), date(2026, 9, 15), DECLARED)

    assert written.days == tuple(START + timedelta(days=number) for number in range(13, 20))
    rows = readouts(settings)
    assert written.rows == len(rows) == 7 * 4
    verdicts = {(row["readout_date"].day, row["experiment_id"]): row["verdict"] for row in rows}
    assert [verdicts[14, name] for name in PAYERS] == ["ship", "stop", "blocked", "blocked"]
    # Between the looks nothing is decided.
    assert [verdicts[15, name] for name in PAYERS] == ["keep running"] * 2 + ["blocked"] * 2
    [better] = [row for row in rows if row["readout_date"] == LAST and row["experiment_id"] == "better"]
    assert (better["exposed_accounts"], better["measured_accounts"]) == (2_000, 1_300)
    assert (better["control_value"], better["arm_value"], better["is_planned_look"]) == (0.3, 0.6, True)
    assert better["always_valid_low"] < better["difference_low"] < 0.3 < better["difference_high"]
    # As if nobody looked before or after: narrower than what is decided by.
    assert better["difference_low"] < better["fixed_interval_low"] < 0.3
    assert 0.3 < better["fixed_interval_high"] < better["difference_high"]
    assert better["reasons"][0].startswith("shown: paid improved: +100.00% [")
    told = [(f"experiment:{cause}", date(2026, 9, 14), '["callback"]', "experiment_must_stop") for cause in (
        "lopsided:v1:sample_ratio", "mislogged:v1:variant_mismatch", "worse:v1:harm:paid:shown"
    )]  # fmt: skip
    assert alerts(settings) == told
    assert sorted((each["cause"], each["owner"], each["day"]) for each in TOLD) == [
        (cause, "growth", "2026-09-14") for cause, *_ in told
    ]
    # In the words of the day's readout.
    reasons = {row["experiment_id"]: row["reasons"] for row in rows if row["readout_date"].day == 14}
    for each in TOLD:
        name, _, detail = each["what"].partition(" must stop: ")
        assert detail in reasons[name]

    # A retry, and a backfill of days before.
    assert write_readouts(telling, date(2026, 9, 14), date(2026, 9, 15), DECLARED).alerts == ()
    assert readouts(settings) == rows
    assert write_readouts(telling, date(2026, 9, 12), date(2026, 9, 12), DECLARED).alerts == ()
    assert [row for row in readouts(settings) if row["readout_date"] >= date(2026, 9, 14)] == rows
    assert (alerts(settings), len(TOLD)) == (told, 3)


def test_who_could_not_be_told_is_told_by_the_next_try(settings: Settings) -> None:
    broken = settings.model_copy(update={"alert_callback": f"{__name__}:fail"})
    telling = settings.model_copy(update={"alert_callback": f"{__name__}:note_down"})
    [*_, alert] = write_readouts(settings, LAST, LAST, other_version()).alerts

    again = replace(alert, experiment_version=3)
    with pytest.raises(AlertNotSentError, match=r"^experiment:mislogged:v3:.*:fail: OSError$"):
        raise_once(broken, [again])
    assert raise_once(telling, [again]) == [again]
    assert raise_once(telling, [again]) == []


def other_version(**changes: Any) -> Declared:
    """A new version of an experiment is another one."""
    return {"mislogged": DECLARED[0]["mislogged"].model_copy(update={"version": 2} | changes)}, DECLARED[1]


def test_an_experiment_that_was_ended_needs_no_stopping_any_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read until its last look, and nobody is told again of what is over."""
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    monkeypatch.setattr("runs.experiment_readouts.declared_experiments", lambda _: DECLARED)
    write_readouts(settings, LAST, LAST, other_version(version=5))
    incidents = IncidentTable(warehouse_of(settings))
    [told] = [each.incident for each in incidents.live() if each.is_open]
    assert (told.cause, told.runbook) == ("experiment:mislogged:v5:variant_mismatch", "experiment_must_stop")

    readout = step("experiment_must_stop", "segue experiments readout ID", {"ID": "mislogged"})
    assert "blocked:" in CliRunner().invoke(app, readout).stdout
    says("experiment_must_stop", "Set its `end` to the last day on which somebody was exposed")
    ended = other_version(version=6, end=LAST - timedelta(days=1))
    written = write_readouts(settings, LAST, LAST, ended)

    assert (written.experiments, written.alerts) == (("mislogged",), ())
    assert [each for each in incidents.live() if each.is_open] == []


def test_one_experiment_is_read_by_its_name_and_day(settings: Settings) -> None:
    assert read_experiment(settings, "better", date(2026, 9, 14), DECLARED).readout.verdict == "ship"
    assert read_experiment(settings, "better", date(2027, 1, 1), DECLARED).day == LAST
    with pytest.raises(NothingToReadError, match="nobody was exposed to nobody by 2026-09-20"):
        read_experiment(settings, "nobody", declared=DECLARED)
    with pytest.raises(NothingToReadError, match="wrose is not declared; there are better, worse, "):
        read_experiment(settings, "wrose", declared=DECLARED)


def test_a_page_has_every_look_and_the_last_day_however_long_it_ran(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = experiment_page(settings, "better", date(2026, 9, 16), DECLARED)
    monkeypatch.setattr("runs.experiment_readouts.PAGE_DAYS", 4)
    thinned = experiment_page(settings, "better", date(2027, 1, 1), DECLARED)

    assert "Verdict on 2026-09-16</h2>" in whole
    assert "<dt>looks</dt><dd>after 14, 20, 28 days</dd>" in whole
    assert days_of(whole) == [date(2026, 9, number) for number in range(1, 17)]
    # Every fifth day back from the last, and the look after fourteen.
    assert days_of(thinned) == [date(2026, 9, number) for number in (5, 10, 14, 15, 20)]
    with pytest.raises(NothingToReadError, match="nobody was exposed to nobody by 2026-09-20"):
        experiment_page(settings, "nobody", declared=DECLARED)


READ_AS_SHOWN = [
    ("README.md", "segue experiments readout holdout-global"),
    ("docs/demo.md", "segue experiments readout paywall-yearly-price"),
    ("docs/experiments.md", "segue experiments readout trial-length-2026"),
    ("docs/experiments.md", "segue experiments readout holdout-global --day 2026-11-20 --json"),
    ("docs/experiments.md", "segue experiments page trial-length-2026 --out trial-length.html"),
]
OF_THE_PAGES = ("holdout-global", "paywall-yearly-price", "trial-length-2026")


@pytest.mark.parametrize(("page", "command"), READ_AS_SHOWN)
def test_what_the_pages_show_reads_the_newest_published_day(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, command: str
) -> None:
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    monkeypatch.setattr("runs.experiment_readouts.declared_experiments", lambda _: DECLARED)
    html = tmp_path / "trial-length.html"
    here = dict.fromkeys(OF_THE_PAGES, "better") | {"trial-length.html": str(html)}

    done = CliRunner().invoke(app, typed(page, command, here))

    assert done.exit_code == 0, done.output
    said = html.read_text() if html.exists() else done.stdout
    assert "better" in said
    assert str(LAST) in said


def days_of(page: str) -> list[date]:
    """The days of the table of a page's only metric."""
    found = re.findall(r'<th scope="row">(2026-\d\d-\d\d)</th>', page)
    return [date.fromisoformat(each) for each in found]


def test_nothing_is_read_before_anything_is_published(
    world: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = world("no-sums")

    monkeypatch.setattr("segue.settings.get_settings", lambda: empty)
    monkeypatch.setattr("runs.experiment_readouts.declared_experiments", lambda _: DECLARED)

    def asked() -> Result:
        return CliRunner().invoke(app, ["experiments", "readout", "better"])

    assert write_readouts(empty, LAST, LAST, DECLARED).summary() == "no sums are published yet"
    refused = asked()
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (
        3, "nothing_to_read: agg_experiment_daily was never published",
    )  # fmt: skip

    assert "better v1" in CliRunner().invoke(app, step("nothing_to_read", "segue experiments list")).stdout
    says("nothing_to_read", "*was never published*: publish a day")
    publish_sums(empty)
    assert "ship:" in asked().stdout


def test_every_column_is_described() -> None:
    assert [field.name for field in SCHEMA if not field.description] == []


def test_active_rules_that_hold_somebody_out_have_a_standing_experiment() -> None:
    book = load_rules()
    found = all_experiments(load(), book)

    assert [name for name in found if name.startswith("holdout-")] == [
        "holdout-global", *(f"holdout-{rule.id}" for rule in book.active if rule.holdout.local_buckets)
    ]  # fmt: skip
    whole = found["holdout-global"]
    assert whole.salt == book.program.global_holdout.salt
    assert whole.design(load().metrics).allocation == {"held_out": 2, "served": 98}
    assert list(declared_experiments(Settings(_env_file=None))[0]) == list(found)
