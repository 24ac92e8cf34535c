"""Stripe: events of subscriptions, invoices, charges, refunds and disputes.

https://docs.stripe.com/api/events/types and the objects' own pages, in the API versions from 2020-08-27 on:
before, prices and discounts were told otherwise. Amounts are in the currency's smallest unit
(https://docs.stripe.com/currencies#zero-decimal). The service's account is ``metadata.account_id`` of
the subscription; charges, refunds and disputes do not inherit it, so the receiver copies it, and
``metadata.subscription_id``, onto them; with neither they are nobody's (relevance.py).
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
    broken,
)
from loaders.landing.notifications.stripe_invoices import (
    Currency,
    Invoice,
    Metadata,
    PeriodInvoice,
    RenewalInvoice,
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
UnitAmount = Annotated[int, Field(strict=True, ge=0, le=10**11)]


class PaymentMetadata(Payload):
    """Of a charge, refund or dispute: which subscription it paid for, copied there by the receiver."""

    account_id: Identifier | None = None
    subscription_id: Identifier

    @classmethod
    def doubts(cls, objects: Objects) -> Iterator[pa.Array]:
        """Without an account."""
        yield pc.and_(objects.present, pc.is_null(objects["account_id"]))


class Recurring(Payload):
    """How often is paid: every three months is a quarter; at most three years."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[int, Field(strict=True, ge=1, le=1_095)] = 1
    usage_type: str | None = None


class Price(Payload):
    """Price of one unit, fractions of the smallest unit as a text; tiered and metered prices have none.

    ``product`` is the plan.
    """

    id: Identifier
    product: Identifier
    currency: Currency
    unit_amount: UnitAmount | None = None
    unit_amount_decimal: Annotated[str, Field(pattern=r"^[0-9]{1,11}(\.[0-9]{1,12})?$")] | None = None
    recurring: Recurring


class Item(Payload):
    """Since 2025-03-31 the period stands on the item, before on the subscription."""

    created: Seconds | None = None
    quantity: Annotated[int, Field(strict=True, ge=0, le=10_000)] | None = None
    price: Price
    current_period_start: Seconds | None = None
    current_period_end: Seconds | None = None

    @property
    def rhythm(self) -> tuple[str, int]:
        """Unit and count."""
        return self.price.recurring.interval, self.price.recurring.interval_count


class Items(Payload):
    """What is subscribed to, paid in one rhythm: prices of several cannot be added up."""

    data: Annotated[list[Item], Field(min_length=1)]
    has_more: Flag = False

    @field_validator("data")
    @classmethod
    def _have_one_rhythm(cls, items: list[Item]) -> list[Item]:
        if len({item.rhythm for item in items}) > 1:
            raise broken("are paid in several rhythms")
        return items

    @classmethod
    def doubts(cls, objects: Objects) -> Iterator[pa.Array]:
        """The validator: a single item has one rhythm."""
        yield pc.greater(pc.list_value_length(objects["data"]), 1)


class CancellationDetails(Payload):
    """Why it was cancelled; an end is an end, whatever its reason says."""

    reason: Annotated[str, Field(max_length=128)] | None = None


class Subscription(Payload):
    """The subscription after the event."""

    id: Identifier
    metadata: Metadata
    status: Status
    currency: Currency | None = None
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


class PeriodData(Payload):
    """Of invoice.paid where the invoice may pay a period: the first one, or one that a change begins."""

    object: PeriodInvoice


class PaymentData(Payload):
    """Of charge.refunded, charge.dispute.* and refund.failed."""

    object: Payment


class EventData(Payload):
    """The object after the event, and what of it was another before."""

    object: Annotated[dict[str, Any], OneOf((Subscription, RenewalInvoice, PeriodInvoice, Payment))]
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
INVOICES: dict[str, type[Payload]] = {
    "subscription_cycle": RenewalData,
    "subscription_create": PeriodData,
    "subscription_update": PeriodData,
    "quote_accept": PeriodData,
}
"""What ``data`` of a paid invoice holds, by its billing reason; of others nothing is read.

https://docs.stripe.com/api/invoices/object#invoice_object-billing_reason. An accepted quote opens a
subscription, or sells something else. Not read: ``subscription_threshold`` (usage, billed when it is
much) and ``automatic_pending_invoice_item_invoice`` bill what no period costs, ``manual`` is nobody's
subscription, ``upcoming`` is only simulated, ``subscription`` is of before May 2018.
"""
_QUOTE = "quote_accept"


def _read_as(kind: str, data: EventData) -> type[Payload] | None:
    model = READ.get(kind)
    if model is not InvoiceData:
        return model
    reason = str(data.object.get("billing_reason"))
    if reason == _QUOTE and not _names_a_subscription(data.object):
        return model
    return INVOICES.get(reason, model)


def _names_a_subscription(invoice: dict[str, Any]) -> bool:
    parent = invoice.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    return details is not None or invoice.get("subscription") is not None


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

    @property
    def needs_account(self) -> bool:
        """See ``Payload``: everything that is read but invoices that pay no period."""
        return _read_as(self.type, self.data) not in (None, InvoiceData)

    @field_validator("data")
    @classmethod
    def _holds_its_object(cls, data: EventData, info: ValidationInfo) -> EventData:
        model = _read_as(info.data.get("type", ""), data)
        if model:
            model.model_validate({"object": data.object})
        return data

    @classmethod
    def doubts(cls, _objects: Objects) -> Iterator[pa.Array]:
        """None but those of the ``parts``."""
        yield from ()

    @classmethod
    def parts(cls, objects: Objects) -> Iterator[Part]:
        """The object, by the event's type; of an invoice by its billing reason too."""
        types, held = objects["type"], objects.at("data.object")

        def of(data: object) -> pa.Array:
            return pc.is_in(types, value_set=pa.array([name for name, each in READ.items() if each is data]))

        named = pc.or_(pc.is_valid(held["parent.subscription_details"]), pc.is_valid(held["subscription"]))
        sells_another_thing = pc.and_not(pc.fill_null(pc.equal(held["billing_reason"], _QUOTE), False), named)

        def because(*data: object) -> pa.Array:
            reasons = [reason for reason, each in INVOICES.items() if each in data]
            found = pc.fill_null(pc.is_in(held["billing_reason"], value_set=pa.array(reasons)), False)
            return pc.and_not(found, sells_another_thing)

        yield Subscription, held.where(of(SubscriptionData))
        yield Payment, held.where(of(PaymentData))
        yield Invoice, held.where(pc.and_not(of(InvoiceData), because(RenewalData, PeriodData)))
        yield RenewalInvoice, held.where(pc.and_(of(InvoiceData), because(RenewalData)))
        yield PeriodInvoice, held.where(pc.and_(of(InvoiceData), because(PeriodData)))

    part_models = (Subscription, Payment, Invoice, RenewalInvoice, PeriodInvoice)
