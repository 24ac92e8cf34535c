"""Which generation is published: what the pointer row says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from segue_client.bigtable import schema


@dataclass(frozen=True)
class Pointer:
    """The content of the pointer row."""

    generation_ms: int
    segment_date: date
    published_at: datetime


def parse_pointer(columns: Mapping[bytes, bytes]) -> Pointer | None:
    """The pointer in the columns of its row, or ``None`` when no generation is published."""
    if schema.POINTER_GENERATION not in columns:
        return None
    return Pointer(
        generation_ms=int.from_bytes(columns[schema.POINTER_GENERATION], "big"),
        segment_date=date.fromisoformat(columns[schema.POINTER_SEGMENT_DATE].decode()),
        published_at=datetime.fromisoformat(columns[schema.POINTER_PUBLISHED_AT].decode()),
    )
