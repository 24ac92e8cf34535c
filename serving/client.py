"""Looks up what accounts should be offered now, from the published generation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import ReadRowsQuery, Row, Table
from google.cloud.bigtable.data.row_filters import RowFilterChain
from google.protobuf.json_format import MessageToDict

from segue.settings import Settings
from serving import schema
from serving.connection import open_table
from serving.pointer import NothingPublishedError, Pointer, read_pointer
from serving.row_key import row_key
from serving.wire.offers_pb2 import AccountOffers, Offer

_KEYS_PER_READ: Final = 1_000


class Outcome(StrEnum):
    """The four answers to a lookup; only ``FOUND`` may lead to something shown."""

    FOUND = "found"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Lookup:
    """One answer. ``account`` is what was stored; ``offers`` are those that may be used now, best first.

    ``offers`` is empty unless the outcome is ``FOUND``, and may be empty then too. An offer with
    ``is_control`` is not shown, but its exposure is logged.
    """

    account_id: str
    outcome: Outcome
    generation_ms: int
    account: AccountOffers | None = None
    offers: tuple[Offer, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values for JSON; times as RFC 3339."""
        answer: dict[str, Any] = {
            "account_id": self.account_id,
            "outcome": self.outcome.value,
            "generation_ms": self.generation_ms,
        }
        if self.account is not None:
            answer["segment_date"] = self.account.segment_date
            answer["market"] = self.account.market or None
            answer["suppressed_reason"] = self.account.suppressed_reason or None
            answer["valid_until_at"] = _rfc3339(self.account.valid_until_ms)
        answer["offers"] = [_offer_dict(offer) for offer in self.offers]
        return answer


def judge(account_id: str, payload: bytes | None, generation_ms: int, now_ms: int) -> Lookup:
    """The answer that a cell's bytes (``None``: no cell) give at an instant (milliseconds since 1970).

    A suppressed account stays suppressed when its segments are old: a block does not lapse. An account
    whose every offer has run out is expired, as is one whose whole answer has.

    Raises:
        google.protobuf.message.DecodeError: the bytes are no ``AccountOffers``.
    """
    if not payload:
        return Lookup(account_id, Outcome.UNKNOWN, generation_ms)
    account = AccountOffers.FromString(payload)
    if account.suppressed_reason:
        return Lookup(account_id, Outcome.SUPPRESSED, generation_ms, account)
    if _is_past(account.valid_until_ms, now_ms):
        return Lookup(account_id, Outcome.EXPIRED, generation_ms, account)
    offers = tuple(offer for offer in account.offers if not _is_past(offer.valid_until_ms, now_ms))
    if account.offers and not offers:
        return Lookup(account_id, Outcome.EXPIRED, generation_ms, account)
    return Lookup(account_id, Outcome.FOUND, generation_ms, account, offers)


class OfferReader:
    """Point and batch lookups on one open table. Safe to share between threads.

    The pointer is read again when it is older than ``refresh_seconds``; when that read fails the old
    pointer serves on until it is ``MAX_POINTER_STALENESS_SECONDS`` old.
    """

    def __init__(
        self,
        table: Table,
        *,
        refresh_seconds: float = 5.0,
        timeout_seconds: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Reads from ``table``; ``timeout_seconds`` bounds each read with its retries.

        Raises:
            ValueError: ``refresh_seconds`` is negative or above the contract's staleness bound.
        """
        if not 0 <= refresh_seconds <= schema.MAX_POINTER_STALENESS_SECONDS:
            raise ValueError(
                f"refresh_seconds must be in [0, {schema.MAX_POINTER_STALENESS_SECONDS}]: {refresh_seconds}"
            )
        self._table = table
        self._refresh_seconds = refresh_seconds
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, **arguments: Any) -> Iterator[OfferReader]:
        """A reader on a connection of its own, closed at the end; arguments as for the constructor."""
        with open_table(settings) as table:
            yield cls(table, **arguments)

    def pointer(self) -> Pointer:
        """The published generation as this reader sees it.

        Raises:
            NothingPublishedError: no generation is published.
            google.api_core.exceptions.GoogleAPIError: Bigtable did not answer in time.
        """
        return self._current().pointer

    def lookup(self, account_id: str) -> Lookup:
        """What to offer one account now, with one read.

        Raises:
            InvalidAccountIdError: the id cannot be a row key.
            NothingPublishedError: no generation is published.
            google.api_core.exceptions.GoogleAPIError: Bigtable did not answer in time.
        """
        key = row_key(account_id)
        snapshot = self._current()
        row = self._table.read_row(key, row_filter=snapshot.filter, operation_timeout=self._timeout_seconds)
        return judge(account_id, _payload(row), snapshot.pointer.generation_ms, self._now_ms())

    def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """What to offer several accounts now: one answer each, in order, all from one generation.

        Raises:
            InvalidAccountIdError: an id cannot be a row key; nothing was read.
            NothingPublishedError: no generation is published.
            google.api_core.exceptions.GoogleAPIError: Bigtable did not answer in time.
        """
        keys = [row_key(account_id) for account_id in account_ids]
        snapshot = self._current()
        payloads: dict[bytes, bytes | None] = {}
        unique = iter(dict.fromkeys(keys))
        while chunk := list(islice(unique, _KEYS_PER_READ)):
            query = ReadRowsQuery(row_keys=chunk, row_filter=snapshot.filter)
            for row in self._table.read_rows_stream(query, operation_timeout=self._timeout_seconds):
                payloads[row.row_key] = _payload(row)
        now_ms = self._now_ms()
        generation = snapshot.pointer.generation_ms
        return [
            judge(account_id, payloads.get(key), generation, now_ms)
            for account_id, key in zip(account_ids, keys, strict=True)
        ]

    def _now_ms(self) -> int:
        return schema.milliseconds(self._now())

    def _current(self) -> _Snapshot:
        with self._lock:
            asked_at = self._monotonic()
            known = self._snapshot
            age = float("inf") if known is None else asked_at - known.asked_at
            if known is not None and age < self._refresh_seconds:
                return known
            try:
                pointer = read_pointer(self._table, self._timeout_seconds)
            except GoogleAPIError:
                waited = self._monotonic() - asked_at
                if known is not None and age + waited < schema.MAX_POINTER_STALENESS_SECONDS:
                    return known
                raise
            if pointer is None:
                self._snapshot = None
                raise NothingPublishedError("no generation is published in this table")
            if known is not None and known.pointer.generation_ms == pointer.generation_ms:
                row_filter = known.filter
            else:
                row_filter = schema.visible_at(pointer.generation_ms)
            # the age counts from before the read: the answer may be as old as the question
            self._snapshot = _Snapshot(pointer, row_filter, asked_at)
            return self._snapshot


@dataclass(frozen=True)
class _Snapshot:
    pointer: Pointer
    filter: RowFilterChain
    asked_at: float


def _payload(row: Row | None) -> bytes | None:
    return None if row is None or not row.cells else bytes(row.cells[0].value)


def _is_past(valid_until_ms: int, now_ms: int) -> bool:
    return valid_until_ms != 0 and valid_until_ms <= now_ms


def _rfc3339(at_ms: int) -> str | None:
    return schema.instant(at_ms).isoformat().replace("+00:00", "Z") if at_ms else None


def _offer_dict(offer: Offer) -> dict[str, Any]:
    values: dict[str, Any] = MessageToDict(
        offer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    values["score"] = offer.score if offer.HasField("score") else None
    values["valid_until_at"] = _rfc3339(offer.valid_until_ms)
    del values["valid_until_ms"]
    for name in ("experiment_id", "variant", "content_id"):
        values[name] = values[name] or None
    return values
