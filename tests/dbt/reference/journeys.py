"""The journeys of offers, happening by happening, with all of history at hand and no checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Company, Window
from tests.dbt.reference.days import DAY, midnight
from tests.dbt.reference.lives import Life, lives

QUIET = timedelta(days=7)
LONGEST = timedelta(days=45)
CLOCKS = timedelta(minutes=5)

Row = dict[str, Any]


@dataclass(frozen=True)
class Impression:
    """A delivery of an impression, or of what a control arm would have been shown."""

    impression_id: str
    account_id: str
    offer_id: str
    surface: str
    occurred_at: datetime
    ingested_at: datetime
    is_shown: bool | None = None
    generation: int | None = None
    market: str = "SE"


@dataclass(frozen=True)
class Click:
    """A delivery of a click."""

    click_id: str
    impression_id: str
    occurred_at: datetime
    ingested_at: datetime


@dataclass(frozen=True)
class Checkout:
    """A delivery of a checkout."""

    checkout_id: str
    click_id: str
    occurred_at: datetime
    ingested_at: datetime


@dataclass(frozen=True)
class Shop:
    """A company with what its surfaces told."""

    company: Company
    impressions: tuple[Impression, ...] = ()
    clicks: tuple[Click, ...] = ()
    checkouts: tuple[Checkout, ...] = ()

    def named(self, prefix: str) -> Shop:
        """The same with every identifier of its own under a prefix; offers are everybody's."""

        def renamed(rows: tuple[Any, ...], *names: str) -> tuple[Any, ...]:
            return tuple(replace(row, **{n: prefix + getattr(row, n) for n in names}) for row in rows)

        return Shop(
            self.company.named(prefix),
            renamed(self.impressions, "impression_id", "account_id"),
            renamed(self.clicks, "click_id", "impression_id"),
            renamed(self.checkouts, "checkout_id", "click_id"),
        )


@dataclass
class Journey:
    """A flight of an offer to an account, as far as the walk has come."""

    number: int
    opening: Impression
    market: str
    last_touch_at: datetime
    impressions: list[Impression] = field(default_factory=list)
    clicks: list[tuple[Click, datetime]] = field(default_factory=list)
    checkouts: list[datetime] = field(default_factory=list)
    start: Start | None = None
    is_last_touch: bool = False
    is_first_touch: bool = False

    @property
    def opened_at(self) -> datetime:
        return self.opening.occurred_at

    @property
    def window_ends_at(self) -> datetime:
        return min(self.last_touch_at + QUIET, self.opened_at + LONGEST)

    def is_open(self, moment: datetime) -> bool:
        return self.start is None and moment < self.window_ends_at


@dataclass(frozen=True)
class Start:
    """A trial, a start or a return."""

    at: datetime
    account_id: str
    subscription_id: str
    kind: str


def starts(known: Iterable[Life], accounts: Accounts) -> list[Start]:
    """Whatever is entitled that was not, but for what goes on: see ``docs/decisions.md``."""
    found = []
    for life in known:
        state, was_entitled = None, False
        for period in life.periods:
            standing, deciding = period.standing, period.opening.deciding
            if standing.state is None:
                continue
            begins = standing.is_entitled and not was_entitled and period.opening.origin == "original"
            is_opening = deciding.event_type in ("trial_started", "started", "reactivated")
            if begins and (state in (None, "ended") or is_opening):
                holder = accounts.on(standing.account_id or "", period.since.date())
                kind = "trial" if standing.state == "trial" else "paid"
                found.append(Start(period.since, holder.account_id, life.subscription_id, kind))
            state, was_entitled = standing.state, standing.is_entitled
    return found


def _first_deliveries(rows: Iterable[Any], key: str, window: Window) -> dict[str, Any]:
    """Of the deliveries of one thing the first that the run knows."""
    found: dict[str, Any] = {}
    for row in sorted(rows, key=lambda r: r.ingested_at):
        if window.knows(row.ingested_at.date()):
            found.setdefault(getattr(row, key), row)
    return found


def journeys(shop: Shop, window: Window) -> list[Row]:
    """Rows of ``fct_offer_journey`` that the run builds, without money and experiments."""
    known = lives(shop.company.events, window)
    paid = {life.subscription_id: life for life in known}
    until = midnight(window.as_of + DAY)
    return [
        _row(account_id, journey, paid, until)
        for account_id, journey in _flights(shop, window, known)
        if window.start - LONGEST <= journey.opened_at.date() <= window.end
    ]


def last_touches(shop: Shop, window: Window) -> dict[tuple[str, datetime], str]:
    """Of each trial that a journey led to, by subscription and start, the offer that is credited."""
    return {
        (journey.start.subscription_id, journey.start.at): journey.opening.offer_id
        for _, journey in _flights(shop, window, lives(shop.company.events, window))
        if journey.start is not None and journey.start.kind == "trial" and journey.is_last_touch
    }


def _flights(shop: Shop, window: Window, known: list[Life]) -> list[tuple[str, Journey]]:
    """Every journey that there ever was, with its account."""
    accounts = Accounts(shop.company.accounts, window)
    until = midnight(window.as_of + DAY)
    introduced = {v.account_id for v in shop.company.accounts if window.knows(v.arrival_date)}
    impressions = _first_deliveries(shop.impressions, "impression_id", window)
    clicks = _first_deliveries(shop.clicks, "click_id", window)
    checkouts = _first_deliveries(shop.checkouts, "checkout_id", window)

    happenings: list[tuple[datetime, int, str, Any]] = []
    holders: dict[str, tuple[str, str]] = {}
    for impression in impressions.values():
        holder = accounts.on(impression.account_id, impression.occurred_at.date())
        counts = impression.is_shown is not False and impression.account_id in introduced
        if counts and not holder.is_excluded and impression.occurred_at < until:
            holders[impression.impression_id] = holder.account_id, holder.market
            happenings.append((impression.occurred_at, 0, impression.impression_id, impression))
    clicked_at: dict[str, datetime] = {}
    for click in clicks.values():
        if click.impression_id in holders and click.occurred_at < until:
            shown_at = impressions[click.impression_id].occurred_at
            if shown_at - CLOCKS <= click.occurred_at < shown_at + QUIET:
                clicked_at[click.click_id] = max(shown_at, click.occurred_at)
                happenings.append((clicked_at[click.click_id], 1, click.click_id, click))
    known_starts = (start for start in starts(known, accounts) if start.at < until)
    happenings += [(start.at, 2, start.subscription_id, start) for start in known_starts]

    flights: dict[tuple[str, str], list[Journey]] = {}
    of_impression: dict[str, Journey] = {}
    for moment, _, _, happening in sorted(happenings, key=lambda h: h[:3]):
        if isinstance(happening, Start):
            _convert(happening, flights)
            continue
        shown = happening if isinstance(happening, Impression) else impressions[happening.impression_id]
        account_id, market = holders[shown.impression_id]
        theirs = flights.setdefault((account_id, shown.offer_id), [])
        latest = theirs[-1] if theirs else None
        if isinstance(happening, Impression):
            if latest is None or not latest.is_open(moment):
                latest = Journey(len(theirs) + 1, happening, market, moment)
                theirs.append(latest)
            latest.impressions.append(happening)
            of_impression[happening.impression_id] = latest
            latest.last_touch_at = moment
        elif latest is not None and latest.is_open(moment):
            latest.last_touch_at = moment

    _count(clicks, clicked_at, checkouts, of_impression, until)
    return [(account_id, journey) for (account_id, _), theirs in flights.items() for journey in theirs]


def _convert(start: Start, flights: dict[tuple[str, str], list[Journey]]) -> None:
    """A start ends whatever is open of its account, and is credited once each way."""
    converted = [
        theirs[-1]
        for (account_id, _), theirs in flights.items()
        if account_id == start.account_id and theirs[-1].is_open(start.at)
    ]
    for journey in converted:
        journey.start = start
    if converted:
        # Ties go to the offer that comes first by name.
        converted.sort(key=lambda j: j.opening.offer_id)
        max(converted, key=lambda j: (j.last_touch_at, j.opened_at)).is_last_touch = True
        min(converted, key=lambda j: j.opened_at).is_first_touch = True


def _count(
    clicks: dict[str, Click],
    clicked_at: dict[str, datetime],
    checkouts: dict[str, Checkout],
    of_impression: dict[str, Journey],
    until: datetime,
) -> None:
    for click_id, moment in clicked_at.items():
        journey = of_impression[clicks[click_id].impression_id]
        if moment < journey.window_ends_at:
            journey.clicks.append((clicks[click_id], moment))
            for checkout in checkouts.values():
                at = checkout.occurred_at
                if (
                    checkout.click_id == click_id
                    and moment - CLOCKS <= at < moment + QUIET
                    and at < min(journey.window_ends_at, until)
                ):
                    journey.checkouts.append(max(at, moment))


def _row(account_id: str, journey: Journey, known: dict[str, Life], until: datetime) -> Row:
    start, ends = journey.start, journey.window_ends_at
    reason = "converted" if start else None
    if reason is None and ends <= until:
        reason = "quiet" if ends < journey.opened_at + LONGEST else "too_old"
    paid_at = start.at if start and start.kind == "paid" else None
    if start and start.kind == "trial":
        counts_until = min(journey.opened_at + LONGEST, until)
        paid = [
            p.since
            for p in known[start.subscription_id].periods
            if p.standing.is_paid and start.at <= p.since < counts_until
        ]
        paid_at = min(paid, default=None)
    early = [click for click, moment in journey.clicks if click.occurred_at < moment]
    return {
        "journey_date": journey.opened_at.date(),
        "account_id": account_id,
        "offer_id": journey.opening.offer_id,
        "journey_number": journey.number,
        "market": journey.market,
        "opened_at": journey.opened_at,
        "impressions": len(journey.impressions),
        "clicks": len(journey.clicks),
        "checkouts": len(journey.checkouts),
        "has_early_click": bool(early),
        "first_touch_at": journey.opened_at,
        "first_click_at": min((moment for _, moment in journey.clicks), default=None),
        "first_checkout_at": min(journey.checkouts, default=None),
        "last_touch_at": journey.last_touch_at,
        "converted_at": start.at if start else None,
        "converted_subscription_id": start.subscription_id if start else None,
        "conversion_type": start.kind if start else None,
        "is_last_touch_conversion": journey.is_last_touch,
        "is_first_touch_conversion": journey.is_first_touch,
        "trial_started_at": start.at if start and start.kind == "trial" else None,
        "paid_at": paid_at,
        "ended_at": start.at if start else ends if ends <= until else None,
        "end_reason": reason,
        "is_mature": until >= ends,
        "is_closed": until >= journey.opened_at + LONGEST,
    }
