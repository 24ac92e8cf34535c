"""Columns of the landing files from plain integers: identifiers, instants, amounts, arrival times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.company.spec import DAY_US, CompanySpec

Ints = NDArray[np.int64]
_MEDIAN_MINUTES = 5.0
_SIGMA = 2.73
"""Of the logarithm of an event's lateness: median five minutes, p99 two days."""
MAX_LATE_DAYS = 14
MINUTE_US = 60_000_000


def identifiers(prefix: str, numbers: Ints, width: int = 9) -> pa.Array:
    """``prefix`` and a zero-padded number; −1 becomes null."""
    text = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return pc.if_else(
        pa.array(numbers >= 0),
        pc.binary_join_element_wise(prefix, text, ""),
        pa.scalar(None, pa.string()),
    )


def account_numbers(table: pa.Table) -> Ints:
    """The numbers in the account ids of a table."""
    digits = pc.utf8_slice_codeunits(table["account_id"], 1)
    return np.asarray(pc.cast(digits, pa.int64()).to_numpy(), np.int64)


def picked(values: Sequence[str | None], codes: Ints) -> pa.Array:
    """The values that the codes point to; −1 becomes null."""
    choices = pa.array([*values, None], pa.string())
    return choices.take(pa.array(np.where(codes < 0, len(values), codes)))


def instants(microseconds: Ints, valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """UTC timestamps; null where not ``valid``."""
    mask = None if valid is None else ~valid
    return pa.array(microseconds, pa.int64(), mask=mask).cast(pa.timestamp("us", "UTC"))


def dates(day_numbers: Ints) -> pa.Array:
    """Dates of days since 1970."""
    return pa.array(day_numbers.astype(np.int32), pa.int32()).cast(pa.date32())


def amounts(units: Ints, places: int = 2, valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """Decimals of integers in 10^−places; null where not ``valid``.

    Written as the 16-byte integers that Arrow keeps, because no cast leads from scaled integers to decimals.
    """
    words = np.zeros((units.size, 2), "<i8")
    words[:, 0] = units * 10 ** (9 - places)
    words[:, 1] = np.where(units < 0, -1, 0)
    decimals = pa.Array.from_buffers(pa.decimal128(38, 9), units.size, [None, pa.py_buffer(words.tobytes())])
    if valid is None:
        return decimals
    return pc.if_else(pa.array(valid), decimals, pa.scalar(None, decimals.type))


def arrivals(spec: CompanySpec, random: np.random.Generator, occurred: Ints) -> Ints:
    """When events arrive: minutes later, some days later, at most ``MAX_LATE_DAYS`` and within the window.

    What happened before the window arrives on its first day, as an initial load.
    """
    delay = np.exp(random.normal(np.log(_MEDIAN_MINUTES), _SIGMA, occurred.size)) * MINUTE_US
    latest = (occurred // DAY_US + MAX_LATE_DAYS) * DAY_US
    arrived = np.minimum(occurred + delay.astype(np.int64), latest)
    initial = spec.start_us + random.integers(MINUTE_US, DAY_US // 4, occurred.size)
    arrived = np.where(occurred < spec.start_us, initial, arrived)
    return np.maximum(np.minimum(arrived, spec.end_us - 1_000), occurred) // 1000 * 1000
