"""App Store: what is paid and for how long, in offers, commitments and refunds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import Staging, refusals
from tests.dbt.providers.test_app_store import OF_THE_PAST, SAID, notice, transaction

IN_THREE_DAYS = 1_773_399_600_000
IN_THREE_MONTHS = 1_781_089_200_000
BEFORE = 1_773_140_399_999


def untold(**fields: Any) -> Row:
    """A transaction of before October 2023: no price, no currency, no discount type."""
    bare = transaction(**fields)
    del bare["price"], bare["currency"]
    return bare


def test_an_introductory_offer_of_before_discount_types_is_a_trial(staging: Staging) -> None:
    offered = untold(offerType=1, expiresDate=IN_THREE_DAYS)
    said = staging.events(
        "app_store",
        {
            "first": notice("SUBSCRIBED/INITIAL_BUY", offered),
            "again": notice("SUBSCRIBED/RESUBSCRIBE", offered),
            "at nothing": notice("SUBSCRIBED/INITIAL_BUY", transaction(offerType=3, price=0)),
        },
    )

    trial = SAID | {"event_type": "trial_started", "price_amount": "0.00"}
    untold_trial = trial | {"period_end_at": "2026-03-13 11:00:00", "trial_ends_at": "2026-03-13 11:00:00"}
    del untold_trial["currency"]
    assert said == {
        "first": untold_trial,
        "again": untold_trial,
        "at nothing": trial | {"trial_ends_at": "2026-04-10 11:00:00"},
    }


@pytest.mark.parametrize("offer_type", [2, 3, 4, 5])
def test_what_another_offer_of_that_time_costs_nobody_knows(staging: Staging, offer_type: int) -> None:
    said = staging.events(
        "app_store",
        {
            "opening": notice("SUBSCRIBED/RESUBSCRIBE", untold(offerType=offer_type)),
            "renewal": notice("DID_RENEW", untold(offerType=offer_type)),
            "no offer": notice("DID_RENEW", untold()),
        },
    )

    assert {name: event["event_type"] for name, event in said.items()} == {
        "opening": "reactivated",
        "renewal": "renewed",
        "no offer": "renewed",
    }
    assert {name: event.get("is_price_unknown") for name, event in said.items()} == {
        "opening": True,
        "renewal": True,
        "no offer": None,
    }
    assert all("price_amount" not in event for event in said.values())


def test_an_offer_at_nothing_later_in_life_is_a_renewal_at_nothing(staging: Staging) -> None:
    free = {"offerDiscountType": "FREE_TRIAL", "offerIdentifier": "stay", "offerPeriod": "P3M", "price": 0}
    said = staging.events(
        "app_store",
        {
            "retention": notice("DID_RENEW", transaction(offerType=5, **free)),
            "promotion": notice("DID_RENEW", transaction(offerType=2, **free)),
            "recovered": notice("DID_RENEW/BILLING_RECOVERY", transaction(offerType=5, **free)),
        },
    )

    assert said == {
        "retention": SAID | {"event_type": "renewed", "price_amount": "0.00"},
        "promotion": SAID | {"event_type": "renewed", "price_amount": "0.00"},
        "recovered": SAID | {"event_type": "recovered", "price_amount": "0.00"},
    }


def test_a_renewal_that_is_put_off_moves_the_end_and_charges_nothing(staging: Staging) -> None:
    """ "Subscriptions in a free offer period" are not put off, by
    https://developer.apple.com/documentation/appstoreserverapi/extending-the-renewal-date-for-auto-renewable-subscriptions;
    if one were, it would stay free."""
    free = transaction(offerType=1, offerDiscountType="FREE_TRIAL", price=0, expiresDate=IN_THREE_MONTHS)
    said = staging.events(
        "app_store",
        {
            "paid": notice("RENEWAL_EXTENDED", transaction(expiresDate=IN_THREE_MONTHS)),
            "trial": notice("RENEWAL_EXTENDED", free),
            "offer": notice("RENEWAL_EXTENDED", untold(offerType=2, expiresDate=IN_THREE_MONTHS)),
        },
    )

    later = SAID | {"event_type": "price_changed", "period_end_at": "2026-06-10 11:00:00"}
    assert said.pop("paid") == later
    assert said.pop("trial") == later | {"price_amount": "0.00"}
    # What the offer costs nobody tells; what was known of it stays.
    del later["price_amount"], later["currency"]
    assert said == {"offer": later}


@pytest.mark.parametrize(
    ("offer_period", "expires", "rhythm"),
    [
        ("P3M", IN_THREE_MONTHS, ("month", 3)),
        ("P6M", IN_THREE_MONTHS, ("month", 6)),
        ("P1Y", IN_THREE_MONTHS, ("year", 1)),
        ("P2W", IN_THREE_MONTHS, ("week", 2)),
        ("P3D", IN_THREE_MONTHS, ("day", 3)),
        # Before February 2025 the period is told by its ends alone.
        (None, IN_THREE_MONTHS, ("month", 3)),
        (None, IN_THREE_DAYS, ("day", 3)),
        ("P1M2D", IN_THREE_MONTHS, ("month", 3)),
    ],
)
def test_what_is_paid_up_front_is_paid_for_the_whole_offer(
    staging: Staging, offer_period: str | None, expires: int, rhythm: tuple[str, int]
) -> None:
    paid = transaction(
        offerType=1,
        offerDiscountType="PAY_UP_FRONT",
        price=14_990,
        offerPeriod=offer_period,
        expiresDate=expires,
    )
    said = staging.events("app_store", {"it": notice("SUBSCRIBED/INITIAL_BUY", paid)})

    assert said["it"]["event_type"] == "started"
    assert said["it"]["price_amount"] == "14.99"
    assert (said["it"]["billing_interval"], said["it"]["billing_interval_count"]) == rhythm


def test_what_is_paid_as_you_go_is_paid_in_the_plans_rhythm(staging: Staging) -> None:
    paid = transaction(offerType=1, offerDiscountType="PAY_AS_YOU_GO", price=1_990, offerPeriod="P3M")

    assert staging.events("app_store", {"it": notice("SUBSCRIBED/INITIAL_BUY", paid)}) == {
        "it": SAID | {"event_type": "started", "price_amount": "1.99"}
    }


def test_a_year_that_is_billed_monthly_is_paid_monthly_until_its_last_payment(staging: Staging) -> None:
    def payment(number: int, **fields: Any) -> Row:
        commitment = {"billingPeriodNumber": number, "totalBillingPeriods": 12, "commitmentPrice": 131_880}
        return transaction(
            productId="home", price=10_990, billingPlanType="MONTHLY", commitmentInfo=commitment, **fields
        )

    said = staging.events(
        "app_store",
        {
            "third": notice("DID_RENEW", payment(3)),
            # What is left of the commitment is paid, and only then does it end.
            "given up": notice("DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_DISABLED", payment(3), renews=0),
            "last": notice("DID_RENEW", payment(12), renews=0),
            "up front": notice("DID_RENEW", transaction(productId="home", billingPlanType="BILLED_UPFRONT")),
        },
    )

    monthly = SAID | {"plan_id": "home", "price_amount": "10.99"}
    assert said == {
        "third": monthly | {"event_type": "renewed"},
        "given up": monthly | {"event_type": "auto_renew_off"},
        "last": monthly | {"event_type": "renewed", "is_auto_renew": False},
        "up front": SAID | {"event_type": "renewed", "plan_id": "home", "billing_interval": "year"},
    }


def test_a_billing_plan_that_is_not_known_is_quarantined() -> None:
    [(column, _)] = refusals("app_store", notice("DID_RENEW", transaction(billingPlanType="FORTNIGHTLY")))

    assert column == "payload.data.transactionInfo.billingPlanType"


def test_a_refund_of_an_earlier_transaction_leaves_plan_price_and_end_alone(staging: Staging) -> None:
    earlier = transaction(productId="home", price=99_900, purchaseDate=BEFORE, expiresDate=BEFORE)
    said = staging.events(
        "app_store",
        {
            "refunded": notice("REFUND", earlier),
            "prorated": notice("REFUND", earlier | {"revocationType": "REFUND_PRORATED"}),
            "of the current one": notice("REFUND", status=5),
            "taken back": notice("REFUND_REVERSED", earlier),
            "taken back in time": notice("REFUND_REVERSED"),
        },
    )

    refund = {"event_type": "refunded", "reason": "refund"}
    assert said == {
        "refunded": OF_THE_PAST | refund,
        "prorated": OF_THE_PAST | refund,
        "of the current one": SAID | {"event_type": "revoked", "reason": "refund"},
        "taken back": OF_THE_PAST | {"event_type": "refund_reversed"},
        "taken back in time": SAID | {"event_type": "refund_reversed"},
    }


def test_a_migrated_subscription_keeps_the_id_that_it_had(staging: Staging) -> None:
    moved = transaction(originalTransactionId="2000", previousOriginalTransactionId="1000")

    assert staging.events("app_store", {"it": notice("DID_RENEW", moved)}) == {
        "it": SAID | {"event_type": "renewed"}
    }
