"""Why a load stopped. The published generation is untouched by every one of these but ``LEDGER``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class LoadCode(StrEnum):
    """The causes, each with one thing an operator can do about it."""

    NO_TABLE = "no_table"
    """The Bigtable instance is missing or may not be administered: create it, grant the role."""
    EMPTY_PARTITION = "empty_partition"
    """The day has no segments: publish the day first. Loading it would make every account unknown."""
    INVALID_ROW = "invalid_row"
    """The mart lists an account twice, or lacks a column that the payload needs."""
    SOURCE = "source"
    """The published partition could not be read."""
    CHANGED = "changed"
    """The day was published anew while it was loaded: that publication is loaded next."""
    REFUSED = "refused"
    """More rows than are tolerated break a limit or were refused for good: see ops.dead_letters."""
    UNACKNOWLEDGED = "unacknowledged"
    """Bigtable did not acknowledge every row within the deadline: run again."""
    OVERTAKEN = "overtaken"
    """Another load started after this one: let it finish."""
    INCOMPLETE = "incomplete"
    """A shard is not loaded yet: run it, then publish."""
    NOT_VERIFIED = "not_verified"
    """What is in Bigtable is not what was written: run again."""
    NOT_RETAINED = "not_retained"
    """The generation is not among those that can be served."""
    MOVED = "moved"
    """Somebody else moved the pointer in between: look, and decide again."""
    LEDGER = "ledger"
    """The generation is published, but its row in the run ledger is missing: run again."""


class LoadError(Exception):
    """A load, verification or rollback did not happen. ``counts`` says how many rows by which reason."""

    def __init__(self, code: LoadCode, message: str, counts: Mapping[str, int] | None = None) -> None:
        self.code = code
        self.counts = dict(counts or {})
        listed = "".join(f"; {reason}: {count}" for reason, count in sorted(self.counts.items()))
        super().__init__(f"{code.value}: {message}{listed}")
