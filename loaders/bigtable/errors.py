"""Why a load stopped. The published generation is untouched by every one of these but ``LEDGER``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from segue.errors import SegueError
from segue.redaction import redacted


class LoadCode(StrEnum):
    """The causes; ``HINTS`` has one thing an operator can do about each."""

    NO_TABLE = "no_table"
    NOT_PUBLISHED = "not_published"
    EMPTY_PARTITION = "empty_partition"
    INVALID_ROW = "invalid_row"
    SOURCE = "source"
    CHANGED = "changed"
    REFUSED = "refused"
    UNACKNOWLEDGED = "unacknowledged"
    OVERTAKEN = "overtaken"
    INCOMPLETE = "incomplete"
    NOT_VERIFIED = "not_verified"
    NOT_REPLICATED = "not_replicated"
    NOT_RETAINED = "not_retained"
    MOVED = "moved"
    LEDGER = "ledger"


HINTS: Final[Mapping[LoadCode, str]] = {
    LoadCode.NO_TABLE: (
        "The Bigtable instance is missing or may not be administered: create it, grant the role"
    ),
    LoadCode.NOT_PUBLISHED: "The day has no segments because it was never published: publish it first",
    LoadCode.EMPTY_PARTITION: (
        "Loading the day makes every account unknown: `segue segments plan` says why nobody has an offer; if "
        "that is meant, load it with --allow-empty (in Airflow the parameter allow_empty)"
    ),
    LoadCode.INVALID_ROW: ("The mart lists an account twice, or lacks a column that the payload needs"),
    LoadCode.SOURCE: "The published partition could not be read",
    LoadCode.CHANGED: ("The day was published anew while it was loaded: that publication is loaded next"),
    LoadCode.REFUSED: (
        "More rows than are tolerated break a limit or were refused for good: see ops.dead_letters"
    ),
    LoadCode.UNACKNOWLEDGED: "Bigtable did not acknowledge every row within the deadline: run again",
    LoadCode.OVERTAKEN: "Another load started after this one: let it finish",
    LoadCode.INCOMPLETE: "A shard is not loaded yet: run it, then publish",
    LoadCode.NOT_VERIFIED: "What is in Bigtable is not what was written: run again",
    LoadCode.NOT_REPLICATED: (
        "A cluster of the instance lags behind or is away: when it has caught up, run again"
    ),
    LoadCode.NOT_RETAINED: "The generation is not among those that can be served",
    LoadCode.MOVED: "Somebody else moved the pointer in between: look, and decide again",
    LoadCode.LEDGER: (
        "BigQuery did not take the record of what was loaded (ops.run_ledger, ops.dead_letters): run again"
    ),
}


_FINAL: Final = frozenset({LoadCode.NOT_PUBLISHED, LoadCode.EMPTY_PARTITION})
"""Another try finds the same until somebody has done something."""


class LoadError(SegueError):
    """A load, verification or rollback did not happen. ``counts`` says how many rows by which reason.

    The message names no account: what Bigtable says of a row has its key in quotes.
    """

    code: LoadCode

    def __init__(self, code: LoadCode, message: str, counts: Mapping[str, int] | None = None) -> None:
        self.code = code
        self.hint = HINTS[code]
        self.is_final = code in _FINAL
        self.counts = dict(counts or {})
        listed = "".join(f"; {reason}: {count}" for reason, count in sorted(self.counts.items()))
        super().__init__(f"{code.value}: {redacted(message)}{listed}")
