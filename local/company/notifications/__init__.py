"""Canonical events as the providers would notify of them: pure functions from an event to its payload."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.contracts import CONTRACTS
from local.company.columns import Ints
from local.company.notifications.app_store import app_store
from local.company.notifications.event import Event, Json
from local.company.notifications.google_play import google_play
from local.company.notifications.stripe import stripe


def landing_rows(table: str, events: pa.Table) -> pa.Table:
    """Canonical rows of one provider in the columns of its landing contract; others stay as they are."""
    if table not in _BUILDERS:
        return events
    id_column, build = _BUILDERS[table]
    payloads = [build(event) for event in _events(events)]
    columns = {
        id_column: events["provider_event_id"],
        "occurred_at": events["occurred_at"],
        "ingested_at": events["ingested_at"],
        "payload": pa.array([_text(payload) for payload, _ in payloads], pa.string()),
    }
    if table == "google_play_notifications":
        columns["purchase"] = pa.array([_text(purchase) for _, purchase in payloads], pa.string())
    for name in CONTRACTS[table].model_fields:
        # The company's receiver decodes what it is sent, and its purchases carry its own ids.
        columns.setdefault(name, pa.nulls(len(payloads), pa.string()))
    return pa.table(columns)


_BUILDERS: dict[str, tuple[str, Callable[[Event], tuple[Json, Json]]]] = {
    "google_play_notifications": ("message_id", google_play),
    "app_store_notifications": ("notification_uuid", lambda event: (app_store(event), {})),
    "stripe_events": ("event_id", lambda event: (stripe(event), {})),
}


def _events(events: pa.Table) -> list[Event]:
    columns = []
    for name in Event._fields:
        column = events[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_decimal(column.type):
            column = _hundredths(column)
        columns.append(column.to_pylist())
    return [Event(*values) for values in zip(*columns, strict=True)]


def _hundredths(amounts: pa.ChunkedArray) -> pa.Array:
    words = amounts.combine_chunks()
    cents: Ints = np.frombuffer(words.buffers()[1], "<i8")[::2][words.offset : words.offset + len(words)]
    whole = pa.array(cents // 10_000_000)
    return pc.if_else(words.is_valid(), whole, pa.scalar(None, pa.int64()))


def _text(payload: Json) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
