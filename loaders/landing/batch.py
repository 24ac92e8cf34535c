"""Rows of a landing file on their way to being checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loaders.landing.errors import Refusal

_TYPE: Final = re.compile(
    r"(?:v[0-9]\.)?[a-z_]+(?:\.[a-z_]+)*(?: \([a-z_]+\))?|[A-Z_]+(?:/[A-Z_]+)?"
    r"|[a-z][A-Za-z]*(?: [a-z][A-Za-z]*)*(?: -?[0-9]{1,3})?"
)
"""What types of messages look like: customer.subscription.updated, DID_RENEW/BILLING_RECOVERY."""


@dataclass(frozen=True)
class Kind:
    """A kind of message.

    ``ignored`` says why messages of it are left out; of kinds that are not known nobody can say whether
    their loss is one.
    """

    name: str
    ignored: str | None = None
    is_known: bool = True

    @property
    def shown_name(self) -> str:
        """The name for ledgers and messages: of a message that nobody knows it may be any text."""
        return self.name if _TYPE.fullmatch(self.name) else "(a name that is not shown)"


@dataclass(frozen=True)
class KindsOfRows:
    """Which kind each of many rows is of: its place among ``kinds``."""

    codes: npt.NDArray[np.int64]
    kinds: Sequence[Kind]

    @property
    def ignored(self) -> npt.NDArray[np.bool_]:
        """A mask of the rows that are left out."""
        return np.array([kind.ignored is not None for kind in self.kinds], bool)[self.codes]

    def counted(self) -> Counter[Kind]:
        """How many rows there are of each kind."""
        found: Counter[Kind] = Counter()
        for kind, count in zip(self.kinds, np.bincount(self.codes, minlength=len(self.kinds)), strict=True):
            found[kind] += int(count)
        return found

    def chosen(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> KindsOfRows:
        """Of the rows that a mask marks, or that are at the places, in their order."""
        return KindsOfRows(self.codes[rows], self.kinds)

    def followed_by(self, others: KindsOfRows) -> KindsOfRows:
        """Of these rows and others after them."""
        codes = np.concatenate([self.codes, others.codes + len(self.kinds)])
        return KindsOfRows(codes, [*self.kinds, *others.kinds])


@dataclass(frozen=True)
class Batch:
    """Rows in the contract's Arrow schema with their numbers in the file (from 1)."""

    rows: pa.Table
    numbers: pa.Array
    unreadable: tuple[Refusal, ...] = ()
    """Rows that could not be typed."""
    absent_columns: tuple[str, ...] = ()
    doubtful: Mapping[str, npt.NDArray[np.bool_]] | None = None
    """By JSON column the texts that perhaps are not what the contract wants; those of a column that is not
    named surely are. None: nobody has looked."""
    kinds_of_rows: KindsOfRows | None = None
    """None: nobody has looked, or the table's rows are all of one kind."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    """How many rows, the unreadable ones included, there are of each kind."""
    ignored: Counter[Kind] = field(default_factory=Counter)
    """How many rows of kinds that are ignored there were; they are not among the others."""
