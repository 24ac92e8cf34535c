"""The pages of runs that are of no single day: a range that is built in chunks, and a training."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from loaders.scoring.registry import record
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables, insert_rows
from scoring.registry import DecisionKind, ModelDecision
from segue.settings import Settings
from segue.window import DAY
from tests.ui.browser import browser_of
from ui.day import read_day
from ui.other_runs import run_chunks
from ui.reading import Reading
from ui.visitor import Visitor

MARCH_1 = date(2026, 3, 1)
MARCH_2, MARCH_3 = MARCH_1 + DAY, MARCH_1 + 2 * DAY
RANGE, TRAINING = "manual__2026-03-09T00:00:00+00:00", "backfill__2026-03-02T10:00:00+00:00"
OLDER, NEWER = "audit_20260301_20260309060000_0a0b", "audit_20260303_20260309070000_0c0d"


def moment(minute: int) -> datetime:
    return datetime(2026, 3, 9, 6, minute, tzinfo=UTC)


def step(name: str, minute: int, first: date, last: date, attempt: str, **other: Any) -> dict[str, Any]:
    row = {
        "run_date": last, "run_id": RANGE, "step": name, "state": "done", "code": None,
        "dag_id": "restate_range", "asked_end_date": last,
        "start_date": first, "end_date": last, "as_of_date": last, "attempt": attempt, "seconds": 30.0,
        "summary": f"{name} is done", "warnings": "[]", "started_at": moment(0),
        "finished_at": moment(minute),
    }  # fmt: skip
    return row | other


def decision(kind: DecisionKind, *reasons: str, by: str = f"train_models {TRAINING}") -> ModelDecision:
    return ModelDecision(
        model="churn_risk", version=2, artifact="82397766c92e", artifact_uri="gs://models/82397766c92e",
        decision=kind, reasons=reasons, day=MARCH_2, decided_at=moment(0), decided_by=by,
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    """The first two days of a range are published; its third restates the second, and failed."""
    made = world("other-runs", history_start_date=MARCH_1)
    warehouse = warehouse_of(made)
    ensure_ops_tables(warehouse)
    insert_rows(
        warehouse,
        "run_steps",
        [
            step("build", 1, MARCH_1, MARCH_2, OLDER, state="failed", code="build_failed"),
            step("build", 2, MARCH_1, MARCH_2, OLDER, seconds=45.0),
            step("publish", 3, MARCH_1, MARCH_2, OLDER),
            step("build", 4, MARCH_2, MARCH_3, NEWER),
            step("validate", 5, MARCH_2, MARCH_3, NEWER, state="failed", code="validation_failed"),
        ],
    )
    published = {
        "run_date": MARCH_2, "publication_id": "p", "mart": "dim_account", "partition_date": MARCH_2,
        "row_count": 3, "as_of_date": MARCH_2, "published_at": moment(3), "attempt": OLDER,
    }  # fmt: skip
    append_rows(warehouse, "publications", [published])
    record(
        warehouse,
        [
            decision("trained", "of 1,204 examples"),
            decision("refused", "has 1,204 examples; 2,000 are asked"),
            decision("retired", "the offer is over", by="somebody"),
        ],
    )
    return made


def look(settings: Settings, path: str) -> str:
    return browser_of(settings)(Visitor("somebody")).get(path).text


def test_a_chunk_is_published_or_failed_by_the_last_try_of_its_steps(settings: Settings) -> None:
    chunks = run_chunks(Reading(warehouse_of(settings)), RANGE)

    assert [(each.start_date, each.end_date, each.state, each.seconds) for each in chunks] == [
        (MARCH_1, MARCH_2, "published", 75.0),
        (MARCH_2, MARCH_3, "failed", 60.0),
    ]


def test_the_run_of_a_range_shows_how_far_it_is_and_leads_to_its_days(settings: Settings) -> None:
    shown = look(settings, f"/dags/restate_range/runs/{RANGE.replace('+', '%2B')}")

    assert "1 of 2 chunks that have begun are published" in shown
    assert "validation_failed" in shown
    assert f"/days/2026-03-02?run_id={RANGE.replace('+', '%2B').replace(':', '%3A')}" in shown


def test_the_page_of_a_day_shows_the_chunk_that_published_it_and_not_the_next_one(
    settings: Settings,
) -> None:
    reading = Reading(warehouse_of(settings))

    for run_id in (None, RANGE):
        day = read_day(reading, MARCH_2, run_id)
        assert (day.attempt, day.state, day.start_date, day.end_date) == (
            OLDER, "published", MARCH_1, MARCH_2,
        )  # fmt: skip
        assert [(each.step, each.state, each.seconds) for each in day.steps] == [
            ("build", "done", 45.0),
            ("publish", "done", 30.0),
        ]


def test_a_training_shows_what_it_has_decided_and_why(settings: Settings) -> None:
    shown = look(settings, f"/dags/train_models/runs/{TRAINING.replace('+', '%2B')}")

    assert "has 1,204 examples; 2,000 are asked" in shown
    assert "/models/churn_risk" in shown
    assert "the offer is over" not in shown


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("restate_range/runs/manual__1", "A dry run has none"),
        ("train_models/runs/manual__1", "This run has decided nothing"),
        ("offer_segments/runs/manual__1", "A load is on the page of its day"),
        ("model_watch/runs/manual__1", "on the page of each model"),
    ],
)
def test_a_run_without_a_page_says_where_to_look(settings: Settings, place: str, said: str) -> None:
    assert said in look(settings, f"/dags/{place}")
