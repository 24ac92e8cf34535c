"""Stripe: events of subscriptions, invoices, charges, refunds and disputes.

https://docs.stripe.com/api/events/types and the objects' own pages. Amounts are in the currency's smallest
unit (https://docs.stripe.com/currencies#zero-decimal). The service's account is ``metadata.account_id`` of
the subscription; charges, refunds and disputes do not inherit it, so the receiver copies it, and
``metadata.subscription_id``, onto them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationInfo, field_validator

from loaders.landing.notifications.objects import Objects
from loaders.landing.notifications.payload import (
    Flag,
    Identifier,
    NamedAt,
    OneOf,
    Part,
    Payload,
    Seconds,
    Whole,
    broken,
)

EventKind = Literal[
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.upcoming",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
    "charge.captured",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refund.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
]
Status = Literal[
    "incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled", "unpaid", "paused"
]
Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$", description="ISO 4217 in lower case")]


class Metadata(Payload):
    """Of a subscription: whose it is, and by which offer it came."""

    account_id: Identifier
    offer_id: Identifier | None = None


class PaymentMetadata(Payload):
    """Of a charge, refund or dispute: which subscription it paid for, copied there by the receiver."""

    account_id: Identifier
    subscription_id: Identifier


class Recurring(Payload):
    """How often is paid: every three months is a quarter; at most three years."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[int, Field(strict=True, ge=1, le=1_095)] = 1


class Price(Payload):
    """Price of one seat; ``product`` is the plan."""

    id: Identifier
    product: Identifier
    currency: Currency
    unit_amount: Whole
    recurring: Recurring


class Item(Payload):
    """Since 2025-03-31 the period stands on the item, before on the subscription."""

    quantity: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    price: Price
    current_period_start: Seconds | None = None
    current_period_end: Seconds | None = None


class Items(Payload):
    """One item: a subscription of several products has no one plan."""

    data: Annotated[list[Item], Field(min_length=1, max_length=1)]


class CancellationDetails(Payload):
    """Why it was cancelled."""

    reason: Literal["cancellation_requested", "payment_disputed", "payment_failed"] | None = None


class Subscription(Payload):
    """The subscription after the event."""

    id: Identifier
    metadata: Metadata
    status: Status
    items: Items
    cancel_at_period_end: Flag
    cancel_at: Seconds | None = None
    trial_end: Seconds | None = None
    pause_collection: dict[str, Any] | None = None
    cancellation_details: CancellationDetails | None = None
    current_period_start: Seconds | None = None
    current_period_end: Seconds | None = Field(None, validate_default=True)

    @field_validator("current_period_end")
    @classmethod
    def _has_a_period(cls, end: int | None, info: ValidationInfo) -> int | None:
        items = info.data.get("items")
        item = items.data[0] if items else None
        start = item.current_period_start if item else None
        start = start or info.data.get("current_period_start")
        last = (item.current_period_end if item else None) or end
        if items and last is None:
            raise broken("is neither on the subscription nor on its item")
        if start and last and last < start:
            raise broken(f"{last} is before current_period_start {start}")
        return end

    @classmethod
    def doubts(cls, objects: Objects) -> Iterator[pa.Array]:
        """The validator."""
        item = objects.at("items").first("data")
        start = pc.coalesce(item["current_period_start"], objects["current_period_start"])
        last = pc.coalesce(item["current_period_end"], objects["current_period_end"])
        yield pc.and_(objects.present, pc.is_null(last))
        yield pc.less(last, start)


class SubscriptionDetails(Payload):
    """The subscription that the invoice bills, with its metadata at that time."""

    subscription: Identifier
    metadata: Metadata


class InvoiceParent(Payload):
    """Since 2025-03-31 the invoice names its subscription here."""

    subscription_details: SubscriptionDetails


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

    @classmethod
    def doubts(cls, objects: Objects) -> Iterator[pa.Array]:
        """The validator."""
        yield pc.less(objects["end"], objects["start"])


class PriceDetails(Payload):
    """The plan."""

    product: Identifier


class Pricing(Payload):
    """Price of the line."""

    price_details: PriceDetails


class Discount(Payload):
    """Taken off the line."""

    amount: Whole


class SubscriptionItemDetails(Payload):
    """Whether the line settles a change within a period."""

    proration: Flag = False


class LineParent(Payload):
    """Where the line comes from."""

    subscription_item_details: SubscriptionItemDetails | None = None


class Line(Payload):
    """Amount before discounts; a proration may be negative."""

    amount: Annotated[int, Field(strict=True)]
    discount_amounts: list[Discount] | None = None
    period: Period
    pricing: Pricing
    parent: LineParent | None = None

    @property
    def is_proration(self) -> bool:
        """Whether the line settles a change instead of paying a period."""
        details = self.parent.subscription_item_details if self.parent else None
        return details is not None and details.proration


class Lines(Payload):
    """The first line that is no proration pays the period."""

    data: list[Line]

    @field_validator("data")
    @classmethod
    def _pays_a_period(cls, lines: list[Line]) -> list[Line]:
        if all(line.is_proration for line in lines):
            raise broken("has no line that pays a period")
        return lines

    @classmethod
    def doubts(cls, objects: Objects) -> Iterator[pa.Array]:
        """The validator."""
        settles = objects.each("data")["parent.subscription_item_details.proration"]
        pays = pc.invert(pc.fill_null(settles, False))
        yield pc.and_(objects.present, pc.invert(objects.with_any("data", pays)))


class Invoice(Payload):
    """An invoice; only those that renew a subscription are read further."""

    billing_reason: str | None = None
    currency: Currency


class RenewalInvoice(Invoice):
    """An invoice of a subscription's new period."""

    parent: InvoiceParent
    lines: Lines


class Payment(Payload):
    """A charge, refund or dispute."""

    metadata: PaymentMetadata


class SubscriptionData(Payload):
    """Of customer.subscription.*."""

    object: Subscription


class InvoiceData(Payload):
    """Of invoice.paid."""

    object: Invoice


class RenewalData(Payload):
    """Of invoice.paid where the invoice renews a subscription."""

    object: RenewalInvoice


class PaymentData(Payload):
    """Of charge.refunded, charge.dispute.* and refund.failed."""

    object: Payment


class EventData(Payload):
    """The object after the event, and what of it was another before."""

    object: Annotated[dict[str, Any], OneOf((Subscription, RenewalInvoice, Payment))]
    previous_attributes: dict[str, Any] | None = None


READ: dict[str, type[Payload]] = {
    "charge.dispute.funds_reinstated": PaymentData,
    "charge.dispute.funds_withdrawn": PaymentData,
    "charge.refunded": PaymentData,
    "customer.subscription.created": SubscriptionData,
    "customer.subscription.deleted": SubscriptionData,
    "customer.subscription.paused": SubscriptionData,
    "customer.subscription.resumed": SubscriptionData,
    "customer.subscription.updated": SubscriptionData,
    "invoice.paid": InvoiceData,
    "refund.failed": PaymentData,
}
"""What ``data`` holds, by event type; of the other types nothing is read."""
RENEWAL = "subscription_cycle"


class StripeEvent(Payload):
    """The event object."""

    names = (
        NamedAt("account", "data.object.metadata.account_id"),
        NamedAt("account", "data.object.parent.subscription_details.metadata.account_id"),
        # Before 2025-03-31 an invoice named its subscription itself.
        NamedAt("account", "data.object.subscription_details.metadata.account_id"),
        NamedAt("account", "data.previous_attributes.metadata.account_id"),
        NamedAt("subscription", "data.object.id", of_types="customer.subscription."),
        NamedAt("subscription", "data.object.metadata.subscription_id"),
        NamedAt("subscription", "data.object.parent.subscription_details.subscription"),
        NamedAt("subscription", "data.object.subscription"),
        NamedAt("customer", "data.object.customer"),
    )

    type: EventKind
    livemode: Flag
    data: EventData

    @field_validator("data")
    @classmethod
    def _holds_its_object(cls, data: EventData, info: ValidationInfo) -> EventData:
        model = READ.get(info.data.get("type", ""))
        if model is InvoiceData and data.object.get("billing_reason") == RENEWAL:
            model = RenewalData
        if model:
            model.model_validate({"object": data.object})
        return data

    @classmethod
    def doubts(cls, _objects: Objects) -> Iterator[pa.Array]:
        """None but those of the ``parts``."""
        yield from ()

    @classmethod
    def parts(cls, objects: Objects) -> Iterator[Part]:
        """The object, by the event's type; a renewal is an invoice as any other, and more."""
        types, held = objects["type"], objects.at("data.object")
        renews = pc.fill_null(pc.equal(held["billing_reason"], RENEWAL), False)

        def of(data: object) -> pa.Array:
            return pc.is_in(types, value_set=pa.array([name for name, each in READ.items() if each is data]))

        yield Subscription, held.where(of(SubscriptionData))
        yield Payment, held.where(of(PaymentData))
        yield Invoice, held.where(pc.and_not(of(InvoiceData), renews))
        yield RenewalInvoice, held.where(pc.and_(of(InvoiceData), renews))

    part_models = (Subscription, Payment, Invoice, RenewalInvoice)
