"""Stripe's invoices, in the layouts before and since 2025-03-31: which lines pay a subscription's period.

https://docs.stripe.com/changelog/basil/2025-03-31/adds-new-parent-field-to-invoicing-objects and
https://docs.stripe.com/changelog/basil/2025-03-31/invoice-pricing-configurations say what moved where. Lines
stand in the order of https://docs.stripe.com/api/invoices/object#invoice_object-lines: pending invoice items
and prorations come before the subscription's items.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from loaders.landing.notifications.payload import Flag, Identifier, Payload, Seconds, Wanted, Whole, broken

Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$", description="ISO 4217 in lower case")]


class Metadata(Payload):
    """Of a subscription: whose it is, and by which offer it came."""

    account_id: Annotated[Identifier | None, Wanted] = None
    offer_id: Identifier | None = None


class SubscriptionDetails(Payload):
    """The subscription that the invoice bills, with its metadata at that time."""

    subscription: Identifier
    metadata: Metadata


class InvoiceParent(Payload):
    """Since 2025-03-31 the invoice names its subscription here."""

    subscription_details: SubscriptionDetails


class EarlierSubscriptionDetails(Payload):
    """Before 2025-03-31 the subscription's metadata, beside its id."""

    metadata: Metadata


class Period(Payload):
    """What the line pays for."""

    start: Seconds
    end: Seconds

    @field_validator("end")
    @classmethod
    def _ends_after_its_start(cls, end: int, info: ValidationInfo) -> int:
        if end < info.data.get("start", end):
            raise broken(f"is before start {info.data['start']}")
        return end


class PriceDetails(Payload):
    """The plan."""

    product: Identifier


class EarlierPrice(Payload):
    """The plan, before 2025-03-31."""

    product: Identifier | None = None


class Pricing(Payload):
    """Price of the line since 2025-03-31."""

    price_details: PriceDetails | None = None


class Discount(Payload):
    """Taken off the line."""

    amount: Whole


class SubscriptionItemDetails(Payload):
    """Whether the line settles a change within a period."""

    proration: Flag = False


class LineParent(Payload):
    """Where the line comes from, since 2025-03-31."""

    subscription_item_details: SubscriptionItemDetails | None = None


class Line(Payload):
    """Amount before discounts; a proration may be negative.

    Before 2025-03-31 ``type`` said whether the line is a subscription's or an invoice item, and ``price`` or
    ``plan`` of what.
    """

    amount: Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)]
    discount_amounts: list[Discount] | None = None
    period: Period
    parent: LineParent | None = None
    pricing: Pricing | None = None
    type: str | None = None
    proration: Flag | None = None
    price: EarlierPrice | None = None
    plan: EarlierPrice | None = None

    @property
    def pays_a_period(self) -> bool:
        """Whether it is neither a pending invoice item nor the settlement of a change."""
        if self.parent is not None:
            details = self.parent.subscription_item_details
            return details is not None and not details.proration
        return self.type == "subscription" and not self.proration


class Lines(Payload):
    """The first ten at most: ``has_more``."""

    data: list[Line]
    has_more: Flag = False


class Invoice(Payload):
    """An invoice; only those that may pay a subscription's period are read further."""

    billing_reason: str | None = None
    currency: Currency


class PeriodInvoice(Invoice):
    """An invoice that pays a period if one of its lines does."""

    parent: InvoiceParent | None = None
    subscription: Identifier | None = None
    subscription_details: EarlierSubscriptionDetails | None = None
    lines: Lines

    @model_validator(mode="after")
    def _names_its_subscription(self) -> Self:
        if self.parent is None and (self.subscription is None or self.subscription_details is None):
            raise broken(
                "names no subscription with an account: neither in parent.subscription_details, "
                "nor in subscription and subscription_details"
            )
        return self


class RenewalInvoice(PeriodInvoice):
    """An invoice of a new period: a line must pay it, or there must be lines that are not here."""

    @field_validator("lines")
    @classmethod
    def _pay_a_period(cls, lines: Lines) -> Lines:
        if lines.has_more:
            return lines
        for line in lines.data:
            if line.pays_a_period:
                return lines
        raise broken("have no line that pays a period")
