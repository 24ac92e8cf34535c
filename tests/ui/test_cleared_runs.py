"""The pages of runs that were cleared: they show the try that counts, whatever days each try has taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables, insert_rows
from segue.settings import Settings
from tests.ui.browser import browser_of
from ui.day import Day, read_day
from ui.history import newest_day, run_day
from ui.other_runs import Chunk, run_chunks
from ui.reading import Reading
from ui.visitor import Visitor

RUN, RANGE = "scheduled__2026-11-21T00:00:00+00:00", "manual__2026-11-27T00:00:00+00:00"
FIRST, SECOND = "audit_20261120_20261121060000_0a0b", "audit_20261123_20261124060000_0c0d"
CLEARED = 60
"""Minutes after the first try."""


def november(day: int) -> date:
    return date(2026, 11, day)


def moment(minute: int) -> datetime:
    return datetime(2026, 11, 21, 6, tzinfo=UTC) + timedelta(minutes=minute)


def step(
    name: str, minute: int, first: int, last: int, attempt: str | None, asked: int = 20, **other: Any
) -> dict[str, Any]:
    """A step that has left the days from ``first`` to ``last``, of a run that was asked for ``asked``."""
    row = {
        "run_date": november(last), "run_id": RUN, "dag_id": "daily_marts", "step": name, "state": "done",
        "code": None, "start_date": november(first), "end_date": november(last),
        "asked_end_date": november(asked), "as_of_date": november(23), "attempt": attempt,
        "seconds": float(minute), "summary": f"{name} is done", "warnings": "[]",
        "started_at": moment(minute - 1), "finished_at": moment(minute),
    }  # fmt: skip
    return row | other


def fails(code: str) -> dict[str, Any]:
    return {"state": "failed", "code": code, "summary": None}


PUBLISHED = [
    step("land", 1, 20, 20, None),
    step("build", 2, 20, 20, FIRST),
    step("validate", 3, 20, 20, FIRST),
    step("publish", 4, 20, 20, FIRST),
    step("drop_audit", 5, 20, 20, FIRST),
]
"""The run of the twentieth, before its file was corrected; later days were published after it."""
LANDED_AGAIN = step("land", CLEARED + 1, 20, 23, None)
BUILT_AGAIN = step("build", CLEARED + 2, 20, 23, SECOND)


def publication(day: int, attempt: str, minute: int) -> dict[str, Any]:
    return {
        "run_date": november(day), "publication_id": f"of {attempt}", "mart": "dim_account", "row_count": 3,
        "partition_date": november(day), "as_of_date": november(day), "published_at": moment(minute),
        "attempt": attempt,
    }  # fmt: skip


@pytest.fixture(scope="module")
def made(world: Callable[..., Settings]) -> Warehouse:
    warehouse = warehouse_of(world("cleared-runs", history_start_date=november(1)))
    ensure_ops_tables(warehouse)
    return warehouse


@pytest.fixture
def warehouse(made: Warehouse) -> Iterator[Warehouse]:
    """Without runs of other tests."""
    yield made
    made.run(
        "delete from ops.run_steps where run_date >= date '2020-01-01'; "
        "delete from ops.publications where run_date >= date '2020-01-01'"
    )


def steps_of(day: Day) -> list[tuple[str, str, float]]:
    return [(each.step, each.state, each.seconds) for each in day.steps]


def seen(warehouse: Warehouse, *rows: dict[str, Any], day: int = 20, run_id: str | None = None) -> Day:
    """The page of a day once the rows are kept."""
    insert_rows(warehouse, "run_steps", rows)
    return read_day(Reading(warehouse), november(day), run_id)


def chunks(warehouse: Warehouse, *rows: dict[str, Any]) -> list[Chunk]:
    """The chunks of the range once the rows are kept, each with the run and the DAG of the range."""
    of_range = {"run_id": RANGE, "dag_id": "restate_range"}
    insert_rows(warehouse, "run_steps", [of_range | row | of_range for row in rows])
    return run_chunks(Reading(warehouse), RANGE)


def test_a_day_that_was_published_and_fails_when_it_is_cleared_shows_what_has_failed(
    warehouse: Warehouse,
) -> None:
    append_rows(warehouse, "publications", [publication(20, FIRST, 4)])

    # Its landing takes in the published days after it, which its corrected file changes.
    day = seen(
        warehouse,
        *PUBLISHED,
        LANDED_AGAIN,
        BUILT_AGAIN,
        step("validate", CLEARED + 3, 20, 23, SECOND, **fails("validation_failed")),
    )

    assert (day.run_id, day.attempt, day.state, day.published_at) == (RUN, SECOND, "failed", None)
    assert (day.start_date, day.end_date) == (november(20), november(23))
    assert steps_of(day) == [
        ("land", "done", CLEARED + 1),
        ("build", "done", CLEARED + 2),
        ("validate", "failed", CLEARED + 3),
    ]
    assert day.steps[-1].code == "validation_failed"


def test_an_attempt_that_fails_before_it_has_a_name_is_not_the_one_that_was_published(
    warehouse: Warehouse,
) -> None:
    append_rows(warehouse, "publications", [publication(20, FIRST, 4)])

    day = seen(
        warehouse,
        *PUBLISHED,
        LANDED_AGAIN,
        step("build", CLEARED + 2, 20, 23, None, **fails("build_failed")),
    )

    assert (day.run_id, day.attempt, day.state, day.end_date) == (RUN, None, "failed", november(23))
    assert steps_of(day) == [("land", "done", CLEARED + 1), ("build", "failed", CLEARED + 2)]


def test_while_a_published_day_is_built_again_it_is_published(warehouse: Warehouse) -> None:
    append_rows(warehouse, "publications", [publication(20, FIRST, 4)])

    day = seen(warehouse, *PUBLISHED, LANDED_AGAIN)

    assert (day.attempt, day.state, day.end_date) == (FIRST, "published", november(20))
    assert steps_of(day) == [("land", "done", CLEARED + 1)]


def test_a_published_day_whose_audit_dataset_could_not_be_removed_is_published(warehouse: Warehouse) -> None:
    append_rows(warehouse, "publications", [publication(20, FIRST, 4)])

    day = seen(warehouse, *PUBLISHED[:-1], step("drop_audit", 5, 20, 20, FIRST, **fails("warehouse")))

    assert (day.attempt, day.state) == (FIRST, "published")


def test_a_landing_that_failed_before_it_took_in_other_days_is_not_all_that_a_run_has_done(
    warehouse: Warehouse,
) -> None:
    day = seen(
        warehouse, step("land", 1, 20, 20, None, **fails("landing_refused")), LANDED_AGAIN, BUILT_AGAIN
    )

    assert (day.attempt, day.state, day.end_date) == (SECOND, "not published", november(23))
    assert steps_of(day) == [("land", "done", CLEARED + 1), ("build", "done", CLEARED + 2)]


def test_what_failed_before_a_run_was_cleared_has_not_failed_while_it_runs_again(
    warehouse: Warehouse,
) -> None:
    refused = step("validate", 3, 20, 20, FIRST, **fails("validation_failed"))

    day = seen(warehouse, *PUBLISHED[:2], refused, LANDED_AGAIN, BUILT_AGAIN)

    assert (day.attempt, day.state) == (SECOND, "not published")
    assert steps_of(day) == [("land", "done", CLEARED + 1), ("build", "done", CLEARED + 2)]


def test_a_run_leads_to_the_day_that_was_asked_for(warehouse: Warehouse) -> None:
    seen(warehouse, *PUBLISHED, LANDED_AGAIN)

    assert run_day(Reading(warehouse), RUN) == november(20)


def test_a_chunk_that_could_not_be_landed_at_first_is_one_chunk_all_the_same(warehouse: Warehouse) -> None:
    [chunk] = chunks(
        warehouse,
        step("land", 1, 18, 20, None, **fails("object_store")),
        step("land", 2, 18, 23, None),
        step("build", 3, 18, 23, SECOND),
        step("publish", 4, 18, 23, SECOND),
    )

    assert (chunk.day, chunk.start_date, chunk.end_date) == (november(20), november(18), november(23))
    assert (chunk.state, chunk.seconds) == ("published", 9)
    page = browser_of(warehouse.settings)(Visitor("somebody")).get(f"/dags/restate_range/runs/{RANGE}").text
    assert "1 of 1 chunks that have begun are published" in page
    # The last day that is built may be the first of the next chunk.
    assert "/days/2026-11-20?run_id=" in page


def test_a_chunk_that_is_cleared_is_under_way_until_it_is_published_or_fails_again(
    warehouse: Warehouse,
) -> None:
    refused = step("validate", 3, 20, 20, FIRST, **fails("validation_failed"))

    assert [each.state for each in chunks(warehouse, *PUBLISHED[:2], refused)] == ["failed"]
    [again] = chunks(warehouse, LANDED_AGAIN)
    assert (again.state, [*again.steps]) == ("under way", ["land"])
    failed = step("build", CLEARED + 2, 20, 23, None, **fails("build_failed"))
    assert [each.state for each in chunks(warehouse, failed)] == ["failed"]
    assert [each.state for each in chunks(warehouse, BUILT_AGAIN | {"finished_at": moment(70)})] == [
        "under way"
    ]
    published = step("publish", CLEARED + 20, 20, 23, SECOND)
    assert [each.state for each in chunks(warehouse, published)] == ["published"]


def test_of_two_chunks_a_day_is_of_the_one_that_was_asked_for_it_unless_the_other_has_published_it(
    warehouse: Warehouse,
) -> None:
    earlier, later = (
        {"run_id": RANGE, "dag_id": "restate_range", "asked_end_date": november(end)} for end in (20, 25)
    )
    # The first has taken in two days of the second, and published them.
    first = step("publish", 1, 16, 22, FIRST) | earlier
    append_rows(warehouse, "publications", [publication(22, FIRST, 1)])

    assert seen(warehouse, first, day=22).attempt == FIRST
    assert seen(warehouse, step("build", 2, 21, 25, SECOND) | later, day=22).attempt == FIRST
    refused = step("validate", 3, 21, 25, SECOND, **fails("validation_failed")) | later
    day = seen(warehouse, refused, day=22)
    assert (day.attempt, day.state, day.end_date) == (SECOND, "failed", november(25))


def test_a_chunk_that_could_not_clean_up_does_not_hide_the_next_one_that_restated_its_day(
    warehouse: Warehouse,
) -> None:
    earlier, later = (
        {"run_id": RANGE, "dag_id": "restate_range", "asked_end_date": november(end)} for end in (20, 25)
    )
    published = [publication(20, FIRST, 1), publication(20, SECOND, 2) | {"run_date": november(25)}]
    append_rows(warehouse, "publications", published)

    day = seen(
        warehouse,
        step("publish", 1, 16, 20, FIRST) | earlier,
        step("publish", 2, 20, 25, SECOND) | later,
        step("drop_audit", 3, 16, 20, FIRST, **fails("warehouse")) | earlier,
    )

    assert (day.attempt, day.state) == (SECOND, "published")


def test_a_failed_step_whose_next_try_could_not_be_kept_has_not_stopped_those_that_have_ended_since(
    warehouse: Warehouse,
) -> None:
    failed, passed = step("build", 2, 20, 20, None, **fails("warehouse")), step("validate", 3, 20, 20, FIRST)

    assert seen(warehouse, failed, passed).state == "not published"
    assert [each.state for each in chunks(warehouse, failed, passed)] == ["under way"]


def test_a_run_of_another_dag_with_the_same_id_is_not_mixed_in(warehouse: Warehouse) -> None:
    append_rows(warehouse, "publications", [publication(20, FIRST, 4)])
    of_range = {"run_id": RUN, "dag_id": "restate_range"}
    range_step = step("build", 9, 10, 20, SECOND, **fails("build_failed")) | of_range

    day = seen(warehouse, *PUBLISHED, range_step)

    assert (day.attempt, day.state) == (FIRST, "published")
    assert run_day(Reading(warehouse), RUN) == november(20)
    [chunk] = run_chunks(Reading(warehouse), RUN)
    assert (chunk.day, chunk.state, [*chunk.steps]) == (november(20), "failed", ["build"])


def test_of_partitions_before_the_history_nothing_is_read(warehouse: Warehouse) -> None:
    before = {name: date(2026, 10, 31) for name in ("run_date", "start_date", "end_date", "asked_end_date")}
    append_rows(warehouse, "publications", [publication(20, FIRST, 4) | {"run_date": date(2026, 10, 31)}])

    assert chunks(warehouse, step("land", 1, 20, 20, None) | before) == []
    insert_rows(warehouse, "run_steps", [step("land", 1, 20, 20, None) | before])
    assert run_day(Reading(warehouse), RUN) is None
    assert newest_day(Reading(warehouse)) is None


def test_steps_that_an_earlier_version_kept_are_told_apart_by_the_days_that_they_left(
    world: Callable[..., Settings],
) -> None:
    warehouse = warehouse_of(world("cleared-before", history_start_date=november(1)))
    ensure_ops_tables(warehouse)
    # As it was until a step is kept by this version, which adds the columns.
    for column in ("asked_end_date", "dag_id"):
        warehouse.run(f"alter table ops.run_steps drop column {column}")
    columns = "run_date, run_id, step, state, start_date, end_date, as_of_date, attempt, seconds, finished_at"
    twentieth = "date '2026-11-20'"
    warehouse.run(
        f"insert into ops.run_steps ({columns}) values ({twentieth}, '{RUN}', 'build', 'done', {twentieth}, "
        f"{twentieth}, {twentieth}, '{FIRST}', 2.0, timestamp '2026-11-21 06:02:00')"
    )
    reading = Reading(warehouse)

    assert [(each.day, each.state) for each in run_chunks(reading, RUN)] == [(november(20), "under way")]
    assert run_day(reading, RUN) == november(20)
    assert read_day(reading, november(20)).attempt == FIRST
