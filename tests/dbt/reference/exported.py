"""Subscriptions that exports tell of, several times: each says something else, or less, than before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from tests.dbt.reference.company import Event

DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Period:
    start: datetime
    end: datetime | None
    account_id: str
    plan_id: str
    price: Decimal
    is_trial: bool


def exported(
    random: Random, subscription_ids: Sequence[str], account_ids: Sequence[str], begins: datetime, days: int
) -> list[Event]:
    """What two to four exports say of the subscriptions; none of them need name each, or all of its past."""
    arrivals = sorted(random.sample(range(4, days), random.choice((2, 3, 4))))
    truths = {each: list(_truth(random, account_ids, begins, days)) for each in subscription_ids}
    events: list[Event] = []
    for arrival in arrivals:
        covers = random.choice(("rolling", "rolling", "rolling", "partial", "complete"))
        arrived = begins.replace(hour=0) + DAY * arrival
        for subscription_id, truth in truths.items():
            if random.randrange(5):
                said = _said(random, truth, arrived)
                events += _events(subscription_id, said, arrived, covers)
    return events


def _truth(random: Random, accounts: Sequence[str], begins: datetime, days: int) -> Iterator[_Period]:
    start = begins.replace(hour=0) + DAY * random.randrange(days // 2)
    is_trial, account_id = random.randrange(3) == 0, random.choice(accounts)
    plan_id, price = "solo", Decimal("9.99")
    for _ in range(random.choice((1, 2, 3, 4, 5))):
        end = start + DAY * random.choice((1, 7, 7, 14, 30)) + timedelta(hours=random.choice((0, 0, 0, 10)))
        yield _Period(start, end, account_id, plan_id, Decimal(0) if is_trial else price, is_trial)
        start = end + DAY * random.choice((0, 0, 0, 3))
        is_trial = False
        if random.randrange(3) == 0:
            plan_id, price = random.choice((("solo", Decimal("10.99")), ("home", Decimal("14.99"))))
    if random.randrange(2):
        yield _Period(start, None, account_id, plan_id, price, False)


def _said(random: Random, truth: Sequence[_Period], arrived: datetime) -> list[_Period]:
    """Of what has begun a part without a gap in the middle, perhaps with another beginning or end."""
    begun = [period for period in truth if period.start < arrived + DAY]
    said = begun[random.choice((0, 0, 1, 2, 3)) :]
    if said and random.randrange(4) == 0:
        said = said[:-1]
    if said and random.randrange(4) == 0:
        moved = min(said[0].start + DAY * random.choice((1, 2)), said[0].end or arrived)
        said[0] = _replaced(said[0], start=moved)
    if said and random.randrange(4) == 0 and said[-1].start < arrived:
        said[-1] = _replaced(said[-1], end=said[-1].start + DAY * random.choice((0, 1, 5)))
    return said


def _replaced(period: _Period, start: datetime | None = None, end: datetime | None = None) -> _Period:
    return _Period(
        start or period.start, end or period.end, period.account_id, period.plan_id, period.price,
        period.is_trial,
    )  # fmt: skip


def _events(
    subscription_id: str, periods: Sequence[_Period], arrived: datetime, covers: str
) -> Iterator[Event]:
    for before, period, after in zip([None, *periods], periods, [*periods[1:], None], strict=False):
        if before is None or before.end != period.start:
            kind = "started" if before is None else "reactivated"
            kind = "trial_started" if period.is_trial else kind
        elif before.is_trial:
            kind = "trial_converted"
        else:
            is_same = (before.plan_id, before.price) == (period.plan_id, period.price)
            kind = "renewed" if is_same else "plan_changed"
        yield _event(subscription_id, kind, period.start, period, arrived, covers)
        if period.end and period.end < arrived + DAY and not (after and after.start == period.end):
            yield _event(subscription_id, "expired", period.end, period, arrived, covers)


def _event(
    subscription_id: str, kind: str, at: datetime, period: _Period, arrived: datetime, covers: str
) -> Event:
    is_end = kind == "expired"
    return Event(
        provider="periods",
        provider_event_id=f"{subscription_id}:{at:%Y%m%d%H}:{'end' if is_end else 'start'}",
        subscription_id=subscription_id,
        event_type=kind,
        occurred_at=at,
        ingested_at=arrived,
        account_id=period.account_id,
        plan_id=None if is_end else period.plan_id,
        price_amount=None if is_end else period.price,
        currency=None if is_end else "EUR",
        interval=None if is_end else "month",
        trial_ends_at=period.end if period.is_trial and not is_end else None,
        period_start_at=period.start,
        period_end_at=period.end,
        reason="voluntary" if is_end else None,
        export_name="billing",
        export_covers=covers,
    )
