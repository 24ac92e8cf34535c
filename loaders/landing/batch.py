"""Rows of a landing file on their way to being checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from loaders.landing.errors import Refusal


@dataclass(frozen=True)
class Kind:
    """A kind of message.

    ``ignored`` says why messages of it are left out; of kinds that are not known nobody can say whether
    their loss is one.
    """

    name: str
    ignored: str | None = None
    is_known: bool = True


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
    kinds: Counter[Kind] = field(default_factory=Counter)
    """How many rows, the unreadable ones included, there are of each kind."""
    ignored: Counter[Kind] = field(default_factory=Counter)
    """How many rows of kinds that are ignored there were; they are not among the others."""
