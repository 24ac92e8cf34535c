"""The life of a subscription, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise, zip_longest

from tests.dbt.reference.company import Event, Window
from tests.dbt.reference.exports import UNTOLD_END, held
from tests.dbt.reference.instants import (
    ENDS,
    OPENINGS,
    STARTS,
    entered_state,
    in_order,
    tells_no_start,
    told_in_order,
)
from tests.dbt.reference.money import Rhythm

UNTIL_FURTHER_NOTICE = datetime.max.replace(tzinfo=UTC)

ENTITLED = {"trial", "active", "grace"}
PAYMENTS = {"renewed", "recovered", "started", "reactivated"}
FAILED_CHARGES = {"grace_started", "billing_retry_started"}
FIRST_CHARGE = timedelta(days=3)
"""How long after a trial its first charge is made at the latest."""


@dataclass(frozen=True)
class Standing:
    """What is known of a subscription at a moment."""

    state: str | None = None
    account_id: str | None = None
    plan_id: str | None = None
    price_amount: Decimal | None = None
    is_price_unknown: bool = False
    currency: str | None = None
    rhythm: Rhythm | None = None
    auto_renew: bool | None = None
    paid_until: datetime | None = field(default=None, compare=False)
    was_last: str | None = field(default=None, compare=False)
    """Trial, active, or active before a first charge that failed (uncharged): whichever was entered last."""

    def told(self, event: Event, *, is_charged: bool = True) -> Standing:
        """What an event does not say stays as it was."""
        entered = entered_state(event) if is_charged else "uncharged"
        said = {
            "account_id": event.account_id,
            "plan_id": event.plan_id,
            "currency": event.currency,
            "rhythm": (event.interval, event.interval_count or 1) if event.interval else None,
            "auto_renew": event.auto_renew,
            "paid_until": event.period_end_at or event.trial_ends_at or _open_end(event),
            "was_last": entered if entered in ("trial", "active", "uncharged") else None,
        }
        # A price that nobody tells takes the place of the one before, and a told one its.
        price = self
        if event.price_amount is not None or event.is_price_unknown:
            price = replace(
                self, price_amount=event.price_amount, is_price_unknown=event.price_amount is None
            )
        return replace(price, **{name: value for name, value in said.items() if value is not None})

    @property
    def is_entitled(self) -> bool:
        return self.state in ENTITLED

    @property
    def is_paid(self) -> bool:
        """From a trial on nothing is paid until the first charge succeeds, whatever it is called by then."""
        if self.state == "active":
            return self.was_last != "uncharged"
        return self.state == "grace" and self.was_last not in ("trial", "uncharged")


@dataclass(frozen=True)
class Instant:
    """A moment at which something was heard or assumed, and how things stood from then on."""

    at: datetime
    deciding: Event
    origin: str
    standing: Standing
    is_conflict: bool = False


@dataclass(frozen=True)
class Period:
    """A stretch of a life in which nothing changed."""

    opening: Instant
    until: datetime | None
    end_reason: str | None

    @property
    def since(self) -> datetime:
        return self.opening.at

    @property
    def standing(self) -> Standing:
        return self.opening.standing

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Life:
    """A subscription: its notifications in order, and its periods."""

    subscription_id: str
    events: tuple[Event, ...]
    periods: tuple[Period, ...]
    instants: tuple[Instant, ...] = ()

    def paid_until(self, since: datetime, before: datetime) -> datetime | None:
        """The end of what is paid as the last that was heard in [since, before) left it; None: not told."""
        heard = [instant for instant in self.instants if since <= instant.at < before]
        until = heard[-1].standing.paid_until
        return None if until == UNTIL_FURTHER_NOTICE else until

    def cancelled_at(self, moment: datetime) -> datetime | None:
        """When auto-renew was switched off, where it is off and was or may have been on before."""
        switched_off_at = None
        heard = [instant for instant in self.instants if instant.at <= moment]
        for before, instant in pairwise(heard):
            if instant.standing.auto_renew is False and before.standing.auto_renew is not False:
                switched_off_at = instant.at
        return switched_off_at if heard[-1].standing.auto_renew is False else None

    @property
    def started_at(self) -> datetime | None:
        """When it was first entitled."""
        return min((p.since for p in self.periods if p.standing.is_entitled), default=None)

    @property
    def first_paid_at(self) -> datetime | None:
        """When it was first paid."""
        return min((p.since for p in self.periods if p.standing.is_paid), default=None)

    def at(self, moment: datetime) -> Period | None:
        """The period that covers a moment."""
        return next((p for p in self.periods if p.covers(moment)), None)

    def just_before(self, moment: datetime) -> Period | None:
        """The period that reaches up to a moment."""
        return next(
            (p for p in self.periods if p.since < moment and (p.until is None or p.until >= moment)), None
        )


def lives(deliveries: Iterable[Event], window: Window) -> list[Life]:
    """The lives of all subscriptions as the window's run knows them."""
    first: dict[tuple[str, str], Event] = {}
    heard = held(event for event in deliveries if window.knows(event.arrival_date))
    for event in sorted(heard, key=lambda e: (e.ingested_at, e.landing_row)):
        is_told = event.provider_event_id != UNTOLD_END
        own = "" if is_told else f"{event.subscription_id}:{event.occurred_at}"
        first.setdefault((event.provider, event.provider_event_id + own), event)
    known: dict[str, list[Event]] = {}
    for event in first.values():
        known.setdefault(event.subscription_id, []).append(event)
    tolerance = timedelta(days=window.renewal_tolerance_days)
    return [live(name, events, tolerance) for name, events in sorted(known.items())]


def live(subscription_id: str, events: Iterable[Event], tolerance: timedelta) -> Life:
    """One life out of its notifications, whatever order they are given in."""
    notified = sorted(events, key=lambda e: e.occurred_at)
    heard = [list(group) for _, group in groupby(notified, key=lambda e: e.occurred_at)]
    start = _missing_start(in_order(heard[0], was_running=tells_no_start(heard[0]))[0])
    instants: list[Instant] = []
    standing = Standing()
    due: datetime | None = None
    for together in [[start], *heard] if start else heard:
        at = together[0].occurred_at
        has_end = any(event.event_type in ENDS for event in together)
        is_end_in_time = has_end and due is not None and at <= due + timedelta(hours=24)
        if due is not None and due < at and not is_end_in_time:
            standing = _expire(instants, due)
        was_running = tells_no_start(together) if standing.state is None else standing.is_entitled
        is_conflict = False
        ordered = in_order(together, was_running=was_running)
        state = standing.state
        for event in ordered:
            if event.event_type in STARTS and state in ENTITLED:
                is_conflict = True
            state = entered_state(event) or state
        for event in told_in_order(together):
            standing = standing.told(event, is_charged=not _first_charge_fails(event, notified))
        standing = replace(standing, state=state)
        deciding = ordered[-1]
        origin = "synthetic_start" if deciding is start else "original"
        if deciding.provider_event_id == UNTOLD_END:
            origin = "synthetic_expiry"
        instants.append(Instant(at, deciding, origin, standing, is_conflict))
        due = _end_of_entitlement(standing, at, tolerance)
    if due is not None:
        _expire(instants, due)
    told = tuple(event for event in notified if event.provider_event_id != UNTOLD_END)
    return Life(subscription_id, told, tuple(_periods(instants)), tuple(instants))


def _first_charge_fails(event: Event, notified: list[Event]) -> bool:
    """Whether a trial is called converted and then the first that is heard of a charge is that it failed."""
    if event.event_type != "trial_converted":
        return False
    for later in notified:
        if later.occurred_at < event.occurred_at:
            continue
        beside = {each.event_type for each in notified if each.occurred_at == later.occurred_at}
        if beside & PAYMENTS:
            return False
        if beside & FAILED_CHARGES:
            return later.occurred_at - event.occurred_at <= FIRST_CHARGE
    return False


def _open_end(event: Event) -> datetime | None:
    """An export leaves the end of a period empty while it is open."""
    is_open = event.provider == "periods" and event.period_start_at is not None
    return UNTIL_FURTHER_NOTICE if is_open else None


def _missing_start(first: Event) -> Event | None:
    """The start that must have been when the first thing heard is something else."""
    if first.event_type in OPENINGS or first.period_start_at is None:
        return None
    if first.period_start_at >= first.occurred_at:
        return None
    return replace(
        first,
        provider_event_id="synthetic_start",
        event_type="started",
        occurred_at=first.period_start_at,
        auto_renew=None,
        reason="missing_at_source",
    )


def _end_of_entitlement(standing: Standing, at: datetime, tolerance: timedelta) -> datetime | None:
    """When the entitlement ends unless something is heard before."""
    if not standing.is_entitled or standing.paid_until in (None, UNTIL_FURTHER_NOTICE):
        return None
    assert standing.paid_until is not None
    base = max(standing.paid_until, at)
    if standing.auto_renew is False and standing.state in ("trial", "active"):
        return base
    return base + tolerance


def _expire(instants: list[Instant], due: datetime) -> Standing:
    """Add the expiry that is missing at the source; at an instant of the source's, it has the last word."""
    last = instants[-1]
    expiry = replace(
        last.deciding,
        provider_event_id="synthetic_expiry",
        event_type="expired",
        reason="missing_at_source",
        occurred_at=due,
        offer_id=None,
    )
    ended = replace(last.standing, state="ended")
    is_conflict = last.is_conflict and last.at == due
    if last.at == due:
        instants.pop()
    instants.append(Instant(due, expiry, "synthetic_expiry", ended, is_conflict))
    return ended


def _periods(instants: list[Instant]) -> Iterable[Period]:
    lived = [instant for instant in instants if instant.standing.state is not None]
    openings: list[tuple[Instant, str | None]] = []
    for before, instant in pairwise([None, *lived]):
        if before is None or _differs(before.standing, instant.standing) or instant.is_conflict:
            openings.append((instant, _end_reason(before, instant)))
    ends = [opening.at for opening, _ in openings[1:]]
    for (opening, end_reason), until in zip_longest(openings, ends):
        yield Period(opening, until, end_reason)


def _differs(before: Standing, after: Standing) -> bool:
    return before != after or before.is_paid != after.is_paid


def _end_reason(before: Instant | None, instant: Instant) -> str | None:
    """Why an entitlement ended; None where none did."""
    if before is None or not before.standing.is_entitled or instant.standing.is_entitled:
        return None
    said, state = instant.deciding.reason, instant.standing.state
    if state == "paused":
        return "paused"
    if instant.deciding.event_type == "revoked" or said in ("admin", "refund", "fraud"):
        return "admin"
    if said == "payment_failure" or state == "billing_retry":
        return "involuntary"
    if said == "voluntary":
        return "voluntary"
    if said not in (None, "missing_at_source"):
        return "other"
    if before.standing.state == "grace":
        return "involuntary"
    return "voluntary" if before.standing.auto_renew is False else "other"
