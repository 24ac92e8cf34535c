"""Which scores an account has on a day, of each model, from lists of what was delivered and without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import AccountVersion, Window
from tests.dbt.reference.days import days_between

SCORE_DAYS = 28
"""An older score is kept by nobody."""


@dataclass(frozen=True)
class Delivered:
    """A score as it arrived; ``is_own``: the platform has scored everybody of a model's population."""

    model: str
    account_id: str
    score: Decimal
    scored_at: datetime
    ingested_at: datetime
    is_own: bool

    @property
    def scored_date(self) -> date:
        return self.scored_at.date()

    @property
    def arrival_date(self) -> date:
        return self.ingested_at.date()


Held = tuple[date, str, str, int, date]
"""(day, account, model, ten-thousandths, scored on)."""


def held(delivered: Sequence[Delivered], versions: Sequence[AccountVersion], window: Window) -> set[Held]:
    """What every account holds on every day of the window."""
    accounts, introduced = Accounts(versions, window), {each.account_id for each in versions}
    first_arrival = min(each.arrival_date for each in versions if window.knows(each.arrival_date))
    known = [
        (each, accounts.on(each.account_id, each.scored_date).account_id)
        for each in _corrected(each for each in delivered if window.knows(each.arrival_date))
        if each.account_id in introduced
    ]
    scorings: dict[str, set[date]] = {}
    for each in delivered:
        if each.is_own:
            scorings.setdefault(each.model, set()).add(each.scored_date)
    found: set[Held] = set()
    for day in days_between(window.start, window.end):
        newest: dict[tuple[str, str], Delivered] = {}
        for each, account in known:
            has_arrived = each.arrival_date <= max(day, first_arrival)
            is_young = 0 <= (day - each.scored_date).days < SCORE_DAYS
            # Whom the platform did not score the last time has left the population, or nobody is scored now.
            last = max((on for on in scorings.get(each.model, ()) if on <= day), default=None)
            has_left = each.is_own and each.scored_date != last
            if has_arrived and is_young and not has_left:
                key = account, each.model
                newest[key] = max(newest.get(key, each), each, key=_recency)
        found |= {
            (day, account, model, _points(each), each.scored_date)
            for (account, model), each in newest.items()
        }
    return found


def _corrected(delivered: Iterable[Delivered]) -> Iterable[Delivered]:
    """Of one score the last delivery of each day of arrival."""
    last: dict[tuple[str, str, datetime, date], Delivered] = {}
    for each in sorted(delivered, key=lambda one: one.ingested_at):
        last[each.model, each.account_id, each.scored_at, each.arrival_date] = each
    return last.values()


def _recency(each: Delivered) -> tuple[datetime, date, int]:
    return each.scored_at, each.arrival_date, _points(each)


def _points(each: Delivered) -> int:
    return int(each.score * 10_000)
