"""Landing contracts: what a row of each source table must look like.

A contract is a pydantic model. Field types decide the BigQuery types, ``Literal`` the enumerations, ``Field``
constraints the ranges, ``| None`` the nullability; class variables say which columns are the key and which
rules span columns. Definitions follow the domain's list of source tables.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import Field

from loaders.landing.billing_contracts import (
    AppStoreNotification,
    GooglePlayNotification,
    ProviderAccount,
    StripeEventRow,
)
from loaders.landing.kinds import KindOf
from loaders.landing.row import (
    EARLIEST_EVENT,
    EventTime,
    LandingRow,
    NotAfterArrival,
    NotBefore,
    OfCurrency,
)
from loaders.landing.values import (
    Amount,
    Currency,
    EventType,
    ExportCovers,
    Identifier,
    IntervalCount,
    Market,
    PaymentKind,
    Provider,
)
from segue.vocabulary import Interval, PlanKind

MILLISECONDS_PER_DAY = 86_400_000


class Account(LandingRow):
    table = "accounts"
    key = ("account_id",)
    may_be_absent = True

    account_id: Identifier
    created_at: EventTime
    market: Market
    locale: str
    birth_year_band: str | None = None
    is_test: bool
    is_employee: bool
    merged_into: Identifier | None = None
    deleted_at: EventTime | None = None


class Plan(LandingRow):
    table = "plans"
    key = ("plan_id",)
    is_reference = True
    may_be_absent = True

    plan_id: Identifier
    kind: PlanKind
    interval: Interval
    interval_count: IntervalCount | None = None
    trial_days: Annotated[int, Field(ge=0, le=365)]
    seats: Annotated[int, Field(ge=1, le=10_000)]


class PlanPrice(LandingRow):
    table = "plan_prices"
    key = ("plan_id", "market", "currency", "valid_from")
    is_reference = True
    rules = (OfCurrency("price_amount"),)
    may_be_absent = True

    plan_id: Identifier
    market: Market
    currency: Currency
    valid_from: date
    price_amount: Amount
    tax_inclusive: bool


class FxRate(LandingRow):
    table = "fx_rates"
    key = ("day", "currency")
    is_reference = True
    event_time = "day"

    day: date
    currency: Currency
    usd_rate: Annotated[Decimal, Field(gt=0, le=1_000, decimal_places=12)]


class SubscriptionEvent(LandingRow):
    """A plain billing export: events in canonical words.

    Rows with ``export_covers`` are together what an export says of a subscription on the day it arrived, and
    replace what earlier ones said; rows without are events of their own.
    """

    table = "subscription_events"
    key = ("provider", "provider_event_id")
    event_time = "occurred_at"
    rules = (
        NotBefore("period_end_at", "period_start_at"),
        NotAfterArrival("occurred_at"),
        OfCurrency("price_amount"),
    )
    message_kind = KindOf.of_column("event_type", get_args(EventType))
    replaces_by = "export_covers"

    provider: Provider
    provider_event_id: Identifier
    subscription_id: Identifier
    account_id: Identifier
    event_type: EventType
    plan_id: Identifier | None = None
    price_amount: Amount | None = None
    is_price_unknown: (
        Annotated[
            bool, Field(description="True: another price than the list price is paid, and nobody tells which")
        ]
        | None
    ) = None
    currency: Currency | None = None
    interval: Interval | None = None
    interval_count: IntervalCount | None = None
    trial_ends_at: EventTime | None = None
    period_start_at: EventTime | None = None
    period_end_at: EventTime | None = None
    auto_renew: bool | None = None
    reason: str | None = None
    offer_id: Identifier | None = None
    export_name: Identifier | None = None
    export_covers: ExportCovers | None = None
    occurred_at: EventTime


class PlanMember(LandingRow):
    table = "plan_members"
    key = ("subscription_id", "account_id", "joined_at")
    event_time = "joined_at"
    tells_again = True
    rules = (NotBefore("left_at", "joined_at"),)
    may_be_absent = True

    subscription_id: Identifier
    account_id: Identifier
    role: Literal["payer", "member"]
    joined_at: EventTime
    left_at: EventTime | None = None


class Payment(LandingRow):
    table = "payments"
    key = ("payment_id",)
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"), OfCurrency("amount"))
    message_kind = KindOf.of_column("kind", get_args(PaymentKind))

    payment_id: Identifier
    subscription_id: Identifier
    kind: PaymentKind
    amount: Amount
    currency: Currency
    status: Literal["succeeded", "failed", "pending"]
    attempt: Annotated[int, Field(ge=1, le=100)]
    decline_code: str | None = None
    refunded_payment_id: Identifier | None = None
    occurred_at: EventTime


class OfferImpression(LandingRow):
    """An offer that a surface showed, or, with ``is_shown`` false, would have shown: a control arm's no-show.

    What the lookup answered is given back as it was: ``decision_id``, ``rule_id``, ``rule_version``,
    ``experiment_id``, ``variant``, ``generation`` (``generation_ms``) and ``content_version``.
    """

    table = "offer_impressions"
    key = ("impression_id",)
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"),)

    impression_id: Identifier
    account_id: Identifier
    offer_id: Identifier
    surface: Identifier
    market: Market
    decision_id: Identifier | None = None
    generation: Annotated[int, Field(ge=0)] | None = None
    content_version: Annotated[int, Field(ge=0)] | None = None
    rule_id: Identifier | None = None
    rule_version: Annotated[int, Field(ge=1)] | None = None
    experiment_id: Identifier | None = None
    variant: Identifier | None = None
    is_shown: bool | None = None
    """Null, also where the file has no such column: it was shown."""
    occurred_at: EventTime


class OfferClick(LandingRow):
    table = "offer_clicks"
    key = ("click_id",)
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"),)

    click_id: Identifier
    impression_id: Identifier | None = None
    account_id: Identifier
    offer_id: Identifier
    surface: Identifier
    market: Market
    occurred_at: EventTime


class Checkout(LandingRow):
    table = "checkouts"
    key = ("checkout_id",)
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"),)

    checkout_id: Identifier
    click_id: Identifier | None = None
    account_id: Identifier
    offer_id: Identifier
    surface: Identifier
    market: Market
    result: Literal["completed", "abandoned", "failed"]
    subscription_id: Identifier | None = None
    occurred_at: EventTime


class ExperimentAssignment(LandingRow):
    table = "experiment_assignments"
    key = ("experiment_id", "account_id")
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"),)
    may_be_absent = True

    experiment_id: Identifier
    account_id: Identifier
    variant: Identifier
    salt_version: Annotated[int, Field(ge=1)]
    occurred_at: EventTime


class EngagementDay(LandingRow):
    table = "engagement_daily"
    key = ("account_id", "day")
    event_time = "day"

    account_id: Identifier
    day: Annotated[date, Field(ge=EARLIEST_EVENT.date())]
    streams: Annotated[int, Field(ge=0, le=100_000)]
    ms_played: Annotated[int, Field(ge=0, le=MILLISECONDS_PER_DAY)]
    ad_ms: Annotated[int, Field(ge=0, le=MILLISECONDS_PER_DAY)]
    skips_blocked: Annotated[int, Field(ge=0)] | None = None


class Consent(LandingRow):
    table = "consents"
    key = ("account_id", "purpose", "occurred_at")
    event_time = "occurred_at"
    rules = (NotAfterArrival("occurred_at"),)
    may_be_absent = True

    account_id: Identifier
    purpose: Literal["marketing", "personalisation"]
    granted: bool
    occurred_at: EventTime


class DeletionRequest(LandingRow):
    table = "deletion_requests"
    key = ("request_id",)
    event_time = "requested_at"
    rules = (NotAfterArrival("requested_at"),)
    may_be_absent = True

    request_id: Identifier
    account_id: Identifier
    requested_at: EventTime


class ContentEntry(LandingRow):
    """An entry of a content management system in one locale, or that it is gone (``is_deleted``)."""

    table = "content_entries"
    key = ("source", "entry_id", "locale", "content_version", "is_deleted")
    rules = (NotBefore("valid_until_at", "valid_from_at"),)
    may_be_absent = True

    source: Identifier
    entry_id: Identifier
    locale: Annotated[str, Field(min_length=2, max_length=35, description="BCP 47")]
    content_type: Identifier
    content_version: Annotated[int, Field(ge=0)]
    is_published: bool
    published_at: EventTime | None = None
    valid_from_at: EventTime | None = None
    valid_until_at: EventTime | None = None
    fields: Annotated[str, Field(description="JSON object: the entry's fields in this locale")]
    is_deleted: bool


class Score(LandingRow):
    """A model's score of an account; what it means is the model's business, higher is more."""

    table = "scores"
    key = ("model", "account_id", "scored_at")
    event_time = "scored_at"
    rules = (NotAfterArrival("scored_at"),)
    may_be_absent = True

    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    model_version: Annotated[int, Field(ge=1)] | None = None
    account_id: Identifier
    score: Annotated[Decimal, Field(ge=0, le=1, max_digits=15, decimal_places=4)]
    scored_at: EventTime


CONTRACTS: dict[str, type[LandingRow]] = {
    contract.table: contract
    for contract in (
        Account,
        Plan,
        PlanPrice,
        FxRate,
        SubscriptionEvent,
        GooglePlayNotification,
        AppStoreNotification,
        StripeEventRow,
        ProviderAccount,
        PlanMember,
        Payment,
        OfferImpression,
        OfferClick,
        Checkout,
        ExperimentAssignment,
        EngagementDay,
        Consent,
        DeletionRequest,
        ContentEntry,
        Score,
    )
}

EVENT_TABLES = (
    "google_play_notifications",
    "app_store_notifications",
    "stripe_events",
    "subscription_events",
)
"""Tables that subscription events come from: every provider's own and the canonical one."""
