"""How subscriptions live: billing periods one after the other, all subscriptions of a chunk at once.

The simulation writes down two things side by side: the events that providers would send, and the true state
intervals that tests compare the marts with. Neither is derived from the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from local.company.catalogue import (
    MARKETS,
    PLAN_IDS,
    PLAN_RHYTHM,
    PLAN_TRIAL_DAYS,
    PLANS,
    PROVIDERS,
    RHYTHM_DAYS,
    price_cents,
    price_change_us,
)
from local.company.providers import CANNOT_PAUSE, CANNOT_RETURN
from local.company.spec import DAY_US, CompanySpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

EVENT_TYPES = (
    "trial_started", "trial_converted", "started", "renewed", "plan_changed", "auto_renew_off",
    "auto_renew_on", "billing_retry_started", "grace_started", "recovered", "paused", "resumed",
    "refunded", "revoked", "expired", "reactivated",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(EVENT_TYPES)}
STATES = ("trial", "active", "grace")
REASONS = ("", "voluntary", "payment_failure", "other", "admin")
VOLUNTARY, PAYMENT_FAILURE, OTHER, ADMIN = range(1, len(REASONS))
HOUR_US = DAY_US // 24
SECOND_US = 1_000_000
EURO_MARKETS = [m for m, market in enumerate(MARKETS) if market.currency == "EUR"]
STERLING_MARKET = next(m for m, market in enumerate(MARKETS) if market.currency == "GBP")

INCIDENT_SHARES = np.array([0.005, 0.015, 0.006, 0.025, 0.008, 0.05])
"""How many monthly paid periods see each incident, in the order of the codes below."""
REVOKED, PAUSED, MOVED, CHANGED, REFUNDED, CANCELLED = range(INCIDENT_SHARES.size)

CHANGED_TO = np.array(
    [PLAN_IDS.index(plan) for plan in ("individual-month", "duo-month", "family-month", "basic-month")]
)


@dataclass
class Subscriptions:
    """What is fixed or current of each subscription; arrays of one length, indices into the catalogue."""

    account: Ints
    market: Ints
    currency_market: Ints
    first_plan: Ints
    plan: Ints
    price: Ints
    period_start: Ints
    period_end: Ints
    affinity: Floats
    started_with_trial: Mask
    opened_at: Ints

    def provider(self, who: Ints) -> Ints:
        """Index of the provider that bills each subscription."""
        return np.asarray(self.account[who] % len(PROVIDERS), np.int64)

    def billed_by(self, who: Ints, providers: tuple[str, ...]) -> Mask:
        """Whether one of ``providers`` bills each subscription."""
        return np.isin(self.provider(who), [PROVIDERS.index(provider) for provider in providers])

    def of(self, wanted: Mask) -> Subscriptions:
        """Some of them, copied."""
        return Subscriptions(**{each.name: getattr(self, each.name)[wanted] for each in fields(self)})


def joined(first: Subscriptions, second: Subscriptions) -> Subscriptions:
    """Both, the second's after the first's."""
    return Subscriptions(
        **{
            each.name: np.concatenate([getattr(first, each.name), getattr(second, each.name)])
            for each in fields(Subscriptions)
        }
    )


def first_openings(subs: Subscriptions, accounts: int) -> Ints:
    """When each account subscribes for the first time; the greatest number where it never does."""
    first = np.full(accounts, np.iinfo(np.int64).max)
    np.minimum.at(first, subs.account, subs.opened_at)
    return first


@dataclass
class Record:
    """Columns of events or intervals, collected in pieces."""

    pieces: dict[str, list[Ints]] = field(default_factory=dict)

    def add(self, **columns: Ints) -> None:
        """Append equally long columns."""
        for name, values in columns.items():
            self.pieces.setdefault(name, []).append(np.asarray(values, np.int64))

    def columns(self) -> dict[str, Ints]:
        """All pieces joined."""
        return {name: np.concatenate(values) for name, values in self.pieces.items()}


class Life:
    """Runs the subscriptions of one chunk from their opening to the end of the window.

    ``exemplary``: subscriptions of which one moves to another currency and one is refunded within the window,
    whatever chance says, so that even a small company knows these. May be empty.
    """

    def __init__(
        self, spec: CompanySpec, random: np.random.Generator, subs: Subscriptions, exemplary: Mask
    ) -> None:
        self.subs = subs
        self._exemplary = exemplary
        self._owed = [MOVED, REFUNDED]
        self._start = spec.start_us
        self.events = Record()
        self.intervals = Record()
        self._random = random
        self._end = spec.end_us
        self._change = price_change_us(spec)
        self._prices = (price_cents(False), price_cents(True))

    def run(self) -> None:
        """Live every subscription until it has ended for good or the window is over."""
        subs = self.subs
        everyone = np.arange(len(subs.account))
        on_trial = everyone[subs.started_with_trial]
        directly = everyone[~subs.started_with_trial]
        self._open(directly, subs.opened_at[directly], "started")
        paying = np.concatenate([self._trial(on_trial), directly])
        while paying.size:
            paying = self._period(paying)

    def _event(self, kind: str, who: Ints, when: Ints, reason: int | Ints = 0) -> None:
        subs = self.subs
        self.events.add(
            kind=np.full(who.size, CODE[kind]),
            sub=who,
            at=when,
            plan=subs.plan[who],
            price=subs.price[who],
            market=subs.currency_market[who],
            period_start=subs.period_start[who],
            period_end=subs.period_end[who],
            reason=np.broadcast_to(np.asarray(reason), who.shape),
        )

    def _lived(self, state: str, who: Ints, since: Ints, until: Ints) -> None:
        """Truth: these subscriptions were in ``state`` from ``since`` until ``until``."""
        subs = self.subs
        self.intervals.add(
            sub=who,
            state=np.full(who.size, STATES.index(state)),
            since=since,
            until=until,
            plan=subs.plan[who],
            price=subs.price[who],
            market=subs.currency_market[who],
        )

    def _list_price(self, who: Ints, when: Ints) -> Ints:
        subs = self.subs
        old, new = (table[subs.plan[who], subs.currency_market[who]] for table in self._prices)
        return np.where(when >= self._change, new, old)

    def _open(self, who: Ints, when: Ints, kind: str) -> None:
        """A paid period begins at ``when``."""
        self._begin(who, when)
        self._event(kind, who, when)

    def _begin(self, who: Ints, when: Ints) -> None:
        subs = self.subs
        subs.price[who] = self._list_price(who, when)
        subs.period_start[who] = when
        subs.period_end[who] = when + RHYTHM_DAYS[PLAN_RHYTHM[subs.plan[who]]] * DAY_US

    def _chance(self, who: Ints) -> Floats:
        return self._random.random(who.size)

    def _between(self, low: Ints, high: Ints) -> Ints:
        """An instant strictly inside (low, high), on whole seconds: not every provider knows finer ones."""
        share = self._random.uniform(0.05, 0.95, low.size)
        return (low + share * (high - low)).astype(np.int64) // SECOND_US * SECOND_US

    def _known(self, when: Ints) -> Mask:
        """Whose next step lies within the window; the others' future is not written."""
        return when < self._end

    def _trial(self, who: Ints) -> Ints:
        """Trials, from their start to conversion or expiry; returns who pays now."""
        subs = self.subs
        start = subs.opened_at[who]
        subs.price[who] = 0
        subs.period_start[who] = start
        subs.period_end[who] = start + PLAN_TRIAL_DAYS[subs.plan[who]] * DAY_US
        self._event("trial_started", who, start)
        end = subs.period_end[who]
        self._lived("trial", who, start, end)
        converts = self._chance(who) < 0.35 + 0.5 * subs.affinity[who]
        leaves = who[~converts]
        off = self._between(start[~converts], end[~converts])
        known = self._known(off)
        self._event("auto_renew_off", leaves[known], off[known])
        known = self._known(end[~converts])
        self._event("expired", leaves[known], end[~converts][known], VOLUNTARY)
        who, end = who[converts], end[converts]
        known = self._known(end)
        who, end = who[known], end[known]
        self._open(who, end, "trial_converted")
        return who

    def _period(self, who: Ints) -> Ints:
        """One paid period of each: what happens within it, and how it ends. Returns who pays the next."""
        subs = self.subs
        start, end = subs.period_start[who], subs.period_end[who]
        at = self._between(start, end)
        incident = self._incidents(who, at)
        revoked, paused, moved, changed, refunded, cancelled = (
            incident == code for code in range(INCIDENT_SHARES.size)
        )
        quiet = ~(revoked | paused | moved | changed)
        self._lived("active", who[quiet], start[quiet], end[quiet])

        self._lived("active", who[revoked], start[revoked], at[revoked])
        self._event("revoked", who[revoked], at[revoked], ADMIN)

        self._lived("active", who[moved | changed], start[moved | changed], at[moved | changed])
        self._change_currency(who[moved])
        self._change_plan(who[changed])
        for mask in (moved, changed):
            self._event("plan_changed", who[mask], at[mask])
            self._lived("active", who[mask], at[mask], end[mask])

        self._event("refunded", who[refunded], at[refunded])
        end = self._pause(who, paused, start, end, at)
        stays_off = self._cancel(who, cancelled, at, end)
        goes_on = ~(revoked | stays_off)
        ended = [who[revoked], who[stays_off]]
        ended_at = [at[revoked], end[stays_off]]
        next_payers, lapsed, lapsed_at = self._renew(who[goes_on], end[goes_on])
        returned = self._return(np.concatenate([*ended, lapsed]), np.concatenate([*ended_at, lapsed_at]))
        return np.concatenate([next_payers, returned])

    def _incidents(self, who: Ints, at: Ints) -> Ints:
        """What happens to each in its period, at most one thing; −1 where nothing does within the window."""
        # A period of a week sees less than one of a year.
        scale = np.sqrt(RHYTHM_DAYS[PLAN_RHYTHM[self.subs.plan[who]]] / 30)
        bounds = INCIDENT_SHARES.cumsum()[:, None] * scale
        incident = (self._chance(who) >= bounds).sum(axis=0)
        incident[(incident == INCIDENT_SHARES.size) | ~self._known(at)] = -1
        incident[(incident == PAUSED) & self.subs.billed_by(who, CANNOT_PAUSE)] = -1
        # Not on the window's edges, where a file may not be followed by another.
        inner = (at >= self._start + DAY_US) & (at < self._end - 2 * DAY_US)
        for place in np.nonzero(self._exemplary[who] & inner)[0][: len(self._owed)]:
            incident[place] = self._owed.pop(0)
        return np.asarray(incident, np.int64)

    def _change_currency(self, who: Ints) -> None:
        """The account moves: the subscription goes on in another market's currency."""
        subs = self.subs
        pays_euro = np.isin(subs.currency_market[who], EURO_MARKETS)
        subs.currency_market[who] = np.where(pays_euro, STERLING_MARKET, EURO_MARKETS[0])
        subs.price[who] = self._prices[0][subs.plan[who], subs.currency_market[who]]

    def _change_plan(self, who: Ints) -> None:
        """Up or down to another monthly plan, whatever the rhythm before."""
        subs = self.subs
        wanted = CHANGED_TO[self._random.integers(0, CHANGED_TO.size, who.size)]
        same = wanted == subs.plan[who]
        subs.plan[who] = np.where(
            same, np.where(wanted == CHANGED_TO[0], CHANGED_TO[1], CHANGED_TO[0]), wanted
        )
        subs.price[who] = self._prices[0][subs.plan[who], subs.currency_market[who]]

    def _pause(self, who: Ints, paused: Mask, start: Ints, end: Ints, at: Ints) -> Ints:
        """Pauses interrupt the period and prolong it; returns the periods' ends."""
        these = who[paused]
        length = self._random.integers(7, 21, these.size) * DAY_US
        self._lived("active", these, start[paused], at[paused])
        self._event("paused", these, at[paused])
        back = at[paused] + length
        end = end.copy()
        end[paused] += length
        self.subs.period_end[these] = end[paused]
        known = self._known(back)
        self._event("resumed", these[known], back[known])
        self._lived("active", these[known], back[known], end[paused][known])
        return end

    def _cancel(self, who: Ints, cancelled: Mask, at: Ints, end: Ints) -> Mask:
        """Auto-renew off, for some on again; returns whose subscription expires at the period's end."""
        self._event("auto_renew_off", who[cancelled], at[cancelled])
        regrets = cancelled & (self._chance(who) < 0.15)
        on_again = self._between(at[regrets], end[regrets])
        known = self._known(on_again)
        self._event("auto_renew_on", who[regrets][known], on_again[known])
        stays_off = cancelled & ~regrets
        known = stays_off & self._known(end)
        reason = np.where(self._chance(who) < 0.06, OTHER, VOLUNTARY)
        self._event("expired", who[known], end[known], reason[known])
        return stays_off

    def _renew(self, who: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
        """Payment at the period's end. Returns who pays the next period, who lapsed, and when."""
        known = self._known(end)
        who, end = who[known], end[known]
        pays = self._chance(who) > 0.045
        renewed = who[pays]
        self._open(renewed, end[pays], "renewed")
        who, end = who[~pays], end[~pays]
        self._event("grace_started", who, end)
        grace_end = end + 6 * DAY_US
        early = self._chance(who) < 0.6
        paid_at = self._between(end, grace_end)
        self._lived("grace", who, end, np.where(early, paid_at, grace_end))
        recovered = [self._recover(who[early], paid_at[early])]
        who, grace_end = who[~early], grace_end[~early]
        known = self._known(grace_end)
        who, grace_end = who[known], grace_end[known]
        self._event("billing_retry_started", who, grace_end)
        final = grace_end + 12 * DAY_US
        late = self._chance(who) < 0.35
        recovered.append(self._recover(who[late], self._between(grace_end[late], final[late])))
        lapsed, lapsed_at = who[~late], final[~late]
        known = self._known(lapsed_at)
        self._event("expired", lapsed[known], lapsed_at[known], PAYMENT_FAILURE)
        return np.concatenate([renewed, *recovered]), lapsed[known], lapsed_at[known]

    def _recover(self, who: Ints, when: Ints) -> Ints:
        known = self._known(when)
        self._open(who[known], when[known], "recovered")
        return who[known]

    def _return(self, who: Ints, ended_at: Ints) -> Ints:
        """Some come back after a while, under the same subscription; returns who pays again."""
        back = ended_at + self._random.integers(4 * 24, 70 * 24, who.size) * HOUR_US
        comes = (self._chance(who) < 0.25) & self._known(back) & ~self.subs.billed_by(who, CANNOT_RETURN)
        self._open(who[comes], back[comes], "reactivated")
        return who[comes]


def new_subscriptions(
    spec: CompanySpec, random: np.random.Generator, created_at: Ints, market: Ints, affinity: Floats
) -> Subscriptions:
    """Who subscribes at all, when, to what: about a third of the accounts, a few of them twice."""
    accounts = np.arange(created_at.size)
    subscribes = accounts[random.random(accounts.size) < 0.22 + 0.3 * affinity]
    twice = subscribes[random.random(subscribes.size) < 0.02]
    who = np.concatenate([subscribes, twice])
    wait = (random.exponential(20, who.size) * DAY_US).astype(np.int64) // 1000 * 1000
    opened_at = (created_at[who] + 60_000_000 + wait) // SECOND_US * SECOND_US
    inside = opened_at < spec.end_us
    who, opened_at = who[inside], opened_at[inside]
    plan = random.choice(len(PLANS), who.size, p=[plan.share for plan in PLANS]).astype(np.int64)
    trial = (random.random(who.size) < 0.55) & (PLAN_TRIAL_DAYS[plan] > 0)
    zeros = np.zeros(who.size, np.int64)
    return Subscriptions(
        account=who,
        market=market[who],
        currency_market=market[who].copy(),
        first_plan=plan.copy(),
        plan=plan,
        price=zeros.copy(),
        period_start=zeros.copy(),
        period_end=zeros.copy(),
        affinity=affinity[who],
        started_with_trial=trial,
        opened_at=opened_at,
    )


MARKET_SHARES = np.array([market.share for market in MARKETS])
