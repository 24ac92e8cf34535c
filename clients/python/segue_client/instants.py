"""Instants as the wire has them: whole milliseconds since 1970, without a float on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(at: datetime) -> int:
    """An aware datetime as whole milliseconds since 1970, rounded down."""
    return (at - EPOCH) // timedelta(milliseconds=1)
