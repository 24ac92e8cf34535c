"""Money in exact decimals: every conversion is rounded half to even at two places."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """The amount at two places, a tie to the even cent."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN)


def monthly(price: Decimal | None, interval: str | None) -> Decimal | None:
    """A price per interval as a price per month; unknown when the price or the interval is."""
    if price is None or interval is None:
        return None
    match interval:
        case "year":
            return cents(price / 12)
        case "week":
            return cents(price * 52 / 12)
    return cents(price)


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
