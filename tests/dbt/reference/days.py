"""What a subscription is on a day: one row per subscription and day on which some part of it was entitled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

from tests.dbt.reference.accounts import Accounts, Holder
from tests.dbt.reference.company import Catalogue, ListPrice, Plan, ProviderFee, Window
from tests.dbt.reference.lives import Life, Standing
from tests.dbt.reference.money import ZERO, Rhythm, cents, in_usd, is_same_rhythm, monthly

DAY = timedelta(days=1)

Cell = tuple[str, str | None, str, str | None]
"""Market, plan kind, provider and currency."""


def midnight(day: date) -> datetime:
    """00:00 UTC of the day."""
    return datetime.combine(day, time(), UTC)


def days_between(first: date, last: date) -> list[date]:
    """Days from the first to the last, both inclusive."""
    return [first + DAY * n for n in range((last - first).days + 1)]


class Prices:
    """The catalogue, asked by day."""

    def __init__(self, catalogue: Catalogue, window: Window) -> None:
        self._plans = {plan.plan_id: plan for plan in catalogue.plans}
        self._prices = [price for price in catalogue.prices if window.knows(price.ingested_at.date())]
        self._first_catalogue = min((p.ingested_at.date() for p in self._prices), default=date.max)
        self._vat = sorted(catalogue.vat, key=lambda v: v.valid_from)
        self._fees = catalogue.fees
        # A dollar is a dollar, unless the feed says otherwise.
        self._rates: dict[str, dict[date, Decimal]] = {"USD": {date.min: Decimal(1)}}
        for rate in sorted(catalogue.rates, key=lambda r: r.ingested_at):
            if window.knows(rate.ingested_at.date()):
                self._rates.setdefault(rate.currency, {})[rate.day] = rate.usd_rate

    def plan(self, plan_id: str | None) -> Plan | None:
        """The plan, None where the catalogue lacks it."""
        return self._plans.get(plan_id) if plan_id else None

    def kind(self, plan_id: str | None) -> str | None:
        """Kind of the plan, None where the catalogue lacks it."""
        plan = self.plan(plan_id)
        return plan.kind if plan else None

    def usd_rate(self, currency: str | None, day: date) -> Decimal | None:
        """The latest rate of the day or before."""
        rates = self._rates.get(currency or "", {})
        known = [on for on in rates if on <= day]
        return rates[max(known)] if known else None

    def rhythm(self, standing: Standing) -> Rhythm | None:
        """What the price pays for: of the events, else of the plan."""
        plan = self.plan(standing.plan_id)
        return standing.rhythm or (plan.rhythm if plan else None)

    def quoted(self, standing: Standing, market: str, day: date) -> Standing:
        """The standing with a price: of the events, else the catalogue's of the day, as the day knew it."""
        plan = self.plan(standing.plan_id)
        if standing.price_amount is not None or standing.is_price_unknown or plan is None:
            return standing
        # A list price is for the plan's own rhythm.
        if standing.rhythm is not None and not is_same_rhythm(standing.rhythm, plan.rhythm):
            return standing
        known: dict[str, list[ListPrice]] = {}
        for price in self._prices:
            is_meant = (price.plan_id, price.market) == (plan.plan_id, market) and price.valid_from <= day
            if is_meant and price.ingested_at.date() <= max(day, self._first_catalogue):
                known.setdefault(price.currency, []).append(price)
        # A currency that is not told is guessed only where there is no other.
        currency = standing.currency or (next(iter(known)) if len(known) == 1 else None)
        if currency not in known:
            return standing
        newest = max(known[currency], key=lambda p: (p.valid_from, p.ingested_at))
        return replace(standing, price_amount=newest.price_amount, currency=currency)

    def listed(self, standing: Standing, market: str, day: date, known_on: date) -> Decimal | None:
        """The list price of a day in the market and the standing's currency, by what another knew."""
        meant = [
            price
            for price in self._prices
            if (price.plan_id, price.market, price.currency) == (standing.plan_id, market, standing.currency)
            and price.valid_from <= day
            and price.ingested_at.date() <= max(known_on, self._first_catalogue)
        ]
        return max(meant, key=lambda p: (p.valid_from, p.ingested_at)).price_amount if meant else None

    def mrr(self, standing: Standing) -> Decimal | None:
        """Monthly recurring revenue in currency of a quoted standing; 0 in trial and when not entitled."""
        return monthly(standing.price_amount, self.rhythm(standing)) if standing.is_paid else ZERO

    def net(
        self, mrr: Decimal | None, standing: Standing, provider: str, market: str, day: date, tenure_days: int
    ) -> Decimal | None:
        """The revenue without VAT, and without the provider's fee of what remains."""
        if mrr is None:
            return None
        untaxed = self.untaxed(mrr, standing.plan_id, standing.currency, market, day)
        fee = self.fee(provider, day, tenure_days)
        return untaxed - cents(untaxed * (fee.basis_points if fee else 0) / 10_000)

    def untaxed(
        self, amount: Decimal, plan_id: str | None, currency: str | None, market: str, day: date
    ) -> Decimal:
        """The amount without the VAT of the day, where the list price includes it."""
        listed = [
            price.tax_inclusive
            for price in sorted(self._prices, key=lambda p: (p.valid_from, p.ingested_at))
            if price.plan_id == plan_id
            and price.market == market
            and price.currency == currency
            and price.valid_from <= day
        ]
        vat = [rate.basis_points for rate in self._vat if rate.market == market and rate.valid_from <= day]
        is_inclusive = listed[-1] if listed else True
        return cents(amount * 10_000 / (10_000 + (vat[-1] if vat and is_inclusive else 0)))

    def fee(self, provider: str | None, day: date, tenure_days: int) -> ProviderFee | None:
        """What the provider keeps of a subscription of that age."""
        # A newer rule replaces all older ones of the provider, whatever the tenure.
        since = max(
            (f.valid_from for f in self._fees if f.provider == provider and f.valid_from <= day), default=None
        )
        steps = [f for f in self._fees if f.provider == provider and f.valid_from == since]
        reached = [step for step in steps if step.from_tenure_days <= tenure_days]
        return max(reached, key=lambda s: s.from_tenure_days) if reached else None


@dataclass(frozen=True)
class SubscriptionDay:
    """A subscription on a day; money at the close."""

    day: date
    life: Life
    told: Standing
    standing: Standing
    """With the catalogue's price where none was told."""
    provider: str
    holder_account_id: str
    holder: Holder
    plan_kind: str | None
    rhythm: Rhythm | None
    was_active_at_start: bool
    was_active_at_end: bool
    mrr: Decimal | None
    mrr_usd: Decimal | None
    net: Decimal | None
    net_usd: Decimal | None
    usd_rate: Decimal | None
    started_at: datetime
    tenure_days: int
    paid_until: datetime | None
    cancelled_at: datetime | None

    @property
    def cell(self) -> Cell:
        return self.holder.market, self.plan_kind, self.provider, self.standing.currency


def subscription_days(
    life: Life, accounts: Accounts, prices: Prices, first: date, last: date
) -> Iterator[SubscriptionDay]:
    """The entitled days of a life; of accounts that are excluded as well."""
    started_at = life.started_at
    entitled = [period for period in life.periods if period.standing.is_entitled]
    if started_at is None:
        return
    for day in days_between(max(first, started_at.date()), last):
        begins, ends = midnight(day), midnight(day + DAY)
        parts = [p for p in entitled if p.since < ends and (p.until is None or p.until > begins)]
        if not parts:
            continue
        part = parts[-1]
        account_id = part.standing.account_id or ""
        holder = accounts.on(account_id, day)
        standing = prices.quoted(part.standing, holder.market, day)
        provider = part.opening.deciding.provider
        was_active_at_end = part.until is None or part.until >= ends
        tenure_days = (day - started_at.date()).days
        rate = prices.usd_rate(standing.currency, day)
        mrr = prices.mrr(standing) if was_active_at_end else ZERO
        net = prices.net(mrr, standing, provider, holder.market, day, tenure_days)
        yield SubscriptionDay(
            day, life, part.standing, standing, provider, account_id, holder,
            prices.kind(standing.plan_id), prices.rhythm(standing),
            parts[0].since <= begins, was_active_at_end,
            mrr, in_usd(mrr, rate), net, in_usd(net, rate), rate, started_at, tenure_days,
            life.paid_until(part.since, min(part.until or ends, ends)), life.cancelled_at(part.since),
        )  # fmt: skip


def subscription_numbers(lives: Iterable[Life], accounts: Accounts, day: date) -> dict[tuple[str, str], int]:
    """(account, subscription) → its number among the account's subscriptions, by first entitlement.

    A subscription counts for whoever any of its holders is on the day.
    """
    held: dict[str, list[tuple[datetime, str]]] = {}
    for life in lives:
        if life.started_at is None:
            continue
        holders = {
            accounts.on(period.standing.account_id or "", day).account_id
            for period in life.periods
            if period.standing.is_entitled
        }
        for account_id in holders:
            held.setdefault(account_id, []).append((life.started_at, life.subscription_id))
    return {
        (account_id, subscription_id): number
        for account_id, subscriptions in held.items()
        for number, (_, subscription_id) in enumerate(sorted(subscriptions), start=1)
    }


@dataclass(frozen=True)
class Closing:
    """A subscription's close of a day beside the one before; at least one of them is active."""

    day: date
    subscription_id: str
    account_id: str
    before: SubscriptionDay | None
    after: SubscriptionDay | None

    @property
    def is_same_cell(self) -> bool:
        return bool(self.before and self.after and self.before.cell == self.after.cell)


def closings(days: Iterable[SubscriptionDay], accounts: Accounts, window: Window) -> list[Closing]:
    """Each day's close beside the one before; both of whoever the account is on the day."""
    closes = {
        (row.life.subscription_id, row.day): row
        for row in days
        if row.was_active_at_end and not row.holder.is_excluded
    }
    found = []
    for yesterday, today in pairwise(days_between(window.start - DAY, window.end)):
        for subscription_id in sorted({name for name, day in closes if day in (yesterday, today)}):
            before = closes.get((subscription_id, yesterday))
            after = closes.get((subscription_id, today))
            known = after or before
            assert known is not None
            holder = accounts.on(known.holder_account_id, today)
            found.append(Closing(today, subscription_id, holder.account_id, before, after))
    return found
