"""A plain billing export, one row per subscription period, as canonical landing files.

The periods of a subscription tell its life: the first starts it, a next one without a gap converts, changes
or renews it, an end that nothing follows ends it. What the export does not know (list prices, payments,
offers) is not invented: those tables get no files.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from loaders.landing.contracts import FxRate, Plan, SubscriptionEvent
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.export_files import Conversion, write_conversion
from loaders.landing.period_events import Period, arrival_of, event_values, plan_values, spelled
from loaders.landing.period_map import PeriodMap
from loaders.landing.period_rows import PeriodsLanding, read_accounts, read_periods, read_reasons
from loaders.landing.period_times import TOLERATED_GAP, midnight
from loaders.landing.row import LandingRow
from loaders.landing.values import ExportCovers
from loaders.objects.store import ObjectStore
from segue.window import first_of_next_month

_NEVER = datetime.max.replace(tzinfo=UTC)


def land_periods(
    export: Path,
    period_map: PeriodMap,
    out: ObjectStore,
    arrival_date: date | None = None,
    *,
    landed: Collection[date] = (),
    feeds: Collection[str] = (),
) -> PeriodsLanding:
    """Write the landing files of a billing export below ``out``.

    With ``arrival_date`` everything arrives on that day, and is what the export says of its subscriptions
    from then on; without, every row arrives on the day it happened, as it would have been seen day by day.
    Converting again replaces what the same conversion wrote before. Refused rows are kept in
    ``<out>/_refused/<file>.ndjson``. ``landed`` are the arrival days that have landed: nothing is changed
    there. ``feeds`` are tables that must have a file on every day, be it an empty one.

    Raises:
        LandingError: a file cannot be read or lacks a column that the map names; or what it says belongs to
            days that have landed. Nothing was written.
        ObjectStoreError: a landing file cannot be read or written; converting again finishes it.
    """
    result = PeriodsLanding()
    reasons = read_reasons(export, period_map, result)
    periods = read_periods(export, period_map, reasons, arrival_date, result)
    accounts = read_accounts(export, period_map, periods, arrival_date, result)
    if not periods:
        raise LandingError(f"{export.name}: no row can be read; the first: {_first(result)}")
    first = min(period.start for period in periods)
    lives = list(_chains(export.name, periods, result))
    result.periods_out = sum(map(len, lives))
    terms = (period_map.export.name, _covers(period_map, result)) if arrival_date else None
    rows: list[LandingRow] = [row for life in lives for row in _events_of(life, arrival_date, terms)]
    rows += accounts
    is_rolling = bool(arrival_date) and period_map.export.covers == "rolling"
    result.accounts_begin_anew = is_rolling and period_map.accounts.created is None
    rows += _plans(periods, arrival_of(first, arrival_date))
    last = arrival_date or max(row.ingested_at for row in rows).date()
    rows += _rates(period_map, first, last, arrival_date)
    conversion = Conversion(export.stem, arrival_date, period_map.export)
    write_conversion(out, conversion, rows, result, landed, feeds)
    return result


def _first(result: PeriodsLanding) -> str:
    return f"row {result.refused[0].row}: {result.refused[0].reason}" if result.refused else "it is empty"


def _covers(period_map: PeriodMap, result: PeriodsLanding) -> ExportCovers:
    """A subscription whose rows are refused is still named: then nothing is withdrawn for not being there."""
    covers = period_map.export.covers
    if covers == "complete" and result.periods_out + result.superseded < result.periods_in:
        result.withdraws_nothing = True
        return "partial"
    return covers


def _chains(file: str, periods: list[Period], result: PeriodsLanding) -> Iterator[list[Period]]:
    """The periods of each subscription in order; one that overlaps its predecessor is refused.

    A period of no length that another one follows at the same instant is superseded by it: on one instant
    one thing begins, and has the event's id.
    """
    lives: dict[str, list[Period]] = defaultdict(list)
    for period in sorted(periods, key=_in_order):
        life = lives[period.subscription_id]
        if life and life[-1].end and timedelta() < period.start - life[-1].end <= TOLERATED_GAP:
            life[-1] = replace(life[-1], end=period.start)
        supersedes = bool(life) and life[-1].start == life[-1].end == period.start
        preceding = life[:-1] if supersedes else life
        before = preceding[-1] if preceding else None
        if before and before.end == period.start and period.is_trial and not before.is_trial:
            # Free time in mid-life is no trial: the subscriber has been won before, and is served for 0.
            period = replace(period, is_trial=False, price=Decimal(0))
        reason = _why_not_after(before, period) if before else None
        if reason:
            column, why = reason
            payload = json.dumps(period.payload, ensure_ascii=False)
            result.refused.append(Refusal(file, period.row, column, f"the period {why}", payload))
        else:
            result.superseded += supersedes
            lives[period.subscription_id] = [*preceding, period]
    return (life for life in lives.values() if life)


def _in_order(period: Period) -> tuple[Any, ...]:
    """By what the rows say; their order in the file decides between rows that say the same."""
    life = (period.subscription_id, period.account_id)
    return period.start, period.end or _NEVER, *life, not period.is_trial, period.terms, period.row


def _why_not_after(before: Period, period: Period) -> tuple[str, str] | None:
    """The column and the reason for which a period cannot follow another one; None when it can."""
    if before.end is None or before.end > period.start:
        return "start", f"starts on {spelled(period.start)}, inside the period of row {before.row}"
    if before.account_id != period.account_id:
        return "account_id", f"has another account_id than row {before.row}"
    return None


def _events_of(
    life: list[Period], arrival_date: date | None, export: tuple[str, ExportCovers] | None
) -> Iterator[LandingRow]:
    now = datetime.now(UTC)
    for number, period in enumerate(life):
        before = life[number - 1] if number else None
        after = life[number + 1] if number + 1 < len(life) else None
        yield _event(period, _opening(before, period), period.start, arrival_date, export)
        followed = after is not None and after.start == period.end
        # A paid-up end that lies ahead is a plan, not a fact: it becomes an event when it has happened.
        if period.end and not followed and _has_happened(period.end, arrival_date, now):
            yield _event(period, "expired", period.end, arrival_date, export)


def _has_happened(end: datetime, arrival_date: date | None, now: datetime) -> bool:
    return end.date() <= arrival_date if arrival_date else end <= now


def _opening(before: Period | None, period: Period) -> str:
    """The event with which a period begins, seen from the one before."""
    if before is None:
        return "trial_started" if period.is_trial else "started"
    if before.end != period.start:
        return "trial_started" if period.is_trial else "reactivated"
    if before.is_trial and not period.is_trial:
        return "trial_converted"
    # A renewal is paid: a trial that is prolonged changes its terms.
    return "plan_changed" if period.is_trial or before.terms != period.terms else "renewed"


def _event(
    period: Period,
    kind: str,
    happened: datetime,
    arrival_date: date | None,
    export: tuple[str, ExportCovers] | None,
) -> LandingRow:
    return SubscriptionEvent.model_validate(event_values(period, kind, happened, arrival_date, export))


def _plans(periods: list[Period], arrival: datetime) -> list[LandingRow]:
    firsts = {period.plan_id: period for period in reversed(periods)}
    return [Plan.model_validate(plan_values(firsts[plan_id], arrival)) for plan_id in sorted(firsts)]


def _rates(
    period_map: PeriodMap, first: datetime, last: date, arrival_date: date | None
) -> Iterator[LandingRow]:
    """The map's rates on the day of the first period, and told again on the first of each month up to
    ``last``: of a rate that nobody tells any more nobody knows whether it still holds."""
    months = [first]
    while (following := first_of_next_month(months[-1].date())) <= last:
        months.append(midnight(following))
    for currency, rate in sorted(period_map.usd_rates.items()):
        for moment in months[:1] if currency == "USD" else months:
            arrival = arrival_of(moment, arrival_date)
            yield FxRate(ingested_at=arrival, day=moment.date(), currency=currency, usd_rate=rate)
