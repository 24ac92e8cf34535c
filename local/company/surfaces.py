"""Surfaces that show what the segments decided: the day before, for the account that comes by.

Day by day, because how often an offer was shown is itself looked at by the rules. What is decided comes from
``segments.evaluator``, of features that this company is certain of; what an offer leads to is clicked for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import numpy as np

from local.company.catalogue import OFFERS
from local.company.columns import Ints, arrivals
from local.company.known_features import EPOCH, KnownFeatures, Touch
from local.company.people import SECOND_US, People
from local.company.spec import DAY_US, CompanySpec
from local.company.touches import Decided, Openings, Touches, Visits
from segments.evaluator import evaluate
from segments.rule import Rule
from segments.source import RuleBook, load_rules
from segue_client.bigtable.schema import generation_ms

MISTAKES: Final = ("control_shown", "stale_generation", "wrong_variant")
"""What surfaces get wrong: an offer of a control arm is shown after all; the generation before the right one
is told; another variant is told than was decided."""
LEADS_FOR_DAYS: Final = 6
_LED_SHARE: Final = 0.85
_MISTAKEN_SHARE: Final = 0.2
"""How often a mistake is made while some of its kind are still to be made."""


@dataclass
class _Shown:
    """An impression; instants in microseconds since 1970, −1 where it did not come to it."""

    who: int
    at: int
    arrived: int
    surface: int
    decided: Decided
    mistake: str | None = None
    click_at: int = -1
    click_arrived: int = -1
    checkout_at: int = -1
    checkout_arrived: int = -1
    result: int = -1
    sub: int = -1


@dataclass
class Surfaces:
    """The reporting surfaces of one chunk."""

    spec: CompanySpec
    random: np.random.Generator
    people: People
    features: KnownFeatures
    contents: Sequence[dict[str, Any]]
    mistakes_of_a_kind: int
    book: RuleBook = field(default_factory=load_rules)

    def run(self, visits: Visits, openings: Openings) -> tuple[Touches, Ints, list[str | None]]:
        """Impressions of all days, the offer of each opening (−1: none), and each impression's mistake."""
        self._owed = dict.fromkeys(MISTAKES, self.mistakes_of_a_kind)
        self._variants = {rule.id: _variants(rule) for rule in self.book.active}
        shown: list[_Shown] = []
        latest: dict[int, list[_Shown]] = defaultdict(list)
        offer_of_opening = np.full(openings.at.size, -1)
        first_day = self.spec.start_us // DAY_US
        visits_of = _by_day(visits.at // DAY_US, np.isin(visits.who, self.features.accounts))
        openings_of = _by_day(openings.at // DAY_US, np.isin(openings.account, self.features.accounts))
        # What is shown on the first day was decided before there was any.
        for day in range(first_day + 1, first_day + self.spec.days):
            today = self._show(day, visits, visits_of.get(day, []))
            for each in today:
                latest[each.who].append(each)
            shown += today
            for place in openings_of.get(day, []):
                led = self._lead(day, latest[int(openings.account[place])], openings, place)
                if led is not None:
                    offer_of_opening[place] = OFFERS.index(led.decided.offer_id)
        return _touches(shown), offer_of_opening, [each.mistake for each in shown]

    def _show(self, day: int, visits: Visits, places: Sequence[int]) -> list[_Shown]:
        """What is shown on ``day`` was decided for the day before."""
        rows = {place: self.features.row(int(visits.who[place]), day - 1) for place in places}
        certain = {place: row for place, row in rows.items() if row is not None}
        accounts = evaluate(self.book, list(certain.values()), self.contents)
        shown = [
            self._impression(visits, place, number, _decided(day - 1, offer))
            for place, row in certain.items()
            for number, offer in enumerate(accounts[row["account_id"]].offers)
        ]
        if not shown:
            return []
        at = np.array([each.at for each in shown])
        arrived = arrivals(self.spec, self.random, at)
        likes = self.people.affinity[[each.who for each in shown]]
        clicks = self.random.random(at.size) < 0.04 + 0.15 * likes
        checks_out = self.random.random(at.size) < 0.2
        wait = self.random.integers(5, 120, at.size) * SECOND_US
        longer = self.random.integers(20, 400, at.size) * SECOND_US
        result = self.random.integers(1, 3, at.size)
        click_arrived = arrivals(self.spec, self.random, at + wait)
        checkout_arrived = arrivals(self.spec, self.random, at + wait + longer)
        for n, each in enumerate(shown):
            each.arrived = int(arrived[n])
            if not each.decided.is_shown:
                continue
            self._touched(each.who, "shown", each, each.at, each.arrived)
            if clicks[n] and each.at + int(wait[n]) < self.spec.end_us:
                each.click_at, each.click_arrived = each.at + int(wait[n]), int(click_arrived[n])
                self._touched(each.who, "clicked", each, each.click_at, each.click_arrived)
                if checks_out[n] and each.click_at + int(longer[n]) < self.spec.end_us:
                    each.checkout_at = each.click_at + int(longer[n])
                    each.checkout_arrived, each.result = int(checkout_arrived[n]), int(result[n])
        return shown

    def _impression(self, visits: Visits, place: int, number: int, decided: Decided) -> _Shown:
        at = min(int(visits.at[place]) + number * SECOND_US, self.spec.end_us - 1_000)
        mistake = self._mistake(decided)
        if mistake == "control_shown":
            decided = decided.replaced(is_shown=True)
        elif mistake == "stale_generation":
            decided = decided.replaced(generation=(decided.generation or 0) - DAY_US // 1_000)
        elif mistake == "wrong_variant":
            others = [name for name in self._variants[str(decided.rule_id)] if name != decided.variant]
            decided = decided.replaced(variant=others[0])
        return _Shown(int(visits.who[place]), at, at, int(visits.surface[place]), decided, mistake)

    def _mistake(self, decided: Decided) -> str | None:
        possible = ["stale_generation"]
        if not decided.is_shown:
            possible = ["control_shown"]
        elif decided.variant is not None:
            possible.append("wrong_variant")
        for kind in possible:
            if self._owed[kind] and self.random.random() < _MISTAKEN_SHARE:
                self._owed[kind] -= 1
                return kind
        return None

    def _lead(self, day: int, shown: list[_Shown], openings: Openings, place: int) -> _Shown | None:
        """The last offer that was shown before an opening, now clicked and bought."""
        opened_at = int(openings.at[place])
        checkout_at = opened_at - int(self.random.integers(2, 50)) * SECOND_US
        click_at = checkout_at - int(self.random.integers(20, 400)) * SECOND_US
        leads = self.random.random() < _LED_SHARE
        possible = [
            each
            for each in shown
            if each.decided.is_shown
            and each.click_at < 0
            and click_at - LEADS_FOR_DAYS * DAY_US < each.at < click_at
        ]
        arrived = arrivals(self.spec, self.random, np.array([click_at, checkout_at]))
        # What the rules of this day have seen already cannot change.
        if not leads or not possible or click_at < day * DAY_US:
            return None
        led = possible[-1]
        led.click_at, led.click_arrived = click_at, int(arrived[0])
        led.checkout_at, led.checkout_arrived = checkout_at, int(arrived[1])
        led.result, led.sub = 0, int(openings.sub[place])
        self._touched(led.who, "clicked", led, click_at, led.click_arrived)
        self._touched(led.who, "converted", led, checkout_at, led.checkout_arrived)
        return led

    def _touched(self, who: int, kind: str, shown: _Shown, at: int, arrived: int) -> None:
        touch = Touch(kind, shown.decided.offer_id, at // DAY_US, arrived // DAY_US)
        self.features.known[who].touches.append(touch)


def _decided(day: int, offer: dict[str, Any]) -> Decided:
    """What the lookup answers on the day after, from the only load of the day's generation."""
    return Decided(
        offer_id=offer["offer_id"],
        is_shown=not offer["is_control"],
        generation=generation_ms(EPOCH + timedelta(days=day), 1),
        content_version=offer["content_version"],
        rule_id=offer["rule_id"],
        rule_version=offer["rule_version"],
        experiment_id=offer["experiment_id"],
        variant=offer["variant"],
    )


def _variants(rule: Rule) -> list[str]:
    return [] if rule.experiment is None else [variant.name for variant in rule.experiment.variants]


def _by_day(days: Ints, wanted: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[int, list[int]]:
    """Places in the order of their days."""
    found: dict[int, list[int]] = defaultdict(list)
    for place in np.nonzero(wanted)[0].tolist():
        found[int(days[place])].append(place)
    return found


def _touches(shown: list[_Shown]) -> Touches:
    def column(of: Callable[[_Shown], int]) -> Ints:
        return np.array([of(each) for each in shown], np.int64)

    return Touches(
        who=column(lambda each: each.who),
        at=column(lambda each: each.at),
        arrived=column(lambda each: each.arrived),
        click_at=column(lambda each: each.click_at),
        click_arrived=column(lambda each: each.click_arrived),
        checkout_at=column(lambda each: each.checkout_at),
        checkout_arrived=column(lambda each: each.checkout_arrived),
        offer=column(lambda each: OFFERS.index(each.decided.offer_id)),
        surface=column(lambda each: each.surface),
        clicked=column(lambda each: each.click_at) >= 0,
        checked_out=column(lambda each: each.checkout_at) >= 0,
        result=column(lambda each: each.result),
        sub=column(lambda each: each.sub),
        decided=[each.decided for each in shown],
    )
