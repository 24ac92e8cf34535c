"""What happened to subscriptions: notifications, what is missing at the source, set-apart accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tests.dbt.reference.accounts import UNKNOWN_MARKET, Accounts, Holder
from tests.dbt.reference.company import Event, Window
from tests.dbt.reference.days import DAY, Prices, SubscriptionDay, midnight
from tests.dbt.reference.instants import RANK
from tests.dbt.reference.lives import Life, Period, Standing
from tests.dbt.reference.money import ZERO, in_usd

Row = dict[str, object]

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class _Side:
    """A subscription just before an event, or from it on."""

    standing: Standing | None
    holder: Holder
    is_counted: bool
    mrr: Decimal | None
    mrr_usd: Decimal | None


def event_rows(
    lives: Iterable[Life],
    days: Iterable[SubscriptionDay],
    accounts: Accounts,
    prices: Prices,
    window: Window,
) -> list[Row]:
    """The rows of ``fct_subscription_event``."""
    rows = [row for life in lives for row in _life_rows(life, accounts, prices, window)]
    return rows + list(_account_changes(days, accounts, prices, window))


def _life_rows(life: Life, accounts: Accounts, prices: Prices, window: Window) -> Iterator[Row]:
    begins, ends = midnight(window.start), midnight(window.end + DAY)
    happened = [("original", event, event.provider_event_id) for event in life.events]
    for period in life.periods:
        if period.opening.origin != "original":
            origin, at = period.opening.origin, period.since
            happened.append(
                (origin, period.opening.deciding, _synthetic_id(origin, life.subscription_id, at))
            )
    happened = [entry for entry in happened if begins <= entry[1].occurred_at < ends]
    # The one that began a period decides its instant.
    deciding = {
        event.occurred_at: event for _, event, _ in sorted(happened, key=lambda entry: _rank(entry[1]))
    }
    deciding |= {period.since: period.opening.deciding for period in life.periods}
    for origin, event, event_id in happened:
        before, after = life.just_before(event.occurred_at), life.at(event.occurred_at)
        is_deciding = deciding[event.occurred_at] is event
        # The others show how things stood before, on both sides.
        shown = after if is_deciding or before is None else before
        account_id = (shown.standing.account_id if shown else event.account_id) or ""
        holder = accounts.on(account_id, event.occurred_at.date())
        to = after if is_deciding else before
        row = _row(life, origin, event, event_id, before, to, account_id, accounts, prices)
        if row is not None:
            yield row | {"account_id": holder.account_id, "market": holder.market}


def _rank(event: Event) -> tuple[int, str, str]:
    return RANK[event.event_type], event.provider_event_id, event.provider


def _synthetic_id(origin: str, subscription_id: str, at: datetime) -> str:
    micros = round(at.timestamp() * _MICROSECONDS)
    return f"{origin}:{subscription_id}:{micros}"


def _row(
    life: Life,
    origin: str,
    event: Event,
    event_id: str,
    before: Period | None,
    after: Period | None,
    account_id: str,
    accounts: Accounts,
    prices: Prices,
) -> Row | None:
    """None when the event is that of an account which is excluded before and after."""
    day = event.occurred_at.date()
    from_side = _side(before.standing if before else None, account_id, day, accounts, prices)
    to_side = _side(after.standing if after else None, account_id, day, accounts, prices)
    holders = [side.holder for side in (from_side, to_side) if side.standing] or [to_side.holder]
    if all(holder.is_excluded for holder in holders):
        return None
    is_first = life.started_at is not None and event.occurred_at <= life.started_at
    end_reason = after.end_reason if after and after.since == event.occurred_at else None
    return _mart_row(event, event_id, origin, from_side, to_side, is_first, end_reason, prices) | {
        "subscription_id": life.subscription_id,
        "ingested_at": event.ingested_at if origin == "original" else None,
    }


def _side(standing: Standing | None, fallback: str, day: object, accounts: Accounts, prices: Prices) -> _Side:
    account_id = standing.account_id or "" if standing else fallback
    holder = accounts.on(account_id, day)  # type: ignore[arg-type]
    is_counted = standing is not None and standing.is_entitled and not holder.is_excluded
    standing = prices.quoted(standing, holder.market, day) if standing else None  # type: ignore[arg-type]
    mrr = prices.mrr(standing) if standing and is_counted else ZERO
    rate = prices.usd_rate(standing.currency, day) if standing else None  # type: ignore[arg-type]
    return _Side(standing, holder, is_counted, mrr, in_usd(mrr, rate))


def _mart_row(
    event: Event,
    event_id: str,
    origin: str,
    before: _Side,
    after: _Side,
    is_first: bool,
    end_reason: str | None,
    prices: Prices,
) -> Row:
    was, now = before.standing or Standing(), after.standing or Standing()
    is_start = after.is_counted and not before.is_counted
    is_end = before.is_counted and not after.is_counted
    return {
        "event_date": event.occurred_at.date(),
        "provider": event.provider,
        "provider_event_id": event_id,
        "event_type": event.event_type,
        "origin": origin,
        "occurred_at": event.occurred_at,
        "plan_kind": prices.kind(now.plan_id),
        "from_state": was.state,
        "to_state": now.state,
        "transition": _transition(before, after, is_first),
        "is_start": is_start,
        "is_end": is_end,
        "starts": int(is_start),
        "ends": int(is_end),
        "from_plan_id": was.plan_id,
        "to_plan_id": now.plan_id,
        "currency_before": was.currency,
        "currency_after": now.currency,
        "mrr_before_amount": before.mrr,
        "mrr_after_amount": after.mrr,
        "mrr_before_usd_amount": before.mrr_usd,
        "mrr_after_usd_amount": after.mrr_usd,
        "reason": event.reason,
        "end_reason": (end_reason or "admin") if is_end else None,
        "offer_id": event.offer_id,
    }


def _transition(before: _Side, after: _Side, is_first: bool) -> str:
    was, now = before.standing or Standing(), after.standing or Standing()
    if after.is_counted and not before.is_counted:
        return "started" if is_first else "returned"
    if before.is_counted and not after.is_counted:
        return "ended"
    if was.state != now.state:
        return "converted" if now.is_paid and not was.is_paid else "state_changed"
    if was.plan_id != now.plan_id:
        if before.mrr_usd is None or after.mrr_usd is None or before.mrr_usd == after.mrr_usd:
            return "switched"
        return "upgraded" if after.mrr_usd > before.mrr_usd else "downgraded"
    if was.currency != now.currency:
        return "currency_changed"
    # The same price for a longer time is another price.
    is_same = was.price_amount == now.price_amount and before.mrr == after.mrr
    return "unchanged" if is_same else "price_changed"


def _account_changes(
    days: Iterable[SubscriptionDay], accounts: Accounts, prices: Prices, window: Window
) -> Iterator[Row]:
    """A subscription that goes on leaves the marts when its account is excluded, and enters again."""
    for row in days:
        day = row.day + DAY
        if not (window.start <= day <= window.end) or not row.was_active_at_end:
            continue
        holder = accounts.on(row.holder_account_id, day)
        if holder.is_excluded == row.holder.is_excluded:
            continue
        standing = prices.quoted(row.told, holder.market, day)
        mrr = prices.mrr(standing)
        mrr_usd = in_usd(mrr, prices.usd_rate(standing.currency, day))
        counted = _Side(standing, holder, True, mrr, mrr_usd)
        apart = _Side(standing, holder, False, ZERO, ZERO)
        before, after = (counted, apart) if holder.is_excluded else (apart, counted)
        kind = "account_set_apart" if holder.is_excluded else "account_readmitted"
        name = f"synthetic_account_change:{row.life.subscription_id}:{day.isoformat()}"
        event = Event(row.provider, name, row.life.subscription_id, kind, midnight(day), midnight(day))
        yield _mart_row(
            event, name, "synthetic_account_change", before, after, False, "admin", prices
        ) | {
            "subscription_id": row.life.subscription_id,
            "account_id": holder.account_id,
            "market": holder.market or UNKNOWN_MARKET,
            "ingested_at": None,
        }  # fmt: skip
