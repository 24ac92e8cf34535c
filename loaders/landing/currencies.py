"""What an amount of a currency may be: its decimal places (ISO 4217), and a ceiling that no price comes near.

The ceiling catches amounts in a wrong unit (micros, cents taken for units) and garbage; it is about a million
dollars. A currency of which a dollar buys a hundred or more has a ceiling as much higher.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

USUAL_PLACES: Final = 2
MOST_PLACES: Final = 4
_PLACES: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    MOST_PLACES: "CLF UYW",
}
"""Minor units of ISO 4217's table A.1 (maintained by SIX, 2026) where they are not two."""
PLACES: Final = {currency: places for places, of in _PLACES.items() for currency in of.split()}

USUAL_CEILING: Final = 1_000_000
HIGHEST_CEILING: Final = 10_000_000_000
_CEILINGS: Final = {
    100_000_000: "ALL AMD AOA BDT CRC CVE DJF DZD ETB GYD HTG HUF ISK JMD JPY KES KMF KZT LKR LRD NPR PKR "
    "RSD SDG SOS VES VUV XAF XOF XPF YER",
    1_000_000_000: "ARS BIF CDF CLP IQD KRW MMK MNT MWK NGN RWF SSP TZS UGX",
    HIGHEST_CEILING: "COP GNF IDR IRR KHR LAK LBP MGA PYG SLL STN SYP UZS VND ZWL",
}
CEILINGS: Final = {currency: ceiling for ceiling, of in _CEILINGS.items() for currency in of.split()}


def places_of(currency: str | None) -> int:
    """Decimal places of the currency; two where it is not told or not known."""
    return PLACES.get(currency or "", USUAL_PLACES)


def ceiling_of(currency: str | None) -> int:
    """The most, in units of the currency, that an amount of it may be."""
    return CEILINGS.get(currency or "", USUAL_CEILING)


def problem_of(amount: Decimal, currency: str | None) -> str | None:
    """What is wrong with an amount, in words that follow it; None when nothing is."""
    if amount > ceiling_of(currency):
        return f"is above {ceiling_of(currency)}, the most that an amount of {currency} may be"
    if round(amount, places_of(currency)) != amount:
        return f"has more decimal places than the {places_of(currency)} of {currency}"
    return None


@lru_cache(maxsize=4096)
def problem_of_units(count: int, places: int, currency: str | None) -> str | None:
    """``problem_of`` an amount that is counted in units of 10^-``places``; prices repeat, so it is kept."""
    return problem_of(Decimal(count).scaleb(-places), currency)


def ceilings(currencies: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``ceiling_of`` each."""
    return _looked_up(currencies, CEILINGS, USUAL_CEILING)


def places(currencies: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``places_of`` each."""
    return _looked_up(currencies, PLACES, USUAL_PLACES)


def _looked_up(currencies: pa.Array | pa.ChunkedArray, known: dict[str, int], usual: int) -> pa.Array:
    found = pc.index_in(currencies, value_set=pa.array(list(known), pa.string()))
    values = pa.array([*known.values(), usual], pa.int64())
    return pc.take(values, pc.fill_null(found, len(known)))


def above_ceiling(amounts: pa.Array, currencies: pa.Array) -> pa.Array:
    """Mask of the decimal amounts that are more than an amount of their currency may be."""
    high = pc.greater(amounts, pa.scalar(Decimal(USUAL_CEILING), amounts.type))
    if not pc.any(high).as_py():
        # Nearly every batch: nothing to look up.
        return high
    return pc.greater(amounts, ceilings(currencies).cast(amounts.type))


def beyond_places(amounts: pa.Array, currencies: pa.Array) -> pa.Array:
    """Mask of the decimal amounts with more decimal places than their currency has."""
    usual = pc.not_equal(pc.round(amounts, ndigits=USUAL_PLACES), amounts)
    allowed = places(currencies)
    mask = pc.and_(pc.equal(allowed, USUAL_PLACES), usual)
    for count in _PLACES:
        these = pc.equal(allowed, count)
        if pc.any(these).as_py():
            mask = pc.or_(mask, pc.and_(these, pc.not_equal(pc.round(amounts, ndigits=count), amounts)))
    return mask
