"""Publication takes what the gate has let through of its own attempt, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.cloud import bigquery
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import permutations

from loaders.warehouse.client import WarehouseError, warehouse_of
from runs.attempts import OtherProjectError, begin_attempt, continue_attempt, end_attempt
from runs.publish import publish
from runs.published import PublishedMart
from runs.verdict import NotBuiltError, UnjudgedError
from segue.settings import Settings
from segue.window import ATTEMPT_TIME, RunWindow
from tests.judged import let_through

DAY = date(2026, 3, 1)
MART = PublishedMart("fct_daily", "snapshot_date", 0, "A row per day.")
OTHER = PublishedMart("fct_other", "snapshot_date", 0, "A row per day.")
MARTS = [MART, OTHER]


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    return dbt_world("verdict")


@pytest.fixture
def window(settings: Settings) -> RunWindow:
    """An attempt that has built 10 on its day."""
    return built(settings, "10")


def built(settings: Settings, amount: str) -> RunWindow:
    window = RunWindow.whole(settings, DAY, DAY).new_attempt(settings, "")
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(window.audit_dataset)
    columns = [bigquery.SchemaField("snapshot_date", "DATE"), bigquery.SchemaField("amount", "NUMERIC")]
    for mart in MARTS:
        warehouse.ensure_table(warehouse.table(window.audit_dataset, mart.name), columns)
        warehouse.run(f"insert into {window.table(mart.name)} values (date '{DAY}', {amount})")
    return window


def published(settings: Settings, mart: PublishedMart = MART) -> list[Any]:
    table = warehouse_of(settings).table("marts", mart.name)
    return [int(row.amount) for row in warehouse_of(settings).run(f"select amount from `{table}`")]


def recorded(settings: Settings, window: RunWindow) -> list[tuple[Any, ...]]:
    rows = warehouse_of(settings).run(
        "select mart, row_count, override_reason from ops.publications "
        f"where attempt = '{window.audit_dataset}' order by mart"
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture
def before(settings: Settings) -> list[Any]:
    """What is published of the day before: 1."""
    window = built(settings, "1")
    let_through(settings, window, MARTS)
    publish(settings, window, MARTS)
    return published(settings)


def test_every_attempt_builds_in_a_dataset_of_its_own(settings: Settings) -> None:
    whole = RunWindow.whole(settings, DAY, DAY)

    first, second = whole.new_attempt(settings, "a"), whole.new_attempt(settings, "b")

    assert first.audit_dataset != second.audit_dataset
    assert first.audit_dataset.startswith("audit_20260301_")
    assert RunWindow.model_validate(first.model_dump(mode="json")) == first


def test_what_the_gate_has_let_through_is_published_with_its_attempt(
    settings: Settings, window: RunWindow
) -> None:
    let_through(settings, window, MARTS)

    publish(settings, window, MARTS)

    assert published(settings) == [10]
    assert recorded(settings, window) == [("fct_daily", 1, None), ("fct_other", 1, None)]


def test_what_nobody_has_judged_is_not_published(
    settings: Settings, before: list[Any], window: RunWindow
) -> None:
    with pytest.raises(UnjudgedError, match=r"audit_20260301_\w+: the gate has not judged it"):
        publish(settings, window, MARTS)

    assert (published(settings), recorded(settings, window)) == (before, [])

    let_through(settings, window, MARTS)
    publish(settings, window, MARTS)
    assert published(settings) == [10]


def test_what_the_gate_has_refused_is_not_published(
    settings: Settings, before: list[Any], window: RunWindow
) -> None:
    let_through(settings, window, MARTS, failures=2)

    with pytest.raises(UnjudgedError, match=r"the gate refused it, 2 critical expectation\(s\) failed"):
        publish(settings, window, MARTS)

    assert (published(settings), recorded(settings, window)) == (before, [])


@pytest.mark.usefixtures("before")
def test_the_last_verdict_counts(settings: Settings, window: RunWindow) -> None:
    let_through(settings, window, MARTS)
    let_through(settings, window, MARTS, failures=1)
    with pytest.raises(UnjudgedError, match="the gate refused it"):
        publish(settings, window, MARTS)

    let_through(settings, window, MARTS)
    publish(settings, window, MARTS)

    assert published(settings) == [10]


@pytest.mark.usefixtures("before")
def test_the_verdict_on_another_attempt_of_the_day_is_not_this_ones(
    settings: Settings, window: RunWindow
) -> None:
    other = built(settings, "1000")
    let_through(settings, window, MARTS)

    with pytest.raises(UnjudgedError, match="the gate has not judged it"):
        publish(settings, other, MARTS)

    publish(settings, window, MARTS)
    assert published(settings) == [10]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("insert into {table} values (date '2026-03-01', 10)", "fct_daily has 2 rows, 1 were judged"),
        ("update {table} set amount = 10000 where true", "fct_daily has other rows than were judged"),
        ("update {table} set amount = null where true", "fct_daily has other rows than were judged"),
        ("delete from {table} where true", "fct_daily has 0 rows, 1 were judged"),
    ],
)
def test_rows_that_changed_after_they_were_judged_are_not_published(
    settings: Settings, before: list[Any], window: RunWindow, change: str, reason: str
) -> None:
    let_through(settings, window, MARTS)
    warehouse_of(settings).run(change.format(table=window.table("fct_daily")))

    with pytest.raises(UnjudgedError, match=reason):
        publish(settings, window, MARTS)

    assert (published(settings), published(settings, OTHER)) == (before, before)

    again = built(settings, "10")
    let_through(settings, again, MARTS)
    publish(settings, again, MARTS)
    assert (published(settings), published(settings, OTHER)) == ([10], [10])


def test_a_mart_that_was_not_judged_is_not_published(
    settings: Settings, before: list[Any], window: RunWindow
) -> None:
    let_through(settings, window, [MART])

    with pytest.raises(UnjudgedError, match="fct_other was not judged"):
        publish(settings, window, MARTS)

    assert published(settings) == before


@pytest.mark.usefixtures("before")
def test_somebody_with_a_reason_publishes_against_the_gate_and_it_is_recorded(
    settings: Settings, window: RunWindow
) -> None:
    let_through(settings, window, MARTS, failures=2)
    meant = window.model_copy(update={"override_reason": "a price list of 12.000 ₫ is right"})

    publish(settings, meant, MARTS)

    assert published(settings) == [10]
    assert {reason for _, _, reason in recorded(settings, window)} == {"a price list of 12.000 ₫ is right"}


def test_a_reason_does_not_publish_what_was_never_looked_at(
    settings: Settings, before: list[Any], window: RunWindow
) -> None:
    with pytest.raises(UnjudgedError, match="the gate has not judged it"):
        publish(settings, window.model_copy(update={"override_reason": "in a hurry"}), MARTS)

    assert published(settings) == before


@pytest.mark.usefixtures("before")
def test_publishing_an_attempt_again_finds_its_publication(settings: Settings, window: RunWindow) -> None:
    let_through(settings, window, MARTS)
    first = publish(settings, window, MARTS)
    end_attempt(settings, window)

    again = publish(settings, window, MARTS)

    assert (again.publication_id, again.rows) == (first.publication_id, first.rows)
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert again.summary().endswith(", published before")
    assert len(recorded(settings, window)) == len(MARTS)


def test_an_attempt_whose_dataset_is_gone_says_what_to_clear(
    settings: Settings, before: list[Any], window: RunWindow
) -> None:
    let_through(settings, window, MARTS)
    end_attempt(settings, window)

    with pytest.raises(NotBuiltError, match="fct_daily was not built for 2026-03-01") as failed:
        publish(settings, window, MARTS)

    assert "clear `build`" in str(failed.value.hint)
    assert published(settings) == before

    again = built(settings, "10")
    let_through(settings, again, MARTS)
    publish(settings, again, MARTS)
    assert published(settings) == [10]


def test_what_failed_attempts_left_is_dropped_when_its_time_is_over(
    settings: Settings, window: RunWindow
) -> None:
    warehouse, now = warehouse_of(settings), datetime.now(UTC)
    left = {
        days: f"audit_20260220_{now - timedelta(days=days):{ATTEMPT_TIME}}_ab12" for days in (1, 2, 4, 400)
    }
    # Not an attempt's, whatever its age.
    left[0] = "audit_20260220"
    for dataset in left.values():
        warehouse.ensure_dataset(dataset)

    dropped = end_attempt(settings, window)

    assert dropped == sorted([window.audit_dataset, left[4], left[400]])
    assert {left[0], left[1], left[2]} <= set(warehouse.datasets())
    assert not set(dropped) & set(warehouse.datasets())
    assert end_attempt(settings, window) == [window.audit_dataset]


def test_a_project_that_is_not_the_one_of_the_build_does_not_go_on(settings: Settings) -> None:
    window = RunWindow.whole(settings, DAY, DAY).new_attempt(settings, "of yesterday")

    with pytest.raises(OtherProjectError, match="has changed since 2026-03-01"):
        continue_attempt(settings, window)

    # What clearing `build` does first.
    continue_attempt(settings, begin_attempt(settings, window))


def validate(settings: Settings, window: RunWindow) -> None:
    """As the gate would: 1000 is refused."""
    [row] = warehouse_of(settings).run(f"select amount from {window.table('fct_daily')}")
    let_through(settings, window, MARTS, failures=int(row.amount >= 1000))


def publish_it(settings: Settings, window: RunWindow) -> None:
    with suppress(UnjudgedError, NotBuiltError):
        publish(settings, window, MARTS)


def write_into_it(settings: Settings, window: RunWindow) -> None:
    warehouse_of(settings).run(f"update {window.table('fct_daily')} set amount = 1000 where true")


def drop_it(settings: Settings, window: RunWindow) -> None:
    end_attempt(settings, window)


RIGHT, WRONG = 0, 1
Operation = tuple[Callable[[Settings, RunWindow], None], int]
OPERATIONS: list[Operation] = [
    (validate, RIGHT), (publish_it, RIGHT), (write_into_it, RIGHT), (publish_it, RIGHT), (drop_it, RIGHT),
    (validate, WRONG), (publish_it, WRONG),
]  # fmt: skip


def ordered(*numbers: int) -> list[Operation]:
    return [OPERATIONS[number] for number in numbers]


@hypothesis_settings(max_examples=3 * int(os.environ.get("SEGUE_SOAK_SEEDS", "1")), deadline=None)
@given(order=permutations(OPERATIONS))
@example(order=ordered(0, 5, 6, 1, 3, 4, 2))
@example(order=ordered(0, 2, 1, 5, 6, 3, 4))
@example(order=ordered(2, 0, 1, 5, 6, 4, 3))
@pytest.mark.usefixtures("before")
def test_two_runs_of_a_day_whose_steps_anybody_starts_in_any_order_publish_what_the_gate_let_through(
    settings: Settings, order: list[Operation]
) -> None:
    warehouse = warehouse_of(settings)
    warehouse.run("delete from ops.publications where true")
    attempts = {RIGHT: built(settings, "10"), WRONG: built(settings, "1000")}

    for operation, which in order:
        with suppress(WarehouseError):
            operation(settings, attempts[which])
        assert set(published(settings)) <= {1, 10}

    counted = warehouse.run(
        "select attempt, count(distinct publication_id) as publications from ops.publications group by 1"
    )
    assert {row.publications for row in counted} <= {1}
