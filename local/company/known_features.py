"""What surfaces act on: features of accounts that the marts are certain to see as the company does.

A second model of ``fct_account_features``, of simple lives only. Who has two subscriptions, shares one,
paused or changed it, or did something that has not arrived yet is left out: then a surface shows nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.company.catalogue import MARKETS, OFFERS, PLAN_RHYTHM, PLAN_SEATS, PLANS, RHYTHMS, price_change_us
from local.company.columns import Ints, account_numbers
from local.company.lives import EVENT_TYPES, REASONS, Subscriptions
from local.company.natural_dirt import integers
from local.company.people import People
from local.company.spec import DAY_US, CompanySpec
from local.company.touches import Touches

WINDOW_DAYS: Final = 28
RECENT_DAYS: Final = 7
PRICE_RAISE_DAYS: Final = 60
EPOCH: Final = date(1970, 1, 1)
_ENTERED: Final = {
    "trial_started": "trial",
    "trial_converted": "active",
    "started": "active",
    "renewed": "active",
    "recovered": "active",
    "reactivated": "active",
    "grace_started": "grace",
    "billing_retry_started": "billing_retry",
    "revoked": "ended",
    "expired": "ended",
}
_ENTITLED: Final = ("trial", "active", "grace")
_NOT_SIMPLE: Final = ("paused", "resumed", "plan_changed")
_END_REASONS: Final = {"voluntary": "voluntary", "payment_failure": "involuntary", "admin": "admin"}
_LISTENING: Final = ("streams", "ad_ms", "skips_blocked")


class LifeEvent(NamedTuple):
    """An event of an account's only subscription."""

    kind: str
    plan: int
    reason: str
    at: int
    arrived: int


@dataclass
class Standing:
    """Where a subscription stands; instants in microseconds since 1970."""

    state: str | None = None
    plan: int = -1
    is_auto_renew: bool = False
    started_at: int | None = None
    ended_at: int | None = None
    end_reason: str | None = None
    has_trialled: bool = False
    has_paid: bool = False

    @property
    def is_entitled(self) -> bool:
        """In trial, active or grace."""
        return self.state in _ENTITLED


def standing(events: Iterable[LifeEvent], end: int) -> Standing | None:
    """Just before ``end``, from events in the order of their times; None where it is not certain.

    Providers differ in what they say of an end that has another reason, so that is not certain either.
    """
    found = Standing()
    for event in events:
        if event.at >= end:
            break
        is_odd = event.kind == "expired" and event.reason not in _END_REASONS
        if event.arrived >= end or event.kind in _NOT_SIMPLE or is_odd:
            return None
        found.plan = event.plan
        if event.kind in ("auto_renew_off", "revoked", "expired"):
            found.is_auto_renew = False
        elif event.kind == "auto_renew_on" or _ENTERED.get(event.kind) in ("trial", "active"):
            found.is_auto_renew = True
        entered = _ENTERED.get(event.kind)
        if entered is None:
            continue
        if found.is_entitled and entered not in _ENTITLED:
            found.ended_at = event.at
            found.end_reason = (
                "involuntary"
                if entered == "billing_retry"
                else "admin"
                if event.kind == "revoked"
                else _END_REASONS[event.reason]
            )
        found.state = entered
        if found.is_entitled and found.started_at is None:
            found.started_at = event.at
        found.has_trialled |= entered == "trial"
        found.has_paid |= entered == "active"
    return found


class Touch(NamedTuple):
    """An account saw, clicked or bought an offer; days since 1970."""

    kind: str
    offer_id: str
    day: int
    arrived_day: int


def offer_exposures(touches: Iterable[Touch], day: int) -> list[dict[str, Any]]:
    """What was known of them at the end of ``day``, by offer."""
    by_offer: dict[str, list[Touch]] = defaultdict(list)
    for touch in touches:
        if day - WINDOW_DAYS < touch.day <= day and touch.arrived_day <= day:
            by_offer[touch.offer_id].append(touch)

    def last(of_offer: list[Touch], kind: str) -> date | None:
        return as_date(max((touch.day for touch in of_offer if touch.kind == kind), default=None))

    return [
        {
            "offer_id": offer_id,
            "impressions_7d": sum(t.kind == "shown" and t.day > day - RECENT_DAYS for t in of_offer),
            "impressions_28d": sum(t.kind == "shown" for t in of_offer),
            "last_shown_date": last(of_offer, "shown"),
            "last_clicked_date": last(of_offer, "clicked"),
            "last_converted_date": last(of_offer, "converted"),
        }
        for offer_id, of_offer in sorted(by_offer.items())
    ]


def as_date(day: int | None) -> date | None:
    """Of days since 1970."""
    return None if day is None else EPOCH + timedelta(days=day)


@dataclass
class Known:
    """One account's facts, each with the day from which it counts."""

    life: list[LifeEvent] = field(default_factory=list)
    failed_payments: list[tuple[int, int]] = field(default_factory=list)
    """(day, day of arrival)."""
    consents: dict[str, list[tuple[int, int, bool]]] = field(default_factory=lambda: defaultdict(list))
    """By purpose: (instant, day from which it counts, whether it was granted)."""
    scores: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """By model: (day, ten-thousandths)."""
    touches: list[Touch] = field(default_factory=list)


class KnownFeatures:
    """Rows of ``fct_account_features`` for the accounts that surfaces report of.

    ``reporting``: indices into the chunk's accounts; ``tables``: what is landed of them beside events.
    """

    def __init__(
        self,
        spec: CompanySpec,
        people: People,
        subs: Subscriptions,
        events: dict[str, Ints],
        tables: dict[str, pa.Table],
        reporting: Ints,
    ) -> None:
        self._spec = spec
        self._first = int(people.number[0])
        self._people = people
        self._first_day = spec.start_us // DAY_US
        self._tables = tables
        subscriptions = np.bincount(subs.account, minlength=people.number.size)
        shared = np.unique(subs.account[PLAN_SEATS[subs.first_plan] > 1])
        unclear = np.zeros(people.number.size, bool)
        unclear[subscriptions > 1] = True
        unclear[shared] = True
        unclear[self._accounts("plan_members")] = True
        unclear[self._accounts("deletion_requests")] = True
        self.accounts = reporting[~unclear[reporting]]
        """Those of which anything can be certain."""
        self.known = {int(who): Known() for who in self.accounts}
        self._read_profiles()
        self._read_lives(subs, events)
        self._read_consents()
        self._read_scores()
        self._listening = self._listened()

    def saw(self, touches: Touches) -> None:
        """What the accounts were shown, and what they did with it, whatever was decided for them."""
        steps = (
            ("shown", touches.at, touches.arrived, np.ones(touches.size, bool)),
            ("clicked", touches.click_at, touches.click_arrived, touches.clicked),
            ("converted", touches.checkout_at, touches.checkout_arrived, touches.checked_out),
        )
        for kind, at, arrived, happened in steps:
            for place in np.nonzero(happened & np.isin(touches.who, self.accounts))[0].tolist():
                offer_id = OFFERS[touches.offer[place]]
                touch = Touch(kind, offer_id, int(at[place]) // DAY_US, int(arrived[place]) // DAY_US)
                self.known[int(touches.who[place])].touches.append(touch)

    def row(self, who: int, day: int) -> dict[str, Any] | None:
        """At the end of ``day``, days since 1970; None where it is not certain."""
        known, end = self.known[who], (day + 1) * DAY_US
        found = standing(known.life, end)
        if found is None:
            return None
        feature_date = as_date(day)
        created_day = int(self._people.created_at[who]) // DAY_US
        place, at = self._place[who], day - self._first_day
        row: dict[str, Any] = {
            "account_id": f"a{self._first + who:09d}",
            "feature_date": feature_date,
            "market": MARKETS[self._people.market[who]].code,
            "locale": MARKETS[self._people.market[who]].locale,
            "birth_year_band": self._bands[who],
            "created_date": as_date(created_day),
            "tenure_days": day - created_day,
            "is_test_account": False,
            "is_deletion_requested": False,
            "has_ever_trialled": found.has_trialled,
            "has_ever_paid": found.has_paid,
            "is_member": False,
            "last_ended_date": as_date(_day(found.ended_at)),
            "last_end_reason": found.end_reason,
            "offer_exposures": offer_exposures(known.touches, day),
            "model_scores": self._scores(known, day),
        }
        row |= self._entitlement(who, known, found, day)
        row |= {f"{name}_28d": int(self._listening[n, place, at]) for n, name in enumerate(_LISTENING)}
        row["active_days_28d"] = int(self._listening[len(_LISTENING), place, at])
        for purpose in ("marketing", "personalisation"):
            row[f"is_{purpose}_withdrawn"] = _is_withdrawn(known.consents[purpose], day)
        return row

    def _entitlement(self, who: int, known: Known, found: Standing, day: int) -> dict[str, Any]:
        is_entitled = found.is_entitled
        unit, count = RHYTHMS[PLAN_RHYTHM[found.plan]]
        started = _day(found.started_at)
        change = price_change_us(self._spec) // DAY_US
        is_raised = found.plan == 0 and self._people.market[who] == 0 and change <= day
        ended = _day(found.ended_at)
        failed = sum(
            day - WINDOW_DAYS < at <= day and arrived <= day for at, arrived in known.failed_payments
        )

        def entitled(value: Any, otherwise: Any = None) -> Any:
            return value if is_entitled else otherwise

        return {
            "is_entitled": is_entitled,
            "is_payer": is_entitled,
            "is_paid": found.state in ("active", "grace"),
            "is_in_trial": found.state == "trial",
            "is_in_grace": found.state == "grace",
            "is_auto_renew": is_entitled and found.is_auto_renew,
            "has_cancelled": is_entitled and not found.is_auto_renew,
            "plan_kind": entitled(PLANS[found.plan].kind),
            "billing_interval": entitled(unit),
            "billing_interval_count": entitled(count),
            "subscription_started_date": entitled(as_date(started)),
            "subscription_tenure_days": entitled(None if started is None else day - started),
            "seats": entitled(1),
            "seats_taken": entitled(1),
            "subscription_count": entitled(1, 0),
            "price_raise_date": entitled(
                as_date(change) if is_raised and day <= change + PRICE_RAISE_DAYS else None
            ),
            "failed_payments_28d": entitled(failed, 0),
            "days_since_lapse": None if is_entitled or ended is None else day - ended,
        }

    @staticmethod
    def _scores(known: Known, day: int) -> list[dict[str, Any]]:
        newest = {
            model: max(each for each in scores if each[0] <= day)
            for model, scores in sorted(known.scores.items())
            if any(day - WINDOW_DAYS < at <= day for at, _ in scores)
        }
        return [
            {"model": model, "score_points": points, "scored_date": as_date(at)}
            for model, (at, points) in newest.items()
        ]

    def _accounts(self, table: str) -> Ints:
        """Indices of a table's accounts."""
        return account_numbers(self._tables[table]) - self._first

    def _of_known(self, table: str) -> tuple[pa.Table, Ints]:
        """A table's rows of the known accounts, and their indices."""
        who = self._accounts(table)
        wanted = np.isin(who, self.accounts)
        return self._tables[table].filter(pa.array(wanted)), who[wanted]

    def _read_profiles(self) -> None:
        accounts, who = self._of_known("accounts")
        self._bands = dict(zip(who.tolist(), accounts["birth_year_band"].to_pylist(), strict=True))
        self._place = {int(account): place for place, account in enumerate(self.accounts)}

    def _read_lives(self, subs: Subscriptions, events: dict[str, Ints]) -> None:
        account = subs.account[events["sub"]]
        mine = np.nonzero(np.isin(account, self.accounts))[0]
        columns = (account, *(events[name] for name in ("kind", "plan", "reason", "at", "arrived")))
        for who, kind, plan, reason, at, arrived in zip(*(c[mine].tolist() for c in columns), strict=True):
            event = LifeEvent(EVENT_TYPES[kind], plan, REASONS[reason], at, arrived)
            self.known[who].life.append(event)
        payments = self._tables["payments"]
        failed = pc.equal(payments["status"], "failed").to_numpy()
        number = pc.cast(pc.utf8_slice_codeunits(payments["payment_id"], 1), pa.int64()).to_numpy()[failed]
        occurred, arrived_at = (integers(payments, c)[failed] for c in ("occurred_at", "ingested_at"))
        payer = account[number - events["number"][0]] if number.size else number
        for who, at, arrived in zip(payer.tolist(), occurred.tolist(), arrived_at.tolist(), strict=True):
            if who in self.known:
                self.known[who].failed_payments.append((at // DAY_US, arrived // DAY_US))

    def _read_consents(self) -> None:
        rows, who = self._of_known("consents")
        occurred, arrived = integers(rows, "occurred_at"), integers(rows, "ingested_at") // DAY_US
        from_day = np.maximum(occurred // DAY_US, arrived)
        columns = (who.tolist(), rows["purpose"].to_pylist(), occurred.tolist(), from_day.tolist())
        for account, purpose, at, day, granted in zip(*columns, rows["granted"].to_pylist(), strict=True):
            self.known[account].consents[purpose].append((at, day, granted))

    def _read_scores(self) -> None:
        rows, who = self._of_known("scores")
        day = integers(rows, "scored_at") // DAY_US
        points = [int(score * 10_000) for score in rows["score"].to_pylist()]
        for account, model, at, value in zip(
            who.tolist(), rows["model"].to_pylist(), day.tolist(), points, strict=True
        ):
            self.known[account].scores[model].append((at, value))

    def _listened(self) -> Ints:
        """Sums of 28 days by feature, place of the account and day of the window: active days come last."""
        rows, who = self._of_known("engagement_daily")
        place = np.searchsorted(self.accounts, who)
        day = integers(rows, "day") - self._first_day
        counts_from = np.maximum(day, integers(rows, "ingested_at") // DAY_US - self._first_day)
        days = self._spec.days
        sums = np.zeros((len(_LISTENING) + 1, self.accounts.size, days + 1), np.int64)
        values = [rows[name].to_numpy() for name in _LISTENING]
        # The files of one day lack a column, which then counts as nothing.
        values[2] = np.where(counts_from == incomplete_day(self._spec), 0, values[2])
        values.append(np.ones(day.size, np.int64))
        counts_to = np.minimum(day + WINDOW_DAYS, days)
        counted = counts_from < counts_to
        for n, value in enumerate(values):
            np.add.at(sums[n], (place[counted], counts_from[counted]), value[counted])
            np.add.at(sums[n], (place[counted], counts_to[counted]), -value[counted])
        return sums.cumsum(axis=2)


def incomplete_day(spec: CompanySpec) -> int:
    """Day of the window on which the files of listening lack ``skips_blocked``."""
    return min(2, spec.days - 1)


def _day(instant: int | None) -> int | None:
    return None if instant is None else instant // DAY_US


def _is_withdrawn(said: Sequence[tuple[int, int, bool]], day: int) -> bool:
    """By what was said last; granted and withdrawn at one instant is withdrawn."""
    known = [(at, not granted) for at, from_day, granted in said if from_day <= day]
    return bool(known) and max(known)[1]
