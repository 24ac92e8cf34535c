"""Google Play: which plan a purchase is of, what is paid for it, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dbt.conftest import Row
from tests.dbt.providers.conftest import Staging, refusals
from tests.dbt.providers.test_google_play import PRICE, SAID, notice, purchase

ADD_ON_PRICE = {"currencyCode": "EUR", "units": "3", "nanos": 990_000_000}
EXPIRY = "2026-04-10T11:00:00Z"


def add_on(**fields: Any) -> Row:
    """A line item beside the subscription at 3.99 €."""
    return {
        "productId": "lyrics",
        "expiryTime": EXPIRY,
        "autoRenewingPlan": {"autoRenewEnabled": True, "recurringPrice": ADD_ON_PRICE},
        "offerDetails": {"basePlanId": "monthly"},
        "offerPhase": {"basePrice": {}},
    } | fields


def with_items(*more: Row, first: Row | None = None, **fields: Any) -> Row:
    """A purchase with more line items than the subscription itself."""
    bought = purchase(first, **fields)
    bought["lineItems"] += more
    return bought


def phase(name: str, **fields: Any) -> Row:
    """An item in a phase of its offer."""
    return {"offerPhase": {name: fields}}


def of(product: str, base_plan: str | None, **fields: Any) -> Row:
    """An item of a product without an offer."""
    return {
        "productId": product,
        "offerDetails": {"basePlanId": base_plan} if base_plan else None,
        **fields,
    }


def test_add_ons_add_up_and_the_base_item_is_the_plan(staging: Staging) -> None:
    said = staging.events(
        "google_play",
        {
            "two": notice(2, with_items(add_on())),
            "three": notice(2, with_items(add_on(), add_on(productId="karaoke"))),
            # It stays listed when it has ended.
            "ended": notice(2, with_items(add_on(expiryTime="2026-03-10T10:59:59Z"))),
            "add-on in a free trial": notice(2, with_items(add_on(**phase("freeTrial")))),
            "added": notice(17, with_items(add_on())),
        },
    )

    assert {name: (event["plan_id"], event["price_amount"]) for name, event in said.items()} == {
        "two": ("duo:monthly", "13.98"),
        "three": ("duo:monthly", "17.97"),
        "ended": ("duo:monthly", "9.99"),
        "add-on in a free trial": ("duo:monthly", "9.99"),
        "added": ("duo:monthly", "13.98"),
    }
    assert said["added"]["event_type"] == "plan_changed"


def test_a_free_trial_beside_a_paid_add_on_is_paid(staging: Staging) -> None:
    free, paid = phase("freeTrial"), add_on()
    said = staging.events(
        "google_play",
        {
            "paid add-on": notice(4, with_items(paid, first=free)),
            "free add-on": notice(4, with_items(paid | free, first=free)),
        },
    )

    assert {name: (event["event_type"], event["price_amount"]) for name, event in said.items()} == {
        "paid add-on": ("started", "3.99"),
        "free add-on": ("trial_started", "0.00"),
    }


def test_prices_in_two_currencies_do_not_add_up() -> None:
    dollars = {"autoRenewEnabled": True, "recurringPrice": ADD_ON_PRICE | {"currencyCode": "USD"}}
    [(column, reason)] = refusals("google_play", notice(2, with_items(add_on(autoRenewingPlan=dollars))))

    assert column == "purchase.lineItems"
    assert reason.endswith("has prices in EUR and USD, which do not add up")


def test_what_is_paid_in_an_introductory_phase_is_not_told_and_not_the_list_price(staging: Staging) -> None:
    introductory = phase("introductoryPrice")
    no_phase = {"offerPhase": None}
    said = staging.events(
        "google_play",
        {
            "opening": notice(4, purchase(introductory)),
            "renewal": notice(2, purchase(introductory)),
            "add-on": notice(2, with_items(add_on(**introductory))),
            # Before phases were told: an offer, which may be free, and nobody knows.
            "offer without a phase": notice(4, purchase(no_phase)),
            "no offer and no phase": notice(
                4, purchase(no_phase | {"offerDetails": {"basePlanId": "monthly"}})
            ),
            "renewal without a phase": notice(2, purchase(no_phase)),
        },
    )

    told = {name: (event.get("price_amount"), event.get("is_price_unknown")) for name, event in said.items()}
    assert told == {
        "opening": (None, True),
        "renewal": (None, True),
        "add-on": (None, True),
        "offer without a phase": (None, True),
        "no offer and no phase": ("9.99", None),
        "renewal without a phase": ("9.99", None),
    }
    assert said["opening"]["event_type"] == "started"
    assert {event["currency"] for event in said.values()} == {"EUR"}


def ordered(*prices: Row, until: str = "2026-04-10T11:00:00Z") -> Row:
    """What was charged, for a period that began at the notification."""
    term = {"servicePeriodStartTime": "2026-03-10T11:00:00Z", "servicePeriodEndTime": until}
    return {
        "latest_order": {
            "orderId": "GPA.1",
            "purchaseToken": "token-1",
            "state": "PROCESSED",
            "lineItems": [
                {"productId": "duo", "listingPrice": price, "subscriptionDetails": term} for price in prices
            ],
        }
    }


def test_the_order_tells_what_is_paid_in_an_introductory_phase(staging: Staging) -> None:
    bought = purchase(phase("introductoryPrice"))
    said = staging.events(
        "google_play",
        {
            "month": notice(4, bought) | ordered(ADD_ON_PRICE),
            "with an add-on": notice(2, bought) | ordered(ADD_ON_PRICE, PRICE),
            "three months at once": notice(2, bought) | ordered(ADD_ON_PRICE, until="2026-06-10T11:00:00Z"),
            "price left out": notice(2, bought) | {"latest_order": {"lineItems": [{"productId": "duo"}]}},
            # What the purchase tells is what is taken.
            "base price": notice(2) | ordered(ADD_ON_PRICE),
        },
    )

    assert {
        name: (
            event.get("price_amount"), event.get("is_price_unknown"),
            event["billing_interval"], event["billing_interval_count"],
        )
        for name, event in said.items()
    } == {
        "month": ("3.99", None, "month", 1),
        "with an add-on": ("13.98", None, "month", 1),
        "three months at once": ("3.99", None, "month", 3),
        "price left out": (None, True, "month", 1),
        "base price": ("9.99", None, "month", 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("interrupted", "price", "is_unknown"),
    [
        ("BASE", "9.99", None),
        (None, "9.99", None),
        ("ORIGINAL_OFFER_PHASE_TYPE_UNSPECIFIED", "9.99", None),
        ("FREE_TRIAL", "0.00", None),
        ("INTRODUCTORY", None, True),
    ],
)
def test_a_proration_period_costs_at_the_rate_of_the_phase_that_it_goes_on_with(
    staging: Staging, interrupted: str | None, price: str | None, is_unknown: bool | None
) -> None:
    prorated = phase("prorationPeriod", **({"originalOfferPhaseType": interrupted} if interrupted else {}))
    said = staging.events("google_play", {"it": notice(17, purchase(prorated))})

    assert (said["it"].get("price_amount"), said["it"].get("is_price_unknown")) == (price, is_unknown)


def test_signing_up_again_before_the_end_switches_auto_renewal_on(staging: Staging) -> None:
    def linked(item: Row | None = None, **fields: Any) -> Row:
        return notice(4, purchase(item, linkedPurchaseToken="token-0", **fields))

    prepaid = {
        "autoRenewingPlan": None,
        "prepaidPlan": {"allowExtendAfterTime": "2026-03-20T00:00:00Z"},
        "offerDetails": {"basePlanId": "prepaid-90"},
    }
    same = {"itemReplacement": {"productId": "duo", "basePlanId": "monthly"}}
    said = staging.events(
        "google_play",
        {
            "again": linked(),
            "said to replace itself": linked(same),
            "another base plan": linked({"itemReplacement": {"productId": "duo", "basePlanId": "yearly"}}),
            "another product": linked({"itemReplacement": {"productId": "home"}}),
            "top-up": linked(prepaid),
        },
    )

    assert {name: event["event_type"] for name, event in said.items()} == {
        "again": "auto_renew_on",
        "said to replace itself": "auto_renew_on",
        "another base plan": "plan_changed",
        "another product": "plan_changed",
        "top-up": "renewed",
    }
    assert said["again"] == SAID | {"event_type": "auto_renew_on"}
    assert said["top-up"]["is_auto_renew"] is False


def test_what_replaces_a_subscription_at_its_end_has_not_begun(staging: Staging) -> None:
    kept = {
        "autoRenewingPlan": {"recurringPrice": PRICE},
        "deferredItemReplacement": {"productId": "home"},
    }
    dearer = {"currencyCode": "EUR", "units": "99"}
    waiting = add_on(productId="home", autoRenewingPlan={"autoRenewEnabled": True, "recurringPrice": dearer})
    del waiting["expiryTime"]
    bought = with_items(waiting, first=kept, linkedPurchaseToken="token-0")
    turned = bought | {"lineItems": bought["lineItems"][::-1]}
    said = staging.events("google_play", {"listed after": notice(4, bought), "before": notice(4, turned)})

    still = SAID | {"event_type": "auto_renew_on", "is_auto_renew": True}
    assert said == {"listed after": still, "before": still}


def test_what_has_replaced_a_subscription_at_its_end_is_the_plan_though_the_old_one_is_listed_first(
    staging: Staging,
) -> None:
    old = of("solo", "monthly", expiryTime="2026-03-10T11:00:00Z", autoRenewingPlan={"recurringPrice": PRICE})
    yearly = {"autoRenewEnabled": True, "recurringPrice": {"currencyCode": "EUR", "units": "120"}}
    new = add_on(**of("duo", "yearly", expiryTime="2027-03-10T11:00:00Z", autoRenewingPlan=yearly))
    ended = of("solo", "monthly", expiryTime="2026-02-10T11:00:00Z")
    last = add_on(**of("duo", "yearly", expiryTime="2026-03-10T10:59:59.7Z", autoRenewingPlan=yearly))
    extra = add_on(expiryTime="2026-03-10T11:00:00Z")
    said = staging.events(
        "google_play",
        {
            "renewal": notice(2, with_items(new, first=old)),
            "of a product listed alone": notice(2, with_items(new | of("solo", "yearly"), first=old)),
            "cancellation": notice(3, with_items(new, first=old)),
            # Of what has ended as a whole, the items that ended last.
            "end": notice(13, with_items(last, extra, first=ended)),
        },
    )

    assert {event["is_auto_renew"] for event in said.values()} == {True}
    columns = ("plan_id", "price_amount", "billing_interval", "period_end_at")
    assert {name: tuple(event[column] for column in columns) for name, event in said.items()} == {
        "renewal": ("duo:yearly", "120.00", "year", "2027-03-10 11:00:00"),
        "of a product listed alone": ("solo", "120.00", "year", "2027-03-10 11:00:00"),
        "cancellation": ("duo:yearly", "120.00", "year", "2027-03-10 11:00:00"),
        "end": ("duo:yearly", "123.99", "year", "2026-03-10 10:59:59"),
    }


def test_a_renewal_that_is_put_off_moves_the_end_and_charges_nothing(staging: Staging) -> None:
    said = staging.events(
        "google_play",
        {
            "paid": notice(9, purchase({"expiryTime": "2026-04-20T11:00:00Z"})),
            "trial": notice(9, purchase({"expiryTime": "2026-04-20T11:00:00Z"} | phase("freeTrial"))),
            "offer": notice(9, purchase({"expiryTime": "2026-04-20T11:00:00Z"} | phase("introductoryPrice"))),
        },
    )

    later = SAID | {"event_type": "price_changed", "period_end_at": "2026-04-20 11:00:00"}
    assert said.pop("paid") == later
    assert said.pop("trial") == later | {"price_amount": "0.00"}
    # What the offer costs has been told before.
    del later["price_amount"]
    assert said == {"offer": later}


def test_a_prepaid_plan_has_a_term_and_no_renewal_and_costs_what_the_catalogue_says(staging: Staging) -> None:
    prepaid = of("duo", "prepaid-90", autoRenewingPlan=None, prepaidPlan={}, offerPhase=None)
    said = staging.events("google_play", {"it": notice(4, purchase(prepaid))})

    expected = SAID | {
        "event_type": "started", "plan_id": "duo:prepaid-90", "billing_interval_count": 3,
        "is_auto_renew": False,
    }  # fmt: skip
    del expected["price_amount"], expected["currency"]
    assert said["it"] == expected


def test_a_commitment_that_is_paid_in_instalments_is_paid_monthly_until_it_ends(staging: Staging) -> None:
    def committed(**details: Any) -> Row:
        return purchase(
            of("duo", "yearly", autoRenewingPlan={"recurringPrice": PRICE, "installmentDetails": details})
        )

    cancelled = {"initialCommittedPaymentsCount": 12, "pendingCancellation": {}}
    said = staging.events(
        "google_play",
        {
            "under way": notice(2, committed(**cancelled, remainingCommittedPaymentsCount=5)),
            "last payment": notice(2, committed(**cancelled)),
            # What is committed to is paid; CANCELED comes at the end of it.
            "cancellation scheduled": notice(18, committed(**cancelled, remainingCommittedPaymentsCount=5)),
        },
    )

    monthly = SAID | {"event_type": "renewed", "plan_id": "duo:yearly"}
    assert said == {
        "under way": monthly | {"is_auto_renew": True},
        "last payment": monthly | {"is_auto_renew": False},
    }


def test_a_plan_is_a_product_and_a_base_plan_as_far_as_the_catalogue_lists_both(staging: Staging) -> None:
    year = {"startTime": "2026-03-10T11:00:00Z"}
    end = {"expiryTime": "2027-03-10T11:00:00Z"}
    said = staging.events(
        "google_play",
        {
            "listed": notice(4, purchase(of("duo", "yearly", **end), **year)),
            # Not listed though others of the product are: a plan that the catalogue lacks.
            "not listed": notice(4, purchase(of("duo", "weekly"), startTime="2026-03-10T11:00:00Z")),
            "no base plan": notice(4, purchase(of("home", None, **end), **year)),
            "product alone": notice(4, purchase(of("home", "p1y", **end), **year)),
        },
    )

    assert {
        name: (event["plan_id"], event.get("billing_interval"), event.get("billing_interval_count"))
        for name, event in said.items()
    } == {
        "listed": ("duo:yearly", "year", 1),
        "not listed": ("duo:weekly", None, None),
        "no base plan": ("home", "year", 1),
        "product alone": ("home", "year", 1),
    }


@pytest.mark.parametrize(
    ("end", "rhythm"),
    [
        ("2026-04-10T11:00:00.123Z", ("month", 1)),
        ("2026-04-09T12:00:00Z", ("month", 1)),
        ("2027-03-10T11:00:00Z", ("year", 1)),
        ("2026-06-10T11:00:00Z", ("month", 3)),
        ("2026-06-09T10:00:00Z", ("month", 3)),
        ("2026-03-17T11:00:00Z", ("week", 1)),
        ("2026-04-07T11:00:00Z", ("week", 4)),
        # Paid late: a month of which 28 days and some hours are left.
        ("2026-04-07T16:00:00Z", ("month", 1)),
        ("2026-03-13T11:00:00Z", ("day", 3)),
    ],
)
def test_an_opening_of_a_product_that_is_listed_alone_shows_a_base_plan_that_nobody_listed(
    staging: Staging, end: str, rhythm: tuple[str, int]
) -> None:
    item = of("solo", "other", expiryTime=end)
    said = staging.events(
        "google_play",
        {
            "opening": notice(4, purchase(item, startTime="2026-03-10T11:00:00Z")),
            "renewal": notice(2, purchase(item, startTime="2024-03-10T11:00:00Z")),
        },
    )

    for event in said.values():
        assert event["plan_id"] == "solo"
        assert (event["billing_interval"], event["billing_interval_count"]) == rhythm


@pytest.mark.parametrize(
    ("product", "start", "end", "rhythm"),
    [
        ("solo", "2026-01-10T11:00:00Z", "2026-02-07T11:00:00Z", ("week", 4)),
        # February's 28 days are a month, for all that is known.
        ("solo", "2026-02-10T11:00:00Z", "2026-03-10T11:00:00Z", ("month", 1)),
        ("lunar", "2026-02-10T11:00:00Z", "2026-03-10T11:00:00Z", ("week", 4)),
        ("lunar", "2026-01-10T11:00:00Z", "2026-02-07T11:00:00Z", ("week", 4)),
        ("lunar", "2026-01-10T11:00:00Z", "2026-02-10T11:00:00Z", ("month", 1)),
        ("lunar", "2026-01-30T11:00:00Z", "2026-02-28T11:00:00Z", ("month", 1)),
        ("solo", "2026-01-10T23:59:59Z", "2026-02-08T00:00:01Z", ("week", 4)),
    ],
)
def test_four_weeks_and_a_month_are_told_apart(
    staging: Staging, product: str, start: str, end: str, rhythm: tuple[str, int]
) -> None:
    said = staging.events(
        "google_play", {"it": notice(4, purchase(of(product, "other", expiryTime=end), startTime=start))}
    )

    assert (said["it"]["billing_interval"], said["it"]["billing_interval_count"]) == rhythm


def test_what_pays_nothing_does_not_speak_of_the_rhythm_of_a_product_that_is_listed_alone(
    staging: Staging,
) -> None:
    item = of("solo", "other", expiryTime="2027-03-10T11:00:00Z")
    trial = of("solo", "other", expiryTime="2026-03-17T11:00:00Z", offerPhase={"freeTrial": {}})
    said = staging.events(
        "google_play",
        {str(kind): notice(kind, purchase(item)) for kind in (1, 3, 5, 6, 7, 9, 10, 12, 13)}
        | {"trial": notice(4, purchase(trial, startTime="2026-03-10T11:00:00Z"))},
    )

    # The length of a trial or of an offer is not that of the periods which follow.
    assert said.pop("trial")["billing_interval"] == "month"
    assert {event.get("billing_interval") for event in said.values()} == {None}
