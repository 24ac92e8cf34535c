"""Rows of a landing file on their way to being checked."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from loaders.landing.errors import Refusal


@dataclass(frozen=True)
class Batch:
    """Rows in the contract's Arrow schema with their numbers in the file (from 1)."""

    rows: pa.Table
    numbers: pa.Array
    unreadable: tuple[Refusal, ...] = ()
    """Rows that could not be typed."""
    absent_columns: tuple[str, ...] = ()
    has_judged_payloads: bool = False
    """Whether the texts in the JSON columns are known to be what the contract wants."""
