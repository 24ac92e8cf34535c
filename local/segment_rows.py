"""Made-up segments that are loaded as the warehouse's are: for the sandbox, benchmarks and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.rows import Refused
from loaders.bigtable.scan import KeyRange
from loaders.bigtable.source import Staged
from loaders.warehouse.erasures import ErasedSubjects


class MadeUpSegments:
    """The part of a ``SegmentSource`` that a warehouse answers, for made-up segments."""

    def now(self) -> datetime:
        """By this machine's clock."""
        return datetime.now(UTC)

    def erased_since(self, _began: datetime) -> None:
        """Nobody, ever."""

    def take_out(self, _name: str, _erased: ErasedSubjects, _shards: int) -> list[int]:
        """Not asked for: nobody is erased."""
        raise NotImplementedError

    def keep_refused(
        self,
        _manifest: GenerationManifest,
        _shard: int,
        refused: Sequence[Refused],
        *,
        instead: bool,  # noqa: ARG002
    ) -> None:
        """Raises RuntimeError: whoever makes rows up makes good ones."""
        if refused:
            raise RuntimeError(f"a made-up row was refused: {refused[0].reason}")

    def forget_refused(self, _manifest: GenerationManifest, _complete: Collection[int]) -> None:
        """Nothing is ever kept."""

    def drop(self, name: str) -> None:
        """There is nothing to remove."""


_OFFER: Final = pa.struct(
    [
        ("offer_id", pa.string()),
        ("rule_id", pa.string()),
        ("rule_version", pa.int64()),
        ("priority", pa.int64()),
        ("score", pa.float64()),
        ("reason_code", pa.string()),
        ("experiment_id", pa.string()),
        ("variant", pa.string()),
        ("is_control", pa.bool_()),
        ("content_id", pa.string()),
        ("content_version", pa.int64()),
        ("valid_until_at", pa.timestamp("us", tz="UTC")),
        ("content_locale", pa.string()),
    ]
)

SEGMENTS_SCHEMA: Final = pa.schema(
    [
        ("row_key", pa.string()),
        ("account_id", pa.string()),
        ("offers", pa.list_(_OFFER)),
        ("held_back", pa.list_(_OFFER)),
        ("suppressed_reason", pa.string()),
        ("valid_until_at", pa.timestamp("us", tz="UTC")),
        ("market", pa.string()),
    ]
)
"""The mart's columns that a payload is made of: without types, columns of nothing but nulls have none."""


class SegmentRows(MadeUpSegments):
    """A ``SegmentSource`` of these rows of the mart ``offer_segments``, whatever the day."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], batch_rows: int = 1000) -> None:
        self._batch_rows = batch_rows
        self._rows = [{**row, "row_key": _row_key(row["account_id"])} for row in rows]

    def fingerprint(self, _segment_date: date) -> str:
        """Changes with the rows."""
        return hashlib.sha256(repr(self._rows).encode()).hexdigest()

    def stage(self, _segment_date: date, _generation: int) -> Staged:
        """They are where they are."""
        return Staged("memory", len(self._rows))

    def is_staged(self, name: str) -> bool:
        """Always."""
        return name == "memory"

    def rows(self, _name: str, accounts: KeyRange) -> Iterator[pa.RecordBatch]:
        """Those of a key range."""
        part = [row for row in self._rows if accounts.first <= row["row_key"].encode() < accounts.after]
        for start in range(0, len(part), self._batch_rows):
            yield pa.RecordBatch.from_pylist(part[start : start + self._batch_rows], schema=SEGMENTS_SCHEMA)


def _row_key(account_id: str | None) -> str:
    """As the warehouse computes it (``ROW_KEY_SQL``), also of ids that no account has."""
    encoded = (account_id or "").encode()
    return f"{hashlib.sha256(encoded).hexdigest()[:4]}#{account_id or ''}"
