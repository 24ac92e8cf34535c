"""A month's checkpoint of journeys goes on from the one before, and says what one from nothing says.

What is learned after a checkpoint has told its time, more than 60 days late, is in no later checkpoint
either, whichever of them a run goes on from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from segue.window import HistoryWindow, RunWindow
from tests.dbt.compiled_project import Execution, compile_project
from tests.dbt.conftest import at
from tests.dbt.reference.company import AccountVersion, Company, Event
from tests.dbt.reference.comparison import prefix
from tests.dbt.reference.journeys import Click, Impression, Row, Shop
from tests.dbt.reference.shops import BEGINS, LAST, generated_shops
from tests.dbt.reference.test_journeys import raw_rows

STATES, TRIALS = TABLES = ("int_offer_journey_states", "int_offer_journey_trials")
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
"""They tell what happened before 31 December and before 31 January."""


def shown(account_id: str, occurred: str, arrived: str | None = None, offer_id: str = "trial") -> Impression:
    impression_id = f"{account_id} {occurred} {offer_id}"
    return Impression(
        impression_id, account_id, offer_id, "home", at(occurred), at(arrived or occurred), True
    )


def heard(subscription_id: str, event_type: str, occurred: str, arrived: str | None = None) -> Event:
    return Event(
        "stripe", f"{subscription_id} {occurred}", subscription_id, event_type, at(occurred),
        at(arrived or occurred), f"{subscription_id}",
    )  # fmt: skip


def literal_shop() -> Shop:
    """Accounts of which each had one thing happen that a checkpoint must get right; each owns a
    subscription of its name."""
    names = [
        "always",
        "again",
        "goes_on",
        "reached",
        "tardy",
        "late_click",
        "late_start",
        "late_end",
        "trial",
        "december",
        "older",
        "unseen",
    ]
    always = (f"{at('2025-10-05 08:00') + timedelta(days=6 * n):%Y-%m-%d %H:%M}" for n in range(22))
    return Shop(
        Company(
            (
                heard("trial", "trial_started", "2026-01-01 08:00"),
                heard("december", "trial_started", "2025-12-20 08:00"),
                heard("older", "trial_started", "2025-12-14 08:00"),
                # Learned when the time has been told: between two impressions nobody started …
                heard("late_start", "started", "2025-12-12 08:00", "2026-03-20 08:00"),
                # … and a second start was none, since the subscription had not ended.
                heard("late_end", "started", "2025-10-10 08:00"),
                heard("late_end", "expired", "2025-11-05 08:00", "2026-03-12 08:00"),
                heard("late_end", "started", "2025-11-10 08:00"),
            ),
            (
                *(AccountVersion(name, "SE", BEGINS, BEGINS) for name in names),
                AccountVersion("unheard", "SE", at("2026-03-11 08:00"), at("2026-03-11 08:00")),
            ),
        ),
        (
            *(shown("always", occurred) for occurred in always),
            shown("again", "2025-10-10 08:00"), shown("again", "2026-01-20 08:00"),
            # Open on 31 December: with a touch after it, and without.
            shown("goes_on", "2025-12-28 08:00"), shown("goes_on", "2026-01-03 08:00"),
            shown("reached", "2025-12-28 08:00"),
            shown("tardy", "2026-01-10 08:00"), shown("tardy", "2025-11-20 08:00", "2026-03-10 08:00"),
            shown("late_click", "2025-12-01 08:00"), shown("late_click", "2025-12-09 08:00"),
            shown("late_start", "2025-12-10 08:00"), shown("late_start", "2025-12-15 08:00"),
            shown("late_end", "2025-11-08 08:00"), shown("late_end", "2025-11-11 08:00"),
            shown("trial", "2025-12-28 08:00"), shown("december", "2025-12-19 08:00"),
            shown("older", "2025-12-13 08:00"),
            shown("unheard", "2025-11-01 08:00"), shown("unheard", "2026-01-20 08:00"),
            shown("unseen", "2026-01-30 08:00"),
        ),
        (
            Click("k1", "reached 2025-12-28 08:00 trial", at("2026-01-02 08:00"), at("2026-01-02 09:00")),
            # In time it would have kept one journey open.
            Click("k2", "late_click 2025-12-01 08:00 trial", at("2025-12-05 08:00"), at("2026-03-09 09:00")),
        ),
    )  # fmt: skip


def with_stragglers(shop: Shop, random: Random) -> Shop:
    """The same with one row in eight two to four months late."""

    def delayed(rows: Sequence[Any]) -> tuple[Any, ...]:
        latest = LAST + timedelta(days=12)
        return tuple(
            dataclasses.replace(
                row, ingested_at=min(latest, row.ingested_at + timedelta(days=random.randrange(60, 130)))
            )
            if random.randrange(8) == 0
            else row
            for row in rows
        )

    company = Company(delayed(shop.company.events), delayed(shop.company.accounts))
    return Shop(company, delayed(shop.impressions), delayed(shop.clicks), shop.checkouts)


@dataclass(frozen=True)
class Told:
    """The rows of both tables, by table: of March, of April from nothing, and of April from March."""

    march: dict[str, list[Row]]
    anew: dict[str, list[Row]]
    from_march: dict[str, list[Row]]


@pytest.fixture(scope="module")
def told(dbt_world: Callable[..., Settings]) -> Told:
    settings = dbt_world("checkpoints", history_start_date=BEGINS.date())
    execution = Execution(settings, "checkpoints")
    random = Random(1)
    shops = [literal_shop(), *(with_stragglers(shop, random) for shop in generated_shops(120, 7))]
    execution.land(raw_rows(shops))

    def built(day: date, goes_on_from: date | None = None) -> dict[str, list[Row]]:
        history = HistoryWindow(
            first_days={}, raw_read_at=datetime.now(UTC), code_version="", goes_on_from=goes_on_from
        )
        audit = f"audit_{day:%Y%m%d}_{'on' if goes_on_from else 'anew'}"
        window = RunWindow.whole(settings, day, day).model_copy(
            update={"history": history, "audit_dataset": audit}
        )
        project = compile_project(settings, window)
        execution.build(project, TABLES)
        return {table: execution.rows(project, table) for table in TABLES}

    march, anew = built(MARCH), built(APRIL)
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset("history_checkpoints")
    for table in TABLES:
        warehouse.run(
            f"create table history_checkpoints.{table} as "
            f"select * from audit_20260301_anew_checkpoints.{table}"
        )
    # Were any of it read, April would now say something else.
    for table in ("offer_impressions", "offer_clicks"):
        warehouse.run(f"delete from raw_checkpoints.{table} where arrival_date < date '2025-12-22'")
    return Told(march, anew, built(APRIL, MARCH))


def literal(rows: Sequence[Row], key: str, *columns: str) -> dict[str, tuple[Any, ...]]:
    """Of the literal shop, which is the first: key → columns."""
    return {
        row[key].removeprefix(prefix(0)): tuple(row[column] for column in columns)
        for row in rows
        if row[key].startswith(prefix(0))
    }


def test_a_checkpoint_from_the_month_before_says_what_one_from_nothing_says(told: Told) -> None:
    for table in TABLES:
        anew, from_march = (
            sorted((tuple(row.items()) for row in rows[table]), key=str)
            for rows in (told.anew, told.from_march)
        )
        assert from_march == anew
    journeys = [row["journeys"] for row in told.from_march[STATES]]
    assert len(journeys) > 100
    assert max(journeys) > 4
    assert any(row["opened_at"] for row in told.from_march[STATES])
    # Told by March, and by April itself.
    began = [row["trial_started_at"].date() for row in told.from_march[TRIALS]]
    assert min(began) < date(2025, 12, 31) < max(began)


def test_it_counts_what_was_known_when_its_time_was_told_and_goes_on_with_what_was_open(told: Told) -> None:
    columns = ("journeys", "opened_at", "last_touch_at")
    assert literal(told.march[STATES], "account_id", *columns) == {
        "always": (2, at("2025-11-22 08:00"), at("2025-12-28 08:00")),
        "again": (1, None, None),
        "goes_on": (1, at("2025-12-28 08:00"), at("2025-12-28 08:00")),
        "reached": (1, at("2025-12-28 08:00"), at("2025-12-28 08:00")),
        "late_click": (2, None, None),
        "late_start": (1, None, None),
        "late_end": (1, None, None),
        "trial": (1, at("2025-12-28 08:00"), at("2025-12-28 08:00")),
        "december": (1, None, None),
        "older": (1, None, None),
    }
    assert literal(told.from_march[STATES], "account_id", *columns) == {
        "always": (3, at("2026-01-09 08:00"), at("2026-01-27 08:00")),
        "again": (2, None, None),
        "goes_on": (1, None, None),
        "reached": (1, None, None),
        # What was shown in November arrived in March, when it had been told.
        "tardy": (1, None, None),
        "late_click": (2, None, None),
        "late_start": (1, None, None),
        "late_end": (1, None, None),
        "trial": (1, None, None),
        "december": (1, None, None),
        "older": (1, None, None),
        # Introduced in March, in time for what it was shown in January.
        "unheard": (1, None, None),
        "unseen": (1, at("2026-01-30 08:00"), at("2026-01-30 08:00")),
    }


def test_trials_of_the_45_days_before_its_time_are_carried_on(told: Told) -> None:
    columns = ("trial_started_at", "last_touch_offer_id")
    assert literal(told.march[TRIALS], "subscription_id", *columns) == {
        "older": (at("2025-12-14 08:00"), "trial"),
        "december": (at("2025-12-20 08:00"), "trial"),
    }
    assert literal(told.from_march[TRIALS], "subscription_id", *columns) == {
        "december": (at("2025-12-20 08:00"), "trial"),
        "trial": (at("2026-01-01 08:00"), "trial"),
    }
