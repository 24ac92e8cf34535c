"""Reading NDJSON: lines by msgspec, the payloads inside them as they were written, and odd ones one by one.

A payload is kept as the text that the line has of it, as from the other formats. What takes a closer look is
read whole: an envelope, a number that no float holds, a line that is no object of the contract's columns.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from loaders.landing import json_text
from loaders.landing.arrays import Bytes, Mask, bytes_of_all, places_of, text_of_bytes
from loaders.landing.batch import Batch
from loaders.landing.blocks import WholeLines
from loaders.landing.delivery import DeliveryError, Receipt
from loaders.landing.errors import Refusal, is_utf8
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of
from loaders.landing.text_columns import column_of_json
from loaders.landing.text_rows import batch_of, validated

_BLOCK_BYTES = 8 << 20
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_OBJECT: Final = ord("{")
_DIGITS_OF_NO_FLOAT: Final = 300
_SAMPLES: Final = 9
_NO_FLOAT: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{%d}" % _DIGITS_OF_NO_FLOAT)
"""Perhaps a number that Python's reader takes for infinity, or that the warehouse cannot hold."""

Typed = dict[str, tuple[pa.Array, Mask]]


def read_json_lines(
    contract: type[LandingRow], name: str, source: io.BufferedReader, receipt: Receipt | None = None
) -> Iterator[Batch]:
    """Batches of the objects, one a line; lines of white space are no rows, but count."""
    first = 1
    for block in WholeLines(source).blocks(_BLOCK_BYTES):
        lines = block.splitlines(keepends=True)
        yield _Lines(contract, name, lines, first, receipt).batch(is_text=_is_text(block))
        first += len(lines)


def _is_text(block: bytes) -> bool:
    try:
        text_of_bytes(block)
    except pa.ArrowInvalid:
        return False
    return True


class _Lines:
    """Some lines of a file; a row is an object with the contract's columns, payloads as bytes or texts."""

    def __init__(
        self,
        contract: type[LandingRow],
        name: str,
        lines: Sequence[bytes],
        first: int,
        receipt: Receipt | None,
    ) -> None:
        self._contract = contract
        self._columns = columns_of(contract)
        self._name = name
        self._lines = lines
        self._first = first
        self._receipt = receipt

    def batch(self, is_text: bool) -> Batch:
        """``is_text``: whether all lines surely are UTF-8."""
        row_of = _row_type(self._contract)
        read = _reader(self._contract)
        payloads = [column.name for column in self._columns if column.json]
        numbers: list[int] = []
        rows: list[Any] = []
        odd: list[int] = []
        for number, line in zip(count(self._first), self._lines, strict=False):
            try:
                if not is_text:
                    line.decode()
                row = read(line)
                for payload in payloads:
                    if (raw := getattr(row, payload)) is not None:
                        written = bytes(raw)
                        setattr(row, payload, written if written[0] == _OBJECT else _payload(written))
            except _UNREADABLE:
                if not self._text(number).strip():
                    continue
                odd.append(len(rows))
                row = row_of()
            numbers.append(number)
            rows.append(row)
        doubtful = self._put_in(rows, odd, numbers)
        columns = self._typed(rows)
        if again := self._to_open(columns) - set(odd):
            doubtful |= self._put_in(rows, sorted(again), numbers)
            columns = self._typed(rows)
        return batch_of(self._contract, columns, numbers, doubtful, self._judged)

    def _text(self, number: int) -> str:
        return self._lines[number - self._first].decode(errors="surrogateescape")

    def _typed(self, rows: Sequence[Any]) -> Typed:
        return {
            column.name: column_of_json(column, [getattr(row, column.name) for row in rows])
            for column in self._columns
        }

    def _put_in(self, rows: list[Any], places: Sequence[int], numbers: Sequence[int]) -> Mask:
        """Read rows from whole lines; true for those that only pydantic can judge."""
        doubtful = np.zeros(len(rows), bool)
        row_of = _row_type(self._contract)
        for place in places:
            row = self._whole(self._text(numbers[place]))
            doubtful[place] = row is None
            rows[place] = row_of(**row) if row else row_of()
        return doubtful

    def _whole(self, line: str) -> Mapping[str, Any] | None:
        """The row of a line, its payloads as texts; None where that takes a closer look."""
        delivered, receipt = self._contract.delivered, self._receipt
        try:
            value, text_of = json_text.read(line)
            if type(value) is not dict:
                return None
            row: dict[str, Any] = value
            if delivered and receipt:
                row = delivered.open(row, receipt)
            if not row.keys() <= {column.name for column in self._columns}:
                return None
            for column in self._columns:
                # The object as a text, as the contract's model would write it.
                if column.json and type(value := row.get(column.name)) is dict:
                    row[column.name] = text_of(value)
        except (ValueError, RecursionError, DeliveryError):
            return None
        return row

    def _to_open(self, columns: Typed) -> set[int]:
        """Places of the rows that have to be read whole: messages to open, and numbers that are none."""
        delivered = self._contract.delivered
        found: set[int] = set()
        if delivered and self._receipt:
            mask = delivered.rows_to_open({name: values for name, (values, _) in columns.items()})
            found.update(np.flatnonzero(mask).tolist())
        for column in self._columns:
            if column.json:
                found.update(_numbers_of_no_float(columns[column.name][0]))
        return found

    def _judged(self, number: int) -> dict[str, Any] | Refusal:
        line = self._text(number)
        payload = line.rstrip("\n")
        if not is_utf8(line):
            return Refusal(self._name, number, "", "is not UTF-8", payload)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Refusal(self._name, number, "", f"is not JSON: {error}", payload)
        if not isinstance(row, dict):
            return Refusal(self._name, number, "", "is not a JSON object", payload)
        return validated(self._contract, self._name, number, row, payload, self._receipt)


@cache
def _row_type(contract: type[LandingRow]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        contract.__name__,
        [(each.name, msgspec.Raw if each.json else Any, None) for each in columns_of(contract)],
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


@cache
def _reader(contract: type[LandingRow]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(_row_type(contract), float_hook=json_text.number).decode


_text = msgspec.json.Decoder(str).decode


def _payload(written: bytes) -> bytes | None:
    """The text of a payload that is no object.

    Raises:
        ValueError: it is neither null nor a text.
        MsgspecError: it is no text in UTF-8.
    """
    if written == b"null":
        return None
    if written[0] == ord('"'):
        return _text(written).encode()
    raise ValueError("is neither null nor a text")


def _numbers_of_no_float(texts: pa.Array) -> Iterator[int]:
    """Places of texts with a number that perhaps no float holds."""
    data, offsets = bytes_of_all(texts)
    found = places_of(_before_e, data, ahead=1)
    # Of an exponent of three digits, with a sign or not, these two are.
    found = found[found < len(data) - 4]
    found = found[_digit(data[found + 3]) & _digit(data[found + 4])]
    # Of so many digits in a row, some in a row of those that are looked at in steps are digits.
    step = _DIGITS_OF_NO_FLOAT // (_SAMPLES + 1)
    samples = _digit(data[::step])
    if len(samples) >= _SAMPLES:
        windows = np.lib.stride_tricks.sliding_window_view(samples, _SAMPLES)
        found = np.concatenate([found, np.flatnonzero(windows.all(axis=1)) * step])
    for place in np.unique(np.searchsorted(offsets, found, side="right") - 1).tolist():
        if _NO_FLOAT.search(data[offsets[place] : offsets[place + 1]].tobytes()):
            yield place


def _before_e(data: Bytes) -> Mask:
    found: Mask = _digit(data[:-1]) & ((data[1:] | 0x20) == ord("e"))
    return found


def _digit(data: Bytes) -> Mask:
    found: Mask = (data - ord("0")) < 10
    return found
