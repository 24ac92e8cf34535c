"""A plain billing export, one row per subscription period, as canonical landing files.

The periods of a subscription tell its life: the first starts it, a next one without a gap converts, changes
or renews it, an end that nothing follows ends it. What the export does not know (list prices, payments,
offers) is not invented: those tables arrive empty.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.landing.contracts import CONTRACTS, FxRate, Plan, SubscriptionEvent
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.period_map import PeriodMap
from loaders.landing.period_rows import (
    Period,
    PeriodsLanding,
    event_values,
    midnight,
    plan_values,
    read_accounts,
    read_periods,
    read_reasons,
)
from loaders.landing.row import LandingRow
from loaders.landing.schema import arrow_schema
from loaders.objects.store import ObjectStore


def land_periods(
    export: Path, period_map: PeriodMap, out: ObjectStore, arrival_date: date | None = None
) -> PeriodsLanding:
    """Write the landing files of a billing export below ``out``.

    With ``arrival_date`` everything arrives on that day, as an export does that is made once; without, every
    row arrives on the day it happened, as it would have been seen day by day. Refused rows are kept in
    ``<out>/_refused/<file>.ndjson``. Writing again replaces the same files.

    Raises:
        LandingError: a file cannot be read or lacks a column that the map names; nothing was written.
        ObjectStoreError: a landing file cannot be written.
    """
    result = PeriodsLanding()
    reasons = read_reasons(export, period_map, result)
    periods = read_periods(export, period_map, reasons, arrival_date, result)
    accounts = read_accounts(export, period_map, periods, arrival_date, result)
    if not periods:
        raise LandingError(f"{export.name}: no row can be read; the first: {_first(result)}")
    first = min(period.start for period in periods)
    events: list[LandingRow] = []
    for life in _chains(export.name, periods, result):
        result.periods_out += len(life)
        events += _events_of(life, arrival_date)
    events += accounts
    events += _plans(periods, arrival_date or first)
    events += _rates(period_map, first, arrival_date or first)
    _write(out, export.stem, events, result)
    return result


def _first(result: PeriodsLanding) -> str:
    return f"row {result.refused[0].row}: {result.refused[0].reason}" if result.refused else "it is empty"


def _chains(file: str, periods: list[Period], result: PeriodsLanding) -> Iterator[list[Period]]:
    """The periods of each subscription in order; one that overlaps its predecessor is refused."""
    lives: dict[str, list[Period]] = defaultdict(list)
    for period in sorted(periods, key=lambda period: (period.start, period.end or date.max, period.row)):
        life = lives[period.subscription_id]
        before = life[-1] if life else None
        if before and (before.end is None or before.end > period.start):
            _refuse(
                file,
                period,
                "start",
                f"starts on {period.start}, inside the period of row {before.row}",
                result,
            )
        elif before and before.account_id != period.account_id:
            _refuse(file, period, "account_id", f"belongs to {before.account_id} in row {before.row}", result)
        elif before and before.end == period.start and period.is_trial and not before.is_trial:
            _refuse(
                file,
                period,
                "is_trial",
                f"is a trial right after the paid period of row {before.row}",
                result,
            )
        else:
            life.append(period)
    return (life for life in lives.values() if life)


def _refuse(file: str, period: Period, column: str, reason: str, result: PeriodsLanding) -> None:
    payload = json.dumps(period.payload, ensure_ascii=False)
    result.refused.append(Refusal(file, period.row, column, f"{period.subscription_id} {reason}", payload))


def _events_of(life: list[Period], arrival_date: date | None) -> Iterator[LandingRow]:
    # A paid-up end that lies ahead is a plan, not a fact: it becomes an event when it has happened.
    known_until = arrival_date or datetime.now(UTC).date()
    for number, period in enumerate(life, 1):
        before = life[number - 2] if number > 1 else None
        after = life[number] if number < len(life) else None
        kind = _opening(before, period)
        yield _event(period, kind, period.start, number, arrival_date)
        followed = after is not None and after.start == period.end
        if period.end is not None and period.end <= known_until and not followed:
            yield _event(period, "expired", period.end, number, arrival_date)


def _opening(before: Period | None, period: Period) -> str:
    """The event with which a period begins, seen from the one before."""
    if before is None:
        return "trial_started" if period.is_trial else "started"
    if before.end != period.start:
        return "trial_started" if period.is_trial else "reactivated"
    if before.is_trial and not period.is_trial:
        return "trial_converted"
    return "plan_changed" if before.terms != period.terms else "renewed"


def _event(period: Period, kind: str, day: date, number: int, arrival_date: date | None) -> LandingRow:
    return SubscriptionEvent.model_validate(event_values(period, kind, day, number, arrival_date or day))


def _plans(periods: list[Period], arrival: date) -> list[LandingRow]:
    firsts = {period.plan_id: period for period in reversed(periods)}
    return [Plan.model_validate(plan_values(firsts[plan_id], arrival)) for plan_id in sorted(firsts)]


def _rates(period_map: PeriodMap, first: date, arrival: date) -> list[LandingRow]:
    return [
        FxRate(ingested_at=midnight(arrival), day=first, currency=currency, usd_rate=rate)
        for currency, rate in sorted(period_map.usd_rates.items())
    ]


def _write(out: ObjectStore, stem: str, rows: list[LandingRow], result: PeriodsLanding) -> None:
    """Every table's days as Parquet; a required table has a file, if an empty one, on every arrival day."""
    by_day: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_day[row.table, row.ingested_at.date()].append(row.model_dump())
    first, last = min(day for _, day in by_day), max(day for _, day in by_day)
    result.first_arrival, result.last_arrival = first, last
    for contract in CONTRACTS.values():
        if not contract.may_be_absent:
            for number in range((last - first).days + 1):
                by_day.setdefault((contract.table, first + timedelta(days=number)), [])
    counts: Counter[str] = Counter()
    for (table, day), dicts in sorted(by_day.items()):
        schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(CONTRACTS[table])])
        content = BytesIO()
        pq.write_table(pa.Table.from_pylist(dicts, schema=schema), content)
        out.write(f"{table}/{day}/{stem}.parquet", content)
        counts[table] += len(dicts)
    result.rows = dict(counts)
    refused = [json.dumps(asdict(refusal), ensure_ascii=False) + "\n" for refusal in result.refused]
    out.write(f"_refused/{stem}.ndjson", "".join(refused).encode())
