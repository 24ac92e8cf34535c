"""The layout of the offers table: what every writer and reader, in any language, agrees on.

Accounts, family ``o``
    One packed cell ``o:p`` an account and generation: the bytes of ``AccountOffers``, at a cell timestamp
    equal to the generation in milliseconds (Bigtable counts microseconds: generation × 1000).
    An empty value is a tombstone: from that generation on the account is not known.
    Expiry is inside the value, because garbage collection is lazy.

Pointer, row ``!pointer``, family ``p``
    ``p:generation`` is the published generation as 8 bytes, big-endian; ``p:segment_date`` its day as
    YYYY-MM-DD; ``p:published_at`` the RFC 3339 instant of the move; ``p:loading`` the generation of the
    loader that may write now (8 bytes, big-endian). All have cell timestamp 0, so that a move replaces
    and no clock decides which pointer is newer.

Manifests, rows ``!generation#<20 digits>``, family ``m``
    ``m:manifest`` is the loader's account of one generation, as JSON. Readers do not need it.

Reader
    Reads the pointer (at most ``MAX_POINTER_STALENESS_SECONDS`` old), then the newest ``o:p`` with
    timestamp ≤ the published generation. No cell or an empty one: unknown account. All reads of one
    answer use one generation.

Writer
    Writes only generations above the pointer, at most one cell an account and generation, and removes
    what an unfinished generation left before it writes. So an account never has more than
    ``RETAINED_GENERATIONS`` published cells that matter plus one in flight, which is what garbage
    collection keeps: the published cell of an account is never collected, however old it is. For the same
    reason there is no age rule.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from segue_client.instants import EPOCH

CONTRACT_VERSION: Final = 1
"""Goes up when a reader of the older version would misread the table."""

OFFERS_FAMILY: Final = "o"
OFFERS_QUALIFIER: Final = b"p"

POINTER_ROW_KEY: Final = b"!pointer"
POINTER_FAMILY: Final = "p"
POINTER_GENERATION: Final = b"generation"
POINTER_SEGMENT_DATE: Final = b"segment_date"
POINTER_PUBLISHED_AT: Final = b"published_at"
POINTER_LOADING: Final = b"loading"

ANSWERED_FIELDS: Final = frozenset({"decision_id"})
"""Fields of the messages that no cell has: whoever answers computes them."""

META_FAMILY: Final = "m"
MANIFEST_QUALIFIER: Final = b"manifest"
MANIFEST_PREFIX: Final = b"!generation#"

RETAINED_GENERATIONS: Final = 3
"""The published generation and the two before it can be served: the targets of a rollback."""

MAX_VERSIONS: Final[dict[str, int]] = {
    OFFERS_FAMILY: RETAINED_GENERATIONS + 1,
    POINTER_FAMILY: 1,
    META_FAMILY: 1,
}
"""Garbage-collection rule of each family: newest cells kept per column."""

MAX_VALUE_BYTES: Final = 10_000_000
"""Largest payload that is sent: Bigtable's recommended cell size (the hard limit is ten times that)."""

MAX_POINTER_STALENESS_SECONDS: Final = 30.0
"""No reader uses a pointer older than this; writers wait this long before they remove rolled-back cells."""

_DAY_MS: Final = 86_400_000


def generation_ms(segment_date: date, attempt: int) -> int:
    """Number of the ``attempt``-th generation of a day, in milliseconds: grows by day, then by attempt.

    Raises:
        ValueError: ``attempt`` is not in [1, 86,400,000), or the day is before 1970.
    """
    if not 1 <= attempt < _DAY_MS:
        raise ValueError(f"attempt {attempt} is not in [1, {_DAY_MS})")
    day = (segment_date - EPOCH.date()).days
    if day < 0:
        raise ValueError(f"{segment_date} is before 1970")
    return day * _DAY_MS + attempt


def segment_date_of(generation: int) -> date:
    """The day whose segments a generation (milliseconds) holds."""
    return EPOCH.date() + timedelta(days=generation // _DAY_MS)


def attempt_of(generation: int) -> int:
    """Which attempt at its day a generation (milliseconds) is, from 1."""
    return generation % _DAY_MS


def generation_value(generation: int) -> bytes:
    """A generation as the pointer row stores it; the order of the bytes is the order of the numbers."""
    return generation.to_bytes(8, "big")


def manifest_row_key(generation: int) -> bytes:
    """Row key of a generation's manifest; the order of the keys is the order of the generations."""
    return MANIFEST_PREFIX + f"{generation:020d}".encode("ascii")
