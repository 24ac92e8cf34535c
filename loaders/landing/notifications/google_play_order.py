"""Google Play: the order that was charged last, as the receiver fetched it (``latestSuccessfulOrderId``).

https://developers.google.com/android-publisher/api-ref/rest/v3/orders. It is needed where a purchase is in an
introductory phase: "please call orders.get API instead if transaction details are needed", says its
``recurringPrice``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loaders.landing.notifications.google_play import Money, Timestamp
from loaders.landing.notifications.payload import Identifier, NamedAt, Payload


class OrderedTerm(Payload):
    """The period that was paid."""

    servicePeriodStartTime: Timestamp | None = None
    servicePeriodEndTime: Timestamp | None = None


class OrderItem(Payload):
    """An item that was charged; ``listingPrice`` is what it cost, before discounts that Google bears."""

    productId: Identifier
    listingPrice: Money | None = None
    subscriptionDetails: OrderedTerm | None = None


class Order(Payload):
    """One charge."""

    names = (NamedAt("subscription", "purchaseToken"),)

    lineItems: Annotated[list[OrderItem], Field(min_length=1)]
