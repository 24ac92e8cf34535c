"""Stripe: events of subscriptions, invoices, charges, refunds and disputes.

https://docs.stripe.com/api/events/types and the objects' own pages, in the API versions from 2020-08-27 on:
before, prices and discounts were told otherwise. Amounts are in the currency's smallest unit
(https://docs.stripe.com/currencies#zero-decimal). The service's account is ``metadata.account_id`` of
the subscription; charges, refunds and disputes do not inherit it, so the receiver copies it, and
``metadata.subscription_id``, onto them; with neither they are nobody's (relevance.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from pydantic import Field, ValidationInfo, field_validator

from loaders.landing.notifications.payload import (
    AsWritten,
    Flag,
    Identifier,
    NamedAt,
    Payload,
    Seconds,
    Wanted,
    broken,
)
from loaders.landing.notifications.payload_structs import AnyObject, reader_of
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

    account_id: Annotated[Identifier | None, Wanted] = None
    subscription_id: Identifier


class Recurring(Payload):
    """How often is paid: every three months is a quarter; at most three years."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[int, Field(strict=True, ge=1, le=1_095)] = 1
    usage_type: str | None = None


class Price(Payload):
    """Price of one unit, fractions of the smallest unit as a text; tiered and metered prices have none.

    ``product`` is the plan.
    """

    repeats = True

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
        if len(items) > 1 and len({item.rhythm for item in items}) > 1:
            raise broken("are paid in several rhythms")
        return items


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

    object: Annotated[dict[str, Any], AsWritten]
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


class _Billed(msgspec.Struct):
    billing_reason: Any = None


_billed: Final = msgspec.json.Decoder(_Billed).decode


def _read_as(kind: str, held: dict[str, Any] | msgspec.Raw) -> type[Payload] | None:
    model = READ.get(kind)
    if model is not InvoiceData:
        return model
    invoice = held if isinstance(held, dict) else {"billing_reason": _billed(held).billing_reason}
    reason = str(invoice.get("billing_reason"))
    if reason == _QUOTE and not _names_a_subscription(held):
        return model
    return INVOICES.get(reason, model)


def _names_a_subscription(held: dict[str, Any] | msgspec.Raw) -> bool:
    invoice: dict[str, Any] = held if isinstance(held, dict) else msgspec.json.decode(held)
    parent = invoice.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    return details is not None or invoice.get("subscription") is not None


_HELD: Final = {None: msgspec.json.Decoder(AnyObject).decode} | {
    model: reader_of(get_type_hints(model)["object"]) for model in {*READ.values(), *INVOICES.values()}
}


def _hold(model: type[Payload] | None, held: dict[str, Any] | msgspec.Raw) -> None:
    """Hold the object of an event against the model that its data has to keep."""
    if not isinstance(held, dict):
        _HELD[model](held)
    elif model:
        model.model_validate({"object": held})


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
        return _read_as(self.type, self.data.object) not in (None, InvoiceData)

    @field_validator("data")
    @classmethod
    def _holds_its_object(cls, data: EventData, info: ValidationInfo) -> EventData:
        model = _read_as(info.data.get("type", ""), data.object)
        _hold(model, data.object)
        return data
