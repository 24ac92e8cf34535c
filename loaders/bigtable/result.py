"""What a load did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class LoadOutcome(StrEnum):
    """How a load ended when it did not fail."""

    PUBLISHED = "published"
    """The day's generation is what readers see."""
    SUPERSEDED = "superseded"
    """A newer day is published; this one was not loaded."""
    NOBODY = "nobody"
    """Nobody has an offer and nothing is online: there is nothing to load."""
    CURRENT = "current"
    """Nothing to do: the day is already published (only of ``republish``)."""


@dataclass(frozen=True)
class LoadResult:
    """Counts are accounts.

    ``rows_in`` = ``rows_out`` + ``dead_lettered``; ``rows_out`` = ``written`` + ``unchanged``. Rows of erased
    accounts are in ``rows_erased`` only.
    """

    outcome: LoadOutcome
    segment_date: date
    generation_ms: int | None
    """The published generation: this load's, or the newer one that supersedes it."""
    attempt: int | None = None
    rows_in: int = 0
    rows_erased: int = 0
    rows_out: int = 0
    written: int = 0
    unchanged: int = 0
    tombstoned: int = 0
    discarded: int = 0
    """Accounts that held cells of generations which were never published or were rolled back."""
    dead_lettered: int = 0
    checksum: str | None = None
    seconds: float = 0.0

    def summary(self) -> str:
        """One line for a log."""
        if self.outcome is LoadOutcome.SUPERSEDED:
            return f"{self.segment_date}: superseded by generation {self.generation_ms}, nothing loaded"
        if self.outcome is LoadOutcome.NOBODY:
            return f"{self.segment_date}: nobody has an offer and nothing is online, nothing to load"
        if self.outcome is LoadOutcome.CURRENT:
            return f"{self.segment_date}: generation {self.generation_ms} is already published"
        return (
            f"{self.segment_date}: generation {self.generation_ms} published, {self.rows_out:,} accounts, "
            f"{self.written:,} written, {self.unchanged:,} unchanged, {self.tombstoned:,} removed, "
            f"{self.dead_lettered:,} refused, {self.seconds:.1f} s"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"outcome": self.outcome.value, "segment_date": self.segment_date.isoformat()}
