"""Random histories of what small companies showed, what was clicked, and who started when.

Times lie on a coarse grid and the gaps are the lengths of the windows, so that touches, starts and ends of
windows coincide.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.dbt.reference.company import AccountVersion, Company, Event
from tests.dbt.reference.journeys import Checkout, Click, Impression, Shop

BEGINS = datetime(2025, 10, 1, tzinfo=UTC)
"""First arrival."""
LAST = datetime(2026, 3, 17, 12, tzinfo=UTC)
OFFERS = ("gift", "trial")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

PAUSES = (0, 0, 12, 24, 24, 72, 144, 156, 167, 168, 169, 180, 500, 1080)
"""Hours from one impression to the next: the window without a touch is 168, the longest journey 1080."""
CLICKED = (-6, -5, -1, 0, 0, 60, 720, 5760, 10_079, 10_080, 20_000)
"""Minutes from an impression to its click."""
DELAYS = (0, 1, 1, 1, 3, 26, 49, 150, 336, -12)
STAYS = (0, 1, 7, 7, 14, 30, 45)
NEXT = {
    "started": ("expired", "expired", "paused", "renewed", "billing_retry_started"),
    "trial_started": ("expired", "trial_converted", "trial_converted"),
    "reactivated": ("expired", "renewed"),
    "expired": ("reactivated", "started", "trial_started", "renewed"),
    "paused": ("resumed", "expired", "started"),
    "resumed": ("expired", "paused"),
    "renewed": ("expired", "started"),
    "trial_converted": ("expired", "paused"),
    "billing_retry_started": ("recovered", "expired", "reactivated"),
    "recovered": ("expired",),
}


def _arrives(random: Random, at: datetime) -> datetime:
    return max(BEGINS, at + HOUR * random.choice(DELAYS))


def _surfaces(
    random: Random, account_ids: tuple[str, ...]
) -> tuple[list[Impression], list[Click], list[Checkout]]:
    impressions: list[Impression] = []
    clicks: list[Click] = []
    checkouts: list[Checkout] = []
    for account_id in account_ids:
        for offer_id in OFFERS[: random.choice((1, 2, 2))]:
            at = BEGINS + DAY * random.randrange(150) + HOUR * random.choice((0, 8, 20))
            # One account in four sees it all the time.
            pauses = random.choice((PAUSES, PAUSES, PAUSES, (72, 144, 156)))
            while at < LAST and len(impressions) < 60:
                number = len(impressions)
                shown = Impression(
                    f"i{number:02d}", account_id, offer_id, random.choice(("home", "checkout")), at,
                    _arrives(random, at), random.choice((None, None, None, True, False)), number,
                )  # fmt: skip
                impressions.append(shown)
                if random.randrange(8) == 0:
                    again = shown.ingested_at + HOUR * random.choice((0, 2, 120))
                    moved = at + HOUR * random.choice((0, 14))
                    impressions.append(replace(shown, occurred_at=moved, ingested_at=again, generation=None))
                for _ in range(random.choice((0, 0, 1, 2))):
                    clicked = at + timedelta(minutes=random.choice(CLICKED))
                    click = Click(f"k{len(clicks)}", shown.impression_id, clicked, _arrives(random, clicked))
                    clicks.append(click)
                    if random.randrange(2):
                        gone_on = clicked + timedelta(minutes=random.choice(CLICKED))
                        checkouts.append(
                            Checkout(f"o{len(checkouts)}", click.click_id, gone_on, _arrives(random, gone_on))
                        )
                at += HOUR * random.choice(pauses)
    clicks.append(Click("orphan", "nothing", LAST - DAY, LAST - DAY))
    return impressions, clicks, checkouts


def _events(random: Random, subscription_id: str, account_ids: tuple[str, ...]) -> list[Event]:
    at = BEGINS + DAY * random.randrange(160) + HOUR * random.choice((0, 8, 20))
    account_id, event_type = random.choice(account_ids), random.choice(("started", "trial_started"))
    events = []
    for number in range(random.choice((1, 2, 4, 8))):
        events.append(
            Event(
                "stripe", f"{subscription_id}-{number}", subscription_id, event_type, at,
                _arrives(random, at), account_id, "solo", Decimal("9.99"), None, "EUR", "month",
                landing_row=number,
            )
        )  # fmt: skip
        event_type = random.choice(NEXT[event_type])
        at += DAY * random.choice(STAYS) + HOUR * random.choice((0, 0, 12))
        if random.randrange(8) == 0:
            account_id = random.choice(account_ids)
    return [event for event in events if event.occurred_at < LAST]


def _accounts(random: Random, account_ids: tuple[str, ...]) -> list[AccountVersion]:
    versions = []
    for account_id in account_ids:
        # What nobody has introduced before the checkpoint is told by tests of their own.
        if random.randrange(8) == 0:
            continue
        arrivals = [
            BEGINS,
            *(BEGINS + DAY * random.randrange(1, 160) for _ in range(random.choice((0, 0, 1, 2)))),
        ]
        for number, at in enumerate(sorted(arrivals)):
            fate = (
                random.choice((None, None, None, "test", *account_ids))
                if number
                else random.choice((None, None, None, None, None, "test"))
            )
            is_merged = fate in account_ids and fate != account_id
            versions.append(
                AccountVersion(
                    account_id, random.choice(("SE", "DE")), at, at, is_test=fate == "test",
                    merged_into=fate if is_merged else None,
                )
            )  # fmt: skip
    return versions


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    """A company of one to three accounts and subscriptions, and two offers."""
    random = draw(st.randoms(use_true_random=True))
    account_ids = ("a1", "a2", "a3")[: random.choice((1, 1, 2, 3))]
    impressions, clicks, checkouts = _surfaces(random, account_ids)
    subscription_ids = ("s1", "s2", "s3")[: random.choice((1, 2, 3))]
    events = [event for each in subscription_ids for event in _events(random, each, account_ids)]
    company = Company(tuple(events), tuple(_accounts(random, account_ids)))
    return Shop(company, tuple(impressions), tuple(clicks), tuple(checkouts))


def generated_shops(count: int, of_seed: int) -> list[Shop]:
    """As many random shops, the same ones for the same seed."""
    found: list[Shop] = []

    @seed(of_seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(shops())
    def collect(shop: Shop) -> None:
        found.append(shop)

    collect()
    return found
