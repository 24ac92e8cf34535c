"""The company's markets, plans, prices and exchange rates."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from numpy.typing import NDArray

from local.company.spec import CompanySpec

OFFERS = (
    "trial-30-days",
    "winback-3-months",
    "annual-switch",
    "student-verify",
    "duo-upgrade",
    "family-upgrade",
    "trial-convert",
    "winback-6-months",
    "price-hold",
    "payment-nudge",
    "stay-discount",
    "update-card-return",
)
PASSING_OFFERS = 6
"""The first of them are shown also by surfaces that ask nobody."""
SURFACES = ("home", "checkout", "paywall", "email")
PROVIDERS = ("stripe", "google_play", "app_store", "periods")
RHYTHMS = (("week", 1), ("month", 1), ("year", 1), ("month", 3), ("week", 4))
"""How often plans are paid: every so many intervals."""
INTERVALS = tuple(interval for interval, _ in RHYTHMS)
INTERVAL_COUNTS = np.array([count for _, count in RHYTHMS], np.int64)
RHYTHM_DAYS = np.array(
    [{"week": 7, "month": 30, "year": 365}[unit] * count for unit, count in RHYTHMS], np.int64
)


@dataclass(frozen=True)
class Market:
    """A market with its currency, the window's first ``usd_rate`` and its ``price_level``, local per USD."""

    code: str
    currency: str
    locale: str
    share: float
    usd_rate: float
    price_level: float


MARKETS = (
    Market("US", "USD", "en-US", 0.30, 1.0, 1.0),
    Market("GB", "GBP", "en-GB", 0.14, 1.27, 0.95),
    Market("DE", "EUR", "de-DE", 0.16, 1.08, 1.0),
    Market("FR", "EUR", "fr-FR", 0.10, 1.08, 1.0),
    Market("BR", "BRL", "pt-BR", 0.10, 0.18, 2.2),
    Market("IN", "INR", "hi-IN", 0.08, 0.012, 12.0),
    Market("JP", "JPY", "ja-JP", 0.07, 0.0067, 98.0),
    Market("MX", "MXN", "es-MX", 0.05, 0.055, 12.5),
)
CURRENCIES = tuple(dict.fromkeys(market.currency for market in MARKETS))


@dataclass(frozen=True)
class Plan:
    """A plan; ``share`` is how often a new subscription takes it, ``usd_price`` its list price."""

    plan_id: str
    kind: str
    rhythm: int
    trial_days: int
    seats: int
    usd_price: str
    share: float


PLANS = (
    Plan("individual-month", "individual", 1, 30, 1, "10.99", 0.40),
    Plan("individual-year", "individual", 2, 7, 1, "99.90", 0.10),
    Plan("individual-week", "individual", 0, 0, 1, "3.49", 0.05),
    Plan("individual-quarter", "individual", 3, 0, 1, "29.90", 0.04),
    Plan("individual-4-weeks", "individual", 4, 0, 1, "9.99", 0.02),
    Plan("duo-month", "duo", 1, 30, 2, "14.99", 0.10),
    Plan("family-month", "family", 1, 30, 6, "17.99", 0.13),
    Plan("student-month", "student", 1, 30, 1, "5.99", 0.10),
    Plan("basic-month", "basic", 1, 7, 1, "7.99", 0.06),
    Plan("free", "free", 1, 0, 1, "0.00", 0.0),
)
PLAN_IDS = tuple(plan.plan_id for plan in PLANS)
PLAN_RHYTHM = np.array([plan.rhythm for plan in PLANS], np.int64)
PLAN_TRIAL_DAYS = np.array([plan.trial_days for plan in PLANS], np.int64)
PLAN_SEATS = np.array([plan.seats for plan in PLANS], np.int64)


def price_cents(raised: bool) -> NDArray[np.int64]:
    """Price in hundredths of the currency's unit, by plan × market; whole yen.

    ``raised``: after the price change of individual-month in the first market.
    """
    prices = np.zeros((len(PLANS), len(MARKETS)), np.int64)
    for p, plan in enumerate(PLANS):
        for m, market in enumerate(MARKETS):
            local = Decimal(plan.usd_price) * Decimal(str(market.price_level))
            if market.currency == "JPY":
                local = local.quantize(Decimal(1), ROUND_HALF_UP)
            prices[p, m] = int((local * 100).quantize(Decimal(1), ROUND_HALF_UP))
    if raised:
        prices[0, 0] += 100
    return prices


def price_change_us(spec: CompanySpec) -> int:
    """Midnight on which individual-month becomes dearer in the first market: the middle of the window."""
    from local.company.spec import DAY_US

    return spec.start_us + spec.days // 2 * DAY_US


def usd_rates_micro(spec: CompanySpec) -> NDArray[np.int64]:
    """Millionths of a US dollar for one unit, by currency × day of the window: a slow random walk."""
    generator = spec.stream("exchange rates")
    base = {market.currency: market.usd_rate for market in MARKETS}
    start = np.array([base[currency] for currency in CURRENCIES])
    steps = generator.normal(0, 0.003, (len(CURRENCIES), spec.days)).cumsum(axis=1)
    steps[CURRENCIES.index("USD")] = 0
    rates: NDArray[np.int64] = np.rint(start[:, None] * np.exp(steps) * 1e6).astype(np.int64)
    return rates
