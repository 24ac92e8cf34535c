"""Money in exact decimals: every conversion is rounded half to even at two places."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """The amount at two places, a tie to the even cent."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN)


IN_A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
"""Intervals that make up a year."""

Rhythm = tuple[str, int]
"""Paid every so many intervals."""


def monthly(price: Decimal | None, rhythm: Rhythm | None) -> Decimal | None:
    """A price per rhythm as a price per month; unknown when the price or the rhythm is."""
    if price is None or rhythm is None:
        return None
    interval, count = rhythm
    return cents(price * IN_A_YEAR[interval] / (12 * count))


def is_same_rhythm(one: Rhythm, other: Rhythm) -> bool:
    """Twelve months are a year; nothing else is made equal."""
    in_months = [
        ("month", 12 * count) if interval == "year" else (interval, count) for interval, count in (one, other)
    ]
    return in_months[0] == in_months[1]


def in_usd(amount: Decimal | None, usd_rate: Decimal | None) -> Decimal | None:
    """The amount in US dollars: nothing is nothing in every currency, else unknown without a rate."""
    if amount is None:
        return None
    if amount == 0:
        return ZERO
    return None if usd_rate is None else cents(amount * usd_rate)


def total(amounts: list[Decimal | None]) -> Decimal:
    """Sum of the known amounts: what is unknown is no revenue."""
    return sum((amount for amount in amounts if amount is not None), ZERO)
