"""When an arrival day is complete: its manifest says so, or nothing has come for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.listing import MANIFEST, TableDay, landing_store, table_days
from loaders.landing.manifest import read_manifest
from loaders.objects.store import ObjectStore
from segue.settings import Settings
from segue.window import DAY


def end_of(day: date) -> datetime:
    """The instant at which a day is over."""
    return datetime.combine(day + DAY, time(), UTC)


def incomplete(settings: Settings, arrivals: Arrivals, days: Collection[date], now: datetime) -> list[str]:
    """What the days still wait for, a sentence for each table's day; nothing when all are complete.

    Raises:
        ObjectStoreError: the landing cannot be listed.
    """
    store = landing_store(settings)
    by_table = [table_days(store, table, days) for table in CONTRACTS]
    return list(_reasons(settings, store, arrivals, days, by_table, now))


def _reasons(
    settings: Settings,
    store: ObjectStore,
    arrivals: Arrivals,
    days: Collection[date],
    by_table: Collection[dict[date, TableDay]],
    now: datetime,
) -> Iterator[str]:
    for day in days:
        found = [each[day] for each in by_table]
        if not any(each.files or each.manifest for each in found):
            yield f"{day}: no file has arrived"
            continue
        for each in found:
            reason = why_incomplete(settings, store, each, arrivals.is_due(each.table, day), now)
            if reason:
                yield reason


def why_incomplete(
    settings: Settings, store: ObjectStore, found: TableDay, is_due: bool, now: datetime
) -> str | None:
    """What a table's day still waits for, None when it is complete."""
    try:
        manifest = read_manifest(store, found)
    except LandingError as error:
        return str(error)
    if manifest:
        return manifest.disagreement(found)
    if found.table in settings.manifest_feeds and (found.delivered or is_due):
        return f"{found.folder}: no {MANIFEST} has arrived"
    if not found.delivered:
        return f"{found.folder}: no file has arrived" if is_due and not found.files else None
    assert found.changed_at
    quiet_since = max(found.changed_at, end_of(found.day))
    complete_at = quiet_since + timedelta(minutes=settings.landing_quiet_minutes)
    if now < complete_at:
        return (
            f"{found.folder}: its last file came at {found.changed_at:%Y-%m-%d %H:%M:%S}; without another it "
            f"is complete at {complete_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    return None
