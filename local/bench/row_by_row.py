"""Landing files read and checked row by row: slow, plain, and what the columns' way has to agree with.

pydantic reads each row of CSV and NDJSON, and each notification in a column. The bench measures against it,
the tests compare every accepted and every refused row with it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from loaders.landing.batch import Batch
from loaders.landing.check import Problems, refusals_of, violations_of, with_lineage
from loaders.landing.delivery import DeliveryError
from loaders.landing.errors import LandingError, Refusal, is_utf8
from loaders.landing.files import LandingFile, bytes_of, read_batches
from loaders.landing.formats import format_of
from loaders.landing.header import csv_header
from loaders.landing.payers import payer_problem
from loaders.landing.reasons import of_problems
from loaders.landing.row import LandingRow, RequiredWhen
from loaders.landing.schema import arrow_schema, columns_of


def read_and_split(
    contract: type[LandingRow], file: LandingFile, arrival_date: date
) -> Iterator[tuple[pa.Table, list[Refusal]]]:
    """Accepted and refused rows of a file, batch by batch."""
    if format_of(file.name).kind == "parquet":
        batches = read_batches(contract, file)
    else:
        batches = _text_batches(contract, file)
    for batch in batches:
        yield _split(contract, batch, arrival_date, file.name)


def _split(
    contract: type[LandingRow], batch: Batch, arrival_date: date, file: str
) -> tuple[pa.Table, list[Refusal]]:
    rows = with_lineage(batch, arrival_date, file)
    problems = _problems(contract, rows)
    broken = pa.array([place in problems for place in range(rows.num_rows)], pa.bool_())
    found = []
    for column, mask, reason in violations_of(contract, rows, arrival_date):
        mask = pc.fill_null(mask, False)
        found.append((column, mask, reason))
        broken = pc.or_(broken, mask)
    refused = [*batch.unreadable, *refusals_of(contract, rows, broken, found, problems, file)]
    return rows.filter(pc.invert(broken)), refused


def _problems(contract: type[LandingRow], rows: pa.Table) -> Problems:
    found: Problems = {}
    for column in columns_of(contract):
        if column.json is None:
            continue
        for place, text in enumerate(rows.column(column.name).to_pylist()):
            if text is not None and (wrong := list(column.json.problems(column.name, text))):
                found.setdefault(place, []).extend(wrong)
    for rule in contract.rules:
        if isinstance(rule, RequiredWhen):
            json_of = next(column.json for column in columns_of(contract) if column.name == rule.payload)
            reason = f"{rule.column} is null though {rule.payload} {rule.says.replace('_', ' ')}"
            for place in pc.indices_nonzero(pc.is_null(rows.column(rule.column))).to_pylist():
                text = rows.column(rule.payload)[place].as_py()
                if json_of and text and place not in found and getattr(json_of.parse(text), rule.says):
                    found[place] = [(rule.column, reason)]
    for place, row in enumerate(rows.to_pylist()):
        if place not in found and (problem := _payer_problem(contract, row)):
            found[place] = [problem]
    return found


def _payer_problem(contract: type[LandingRow], row: dict[str, Any]) -> tuple[str, str] | None:
    """Of a row with the payloads that its contract wants."""
    if any(
        column.json and not column.nullable and row[column.name] is None for column in columns_of(contract)
    ):
        return None
    return payer_problem(contract, row, ())


def _text_batches(contract: type[LandingRow], file: LandingFile) -> Iterator[Batch]:
    """Rows that pydantic can read, in one batch, and the others; without those whose kind is ignored."""
    read, refused = [], []
    for number, row, payload in _numbered(contract, file):
        typed = _validated(contract, file, number, row, payload)
        if isinstance(typed, Refusal):
            refused.append(typed)
        elif typed is not None:
            read.append((number, typed))
        if len(read) >= 100_000:
            yield _batch(contract, read, refused)
            read, refused = [], []
    yield _batch(contract, read, refused)


def _batch(
    contract: type[LandingRow], read: list[tuple[int, dict[str, Any]]], refused: list[Refusal]
) -> Batch:
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    rows = pa.Table.from_pylist([row for _, row in read], schema=schema)
    return Batch(rows, pa.array([number for number, _ in read], pa.int64()), tuple(refused))


def _numbered(contract: type[LandingRow], file: LandingFile) -> Iterator[tuple[int, Any, str]]:
    """Number, what was read (an error or a sentence where nothing was), and the row as it was."""
    text = io.TextIOWrapper(bytes_of(file), encoding="utf-8-sig", errors="surrogateescape", newline="")
    if format_of(file.name).kind == "csv":
        separator, header, _ = csv_header(contract, file.name, text)
        reader = csv.reader(text, strict=True, delimiter=separator)
        number = 0
        try:
            for number, cells in enumerate(filter(None, reader), 1):
                row: dict[Any, Any] = dict(zip(header, cells, strict=False))
                if len(cells) > len(header):
                    row[None] = cells[len(header) :]
                row |= dict.fromkeys(header[len(cells) :])
                yield number, row, json.dumps(row)
        except csv.Error as error:
            raise LandingError(f"{file.name}: row {number + 1}: {error}") from error
        return
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        payload = line.rstrip("\n")
        if not is_utf8(line):
            yield number, "is not UTF-8", payload
            continue
        try:
            row = json.loads(line)
            yield number, row if isinstance(row, dict) else "is not a JSON object", payload
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON: {error}", payload


def _validated(
    contract: type[LandingRow], file: LandingFile, number: int, row: Any, payload: str
) -> dict[str, Any] | Refusal | None:
    """The row in Python types, or why it is refused; None when its kind is ignored."""
    name = file.name
    if isinstance(row, str):
        return Refusal(name, number, "", row, payload)
    if format_of(name).kind == "csv":
        # Surplus values are under the key None, and a short row is filled up with None.
        if None in row or None in row.values():
            return Refusal(name, number, "", "does not have the header's columns", payload)
        for column, cell in row.items():
            if not is_utf8(cell):
                return Refusal(name, number, column, f"{column} is not UTF-8", payload)
        row = {column: value if value != "" else None for column, value in row.items()}
    try:
        if contract.delivered and file.receipt:
            row = contract.delivered.open(row, file.receipt)
        if contract.message_kind and contract.message_kind.of_row(row).ignored:
            return None
        typed = contract.model_validate(row).model_dump()
    except DeliveryError as error:
        return Refusal(name, number, error.path, str(error), payload)
    except ValidationError as error:
        problems = list(of_problems({each.name: each for each in columns_of(contract)}, error))
        return Refusal(name, number, problems[0][0], "; ".join(reason for _, reason in problems), payload)
    if problem := payer_problem(contract, typed, file.receipt.mapped_providers if file.receipt else ()):
        return Refusal(name, number, *problem, payload)
    for column, value in typed.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return Refusal(name, number, column, f"{column} does not fit into 64 bits", payload)
    return typed
