"""The columns of ``fct_account_features`` that a rule may look at, with what can be asked of each.

Closed on purpose: what is not listed cannot be used, and a test holds the list against the mart's contract.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from segue.vocabulary import MARKETS, EndReason, Interval, PlanKind

Kind = Literal["number", "text", "flag", "date"]
"""``number`` INT64, ``text`` STRING, ``flag`` BOOL, ``date`` DATE."""

FEATURES: Final[dict[str, Kind]] = {
    "market": "text",
    "locale": "text",
    "birth_year_band": "text",
    "created_date": "date",
    "tenure_days": "number",
    "streams_28d": "number",
    "active_days_28d": "number",
    "ad_ms_28d": "number",
    "skips_blocked_28d": "number",
    "has_ever_trialled": "flag",
    "has_ever_paid": "flag",
    "is_entitled": "flag",
    "is_payer": "flag",
    "is_member": "flag",
    "is_paid": "flag",
    "is_in_trial": "flag",
    "is_in_grace": "flag",
    "is_auto_renew": "flag",
    "has_cancelled": "flag",
    "plan_kind": "text",
    "billing_interval": "text",
    "billing_interval_count": "number",
    "subscription_started_date": "date",
    "subscription_tenure_days": "number",
    "seats": "number",
    "seats_taken": "number",
    "subscription_count": "number",
    "price_raise_date": "date",
    "failed_payments_28d": "number",
    "last_ended_date": "date",
    "last_end_reason": "text",
    "days_since_lapse": "number",
}

FeatureName = Literal[
    "market",
    "locale",
    "birth_year_band",
    "created_date",
    "tenure_days",
    "streams_28d",
    "active_days_28d",
    "ad_ms_28d",
    "skips_blocked_28d",
    "has_ever_trialled",
    "has_ever_paid",
    "is_entitled",
    "is_payer",
    "is_member",
    "is_paid",
    "is_in_trial",
    "is_in_grace",
    "is_auto_renew",
    "has_cancelled",
    "plan_kind",
    "billing_interval",
    "billing_interval_count",
    "subscription_started_date",
    "subscription_tenure_days",
    "seats",
    "seats_taken",
    "subscription_count",
    "price_raise_date",
    "failed_payments_28d",
    "last_ended_date",
    "last_end_reason",
    "days_since_lapse",
]
"""The names again for the type checker and for editors, which complete them from the JSON Schema."""

WORDS: Final[dict[str, frozenset[str]]] = {
    "market": MARKETS,
    "plan_kind": frozenset(get_args(PlanKind)),
    "billing_interval": frozenset(get_args(Interval)),
    "last_end_reason": frozenset(get_args(EndReason)),
}
"""What a text can be, where that is a closed list; the others are whatever the accounts say."""

LOWEST: Final[dict[str, int]] = {
    name: 1 if name in ("billing_interval_count", "seats") else 0
    for name, kind in FEATURES.items()
    if kind == "number"
}
HIGHEST: Final[dict[str, int]] = {"active_days_28d": 28}
"""Where a number ends."""

OF_THE_ENTITLED: Final = frozenset(
    {
        "plan_kind", "billing_interval", "billing_interval_count", "subscription_started_date",
        "subscription_tenure_days", "seats", "seats_taken", "price_raise_date",
    }
)  # fmt: skip
"""Without a value for whoever is not entitled."""
FLAGS_OF_THE_ENTITLED: Final = frozenset(
    {
        "is_entitled", "is_payer", "is_member", "is_paid", "is_in_trial", "is_in_grace", "is_auto_renew",
        "has_cancelled",
    }
)  # fmt: skip
"""False for whoever is not entitled."""
OF_THE_LAPSED: Final = frozenset({"days_since_lapse"})
"""Without a value for whoever is entitled."""

JUDGED: Final = (
    "account_id",
    "feature_date",
    "is_test_account",
    "is_deletion_requested",
    "is_marketing_withdrawn",
    "is_personalisation_withdrawn",
    "offer_exposures",
    "model_scores",
)
"""Columns that the fixed steps of a decision read, beside the features."""
