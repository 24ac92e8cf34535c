"""What single values of landing contracts may be: ids, codes, amounts, and the words of enumerations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from loaders.landing.currencies import HIGHEST_CEILING, MOST_PLACES

Identifier = Annotated[str, Field(min_length=1, max_length=128)]
Market = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Amount = Annotated[Decimal, Field(ge=0, le=HIGHEST_CEILING, max_digits=15, decimal_places=MOST_PLACES)]
"""What an amount may be in any currency at all; each contract's rules hold it to its own."""

IntervalCount = Annotated[
    int, Field(ge=1, le=3_660, description="A rhythm is every so many intervals; 1 where it is not said")
]
Provider = Literal["google_play", "app_store", "stripe", "periods"]
ExportCovers = Literal["complete", "partial", "rolling"]
EventType = Literal[
    "trial_started",
    "trial_converted",
    "started",
    "renewed",
    "plan_changed",
    "price_changed",
    "auto_renew_off",
    "auto_renew_on",
    "billing_retry_started",
    "grace_started",
    "recovered",
    "paused",
    "resumed",
    "refunded",
    "refund_reversed",
    "revoked",
    "expired",
    "reactivated",
]


PaymentKind = Literal["charge", "refund", "dispute"]
