"""Whose a landed row is: the ids in its columns and in the payloads of notifications.

Accepted rows name somebody where their contract says so. Refused ones may say anything: there every text
counts that is an erased id, but one too short to be told from other text only where an id is expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.arrays import Mask, bytes_of_each
from loaders.landing.contracts import CONTRACTS
from loaders.landing.delivery import hidden_in
from loaders.landing.errors import Refusal
from loaders.landing.notifications.json_paths import CLOSER_LOOK, reader_of_paths
from loaders.landing.notifications.payload import NamedAt
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of
from loaders.warehouse.erasures import (
    TELLING_LENGTH,
    ErasedSubjects,
    SubjectKind,
    subject_kind,
)

_Named = tuple[SubjectKind | None, str]
"""An id, or with no kind a text that may be one."""

_ANY: Final[tuple[SubjectKind, ...]] = ("account", "subscription")
_PAIR: Final = re.compile(r'"(\w+)"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(-?\d+))')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE: Final = re.compile(r'[^\s"\'\\,:;{}\[\]()<>=]+')


def names_in(contract: type[LandingRow]) -> dict[str, tuple[NamedAt, ...]]:
    """Where the contract's JSON columns name whose a row is, by column."""
    return {
        column.name: column.json.model.names
        for column in columns_of(contract)
        if column.json and column.json.model.names
    }


def rows_of(erased: ErasedSubjects, contract: type[LandingRow], rows: pa.Table) -> pa.Array:
    """True for the rows, in the contract's columns, that name an erased id."""
    mask = erased.rows_of(rows)
    payloads = names_in(contract)
    if not payloads:
        return mask
    return pc.or_(mask, pa.array(_named_in_payloads(erased, payloads, rows)))


def _named_in_payloads(
    erased: ErasedSubjects, payloads: Mapping[str, tuple[NamedAt, ...]], rows: pa.Table
) -> Mask:
    """Rows whose payloads name an erased id."""
    hit, customer_hit, names_an_account, unread = (np.zeros(rows.num_rows, bool) for _ in range(4))
    texts = {name: rows.column(name).combine_chunks() for name in payloads}
    for name, places in payloads.items():
        paths = {place.path for place in places} | {"type" for place in places if place.of_types}
        read = reader_of_paths(dict.fromkeys(sorted(paths), str))
        for row, text in enumerate(bytes_of_each(texts[name])):
            if text is None:
                continue
            try:
                found = dict(zip(sorted(paths), read(text), strict=True))
            except CLOSER_LOOK:
                unread[row] = True
                continue
            for place in places:
                value = found[place.path]
                if value is None or not (found.get("type") or "").startswith(place.of_types):
                    continue
                names_an_account[row] |= place.kind == "account"
                if erased.hashes[place.kind] and erased.names(place.kind, value):
                    (customer_hit if place.kind == "customer" else hit)[row] = True
    hit |= customer_hit & ~names_an_account
    for row in np.nonzero(unread)[0].tolist():
        named_in_row = chain.from_iterable(
            _in_payload(places, texts[name][row].as_py()) for name, places in payloads.items()
        )
        hit[row] = _is_erased(erased, list(named_in_row))
    return hit


def also_theirs(
    erased: ErasedSubjects, contract: type[LandingRow], rows: pa.Table
) -> Iterator[tuple[str, SubjectKind, str]]:
    """(account, kind, id) of ids that rows of erased accounts bring along and the list does not have."""
    payloads = names_in(contract)
    for row in rows.to_pylist():
        named = [
            (kind, value)
            for column, value in row.items()
            if (kind := subject_kind(column)) and isinstance(value, str)
        ]
        for column, places in payloads.items():
            named += _in_payload(places, row[column])
        account = next((value for kind, value in named if kind == "account"), None)
        # Who has a seat of somebody else's plan does not take it along.
        if account is None or not erased.names("account", account) or row.get("role") == "member":
            continue
        for kind, value in named:
            if kind in ("subscription", "customer") and not erased.names(kind, value):
                yield account, kind, value


def is_erased(erased: ErasedSubjects, refusal: Refusal) -> bool:
    """Whether a refused row, or a line that is no row at all, names an erased id."""
    try:
        row = json.loads(refusal.payload)
    except ValueError:
        return _is_erased(erased, list(_in_text(refusal.payload)))
    return _is_erased(erased, list(_in_value("", row)))


def _is_erased(erased: ErasedSubjects, named: list[_Named]) -> bool:
    names_nobody = all(kind != "account" for kind, _ in named)
    return any(
        erased.names(kind, value)
        for said, value in named
        for kind in ([said] if said else _ANY)
        if kind != "customer" or names_nobody
    )


def _in_payload(places: tuple[NamedAt, ...], text: str | None) -> Iterator[tuple[SubjectKind, str]]:
    payload = json.loads(text) if text is not None else None
    for place in places:
        value = place.read(payload)
        if value is not None:
            yield place.kind, value


def _kinds_of_keys() -> dict[str, SubjectKind]:
    kinds: dict[str, SubjectKind] = {}
    for contract in CONTRACTS.values():
        for column in columns_of(contract):
            kind = subject_kind(column.name)
            if kind:
                kinds[column.name] = kind
        for place in chain.from_iterable(names_in(contract).values()):
            if not place.of_types:
                kinds[place.key] = place.kind
    return kinds


KIND_OF_KEY: Final = _kinds_of_keys()
"""What the value under a key, in any layout of any feed, is an id of."""


def _in_value(key: str, value: Any) -> Iterator[_Named]:
    """Every id that a JSON value may hold, also inside a text that is JSON itself."""
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _in_value(str(inner), each)
    elif isinstance(value, list):
        for each in value:
            yield from _in_value(key, each)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value)
        yield from _under(key, text)
        yield from _in_value(key, hidden_in(text))
        if text[:1] in ("{", "["):
            try:
                yield from _in_value(key, json.loads(text))
            except ValueError:
                yield from _in_text(text)


def _in_text(text: str) -> Iterator[_Named]:
    """Every id that a text may hold which no parser understands."""
    for key, quoted, number in _PAIR.findall(text):
        yield from _under(key, _unescaped(quoted) or number)
    for quoted in _QUOTED.findall(text):
        yield from _under("", _unescaped(quoted))
    for bare in _BARE.findall(text):
        yield from _under("", bare)


def _under(key: str, text: str) -> Iterator[_Named]:
    if key in KIND_OF_KEY or len(text) >= TELLING_LENGTH:
        yield KIND_OF_KEY.get(key), text


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        return quoted
