"""Once a day is published, its feeds and marts are looked at beside the weeks before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import EndsWith, Incident, IncidentTable
from loaders.warehouse.ops import append_rows
from runs.day_watch import watch_feeds, watch_volumes
from runs.incidents import raise_incidents
from segue.settings import Settings
from segue.window import days_between

DAY = date(2026, 11, 26)
FIRST = DAY - timedelta(days=70)
THEN = datetime(2026, 11, 27, 1, tzinfo=UTC)


def landed(day: date, feed: str, rows: int) -> dict[str, Any]:
    return {"run_date": day, "step": "land", "table_name": feed, "rows_out": rows, "finished_at": THEN}


def published(day: date, rows: int, at: datetime = THEN) -> dict[str, Any]:
    return {
        "run_date": day, "publication_id": "p", "mart": "fct_payment", "partition_date": day,
        "row_count": rows, "published_at": at,
    }  # fmt: skip


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    """Ten weeks of two feeds and a mart; the last payments are cut, and rates stopped three days ago."""
    settings = world("watch")
    usual = [day for day in days_between(FIRST, DAY) if day < DAY]
    rates = [landed(day, "fx_rates", 7) for day in usual if day <= DAY - timedelta(days=3)]
    payments = [landed(day, "payments", 1000 + day.toordinal() % 7) for day in usual]
    warehouse = warehouse_of(settings)
    append_rows(warehouse, "run_ledger", [*rates, *payments, landed(DAY, "payments", 600)])
    marts = [published(day, 900) for day in usual]
    # Late events have filled each day since.
    later = [published(day, 1300, THEN + timedelta(days=1)) for day in usual]
    append_rows(warehouse, "publications", [*marts, *later, published(DAY, 520)])
    return settings


def test_what_is_unusual_is_one_incident_of_its_day_until_it_is_as_usual(settings: Settings) -> None:
    watched = watch_volumes(settings, DAY)

    [incident] = watched.found
    assert (incident.day, incident.cause, incident.severity) == (DAY, "volume", "warning")
    # Marts beside what they were when they had just been published.
    assert "mart fct_payment has 520 rows, -42% beside the 900" in incident.what
    assert "feed payments has 600 rows, -40% beside the 1,00" in incident.what
    assert watch_volumes(settings, DAY).found == ()

    # The rest of the file has come; the morning after looks at the day again.
    warehouse = warehouse_of(settings)
    warehouse.run(f"update ops.run_ledger set rows_out = 1001 where run_date = date '{DAY}'")
    append_rows(warehouse, "publications", [published(DAY, 910, THEN + timedelta(hours=9))])
    tomorrow = DAY + timedelta(days=1)
    append_rows(warehouse, "run_ledger", [landed(tomorrow, "payments", 1003)])
    append_rows(warehouse, "publications", [published(tomorrow, 905, THEN + timedelta(days=1))])
    watched = watch_volumes(settings, tomorrow)

    assert watched.found == ()
    assert [(each.day, each.cause) for each in watched.is_over] == [(DAY, "volume")]
    assert watched.lines() == ["over: 2026-11-26: volume"]


def test_a_feed_that_has_stopped_is_told_of_until_it_comes_again(settings: Settings) -> None:
    [incident] = watch_feeds(settings, DAY).found
    assert (incident.day, incident.cause) == (DAY - timedelta(days=2), "feed_stale:fx_rates")
    assert incident.what.startswith("fx_rates has brought no row since 2026-11-23, 3 days before")

    # Told once, however many days it lasts.
    assert watch_feeds(settings, DAY + timedelta(days=1)).found == ()

    # Nothing has come: neither because it is looked at an older day, nor because it was so long ago that
    # nobody knows its rhythm.
    for day in (DAY - timedelta(days=3), DAY + timedelta(days=600)):
        assert "feed_stale:fx_rates" not in {each.cause for each in watch_feeds(settings, day).is_over}

    append_rows(warehouse_of(settings), "run_ledger", [landed(DAY, "fx_rates", 7)])
    assert [each.cause for each in watch_feeds(settings, DAY).is_over] == ["feed_stale:fx_rates"]
    assert not any(each.is_open for each in IncidentTable(warehouse_of(settings)).live())


def test_a_feed_that_the_settings_say_has_ended_is_not_waited_for(settings: Settings) -> None:
    ended = settings.model_copy(update={"feeds": frozenset({"payments"})})
    assert watch_feeds(ended, DAY).lines() == ["as usual"]

    watch_feeds(settings, DAY)

    assert [each.cause for each in watch_feeds(ended, DAY).is_over] == ["feed_stale:fx_rates"]
    [over] = IncidentTable(warehouse_of(settings)).live()
    assert over.closed_because == "SEGUE_FEEDS does not name it any more"


def test_a_volume_is_over_when_it_is_too_old_to_be_judged_again_and_a_failed_look_is_not(
    settings: Settings,
) -> None:
    def incident(days_before: int, cause: str, ends_with: EndsWith) -> Incident:
        return Incident(DAY - timedelta(days=days_before), cause, "…", THEN, ends_with, cause, "operators")

    old, failed = incident(29, "volume", "judged"), incident(0, "warehouse", "watched")
    raise_incidents(settings, [old, failed])

    assert [each.key for each in watch_volumes(settings, DAY).is_over] == ["2026-10-28:volume:judged"]
    live = IncidentTable(warehouse_of(settings)).live()
    assert {each.incident.key: each.closed_because for each in live if each.incident in (old, failed)} == {
        "2026-10-28:volume:judged": "it is not judged again after 28 days",
        "2026-11-26:warehouse:watched": None,
    }
