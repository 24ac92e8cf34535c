"""Reading CSV, which carries no types: columns of the usual spellings, and pydantic for other rows.

pydantic reads a row in tens of microseconds; the columns of a batch take about a tenth of that. A row goes
to pydantic when one of its values is unusual or breaks a rule, so every refusal is pydantic's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from loaders.landing.arrays import Mask, as_mask
from loaders.landing.batch import Batch
from loaders.landing.blocks import WholeLines
from loaders.landing.column_rules import violations
from loaders.landing.csv_cells import Cells, read_cells
from loaders.landing.delivery import DeliveryError, Receipt
from loaders.landing.errors import Refusal, is_utf8
from loaders.landing.payers import payer_problem
from loaders.landing.reasons import of_problems
from loaders.landing.row import LandingRow
from loaders.landing.schema import arrow_schema, columns_of
from loaders.landing.sorting import read_payloads
from loaders.landing.text_columns import column_of_text

_Judge = Callable[[int], dict[str, Any] | Refusal]
"""What pydantic says of the row with a number."""


def read_csv(
    contract: type[LandingRow],
    name: str,
    lines: WholeLines,
    separator: str,
    header: Sequence[str],
    absent: tuple[str, ...],
    receipt: Receipt | None = None,
) -> Iterator[Batch]:
    """Batches of the rows after the header; lines without anything are no rows and do not count.

    Raises:
        LandingError: the file is no CSV; names the row.
    """
    places = {column: place for place, column in enumerate(header)}
    before = 0
    for cells in read_cells(name, lines, separator, len(header)):
        columns = {}
        for column in columns_of(contract):
            if column.name in places:
                place = places[column.name]
                typed, unusual = column_of_text(column, cells.texts[place])
                columns[column.name] = typed, unusual | cells.unfit[place]
            else:
                columns[column.name] = pa.nulls(len(cells), column.arrow), np.zeros(len(cells), bool)
        numbers = list(range(before + 1, before + 1 + len(cells)))
        doubtful = cells.ragged.copy()
        if contract.delivered and receipt:
            # What has to be opened first is pydantic's.
            doubtful |= contract.delivered.rows_to_open({name: each for name, (each, _) in columns.items()})
        judge = partial(_judged_csv_row, contract, name, header, cells, before + 1, receipt)
        yield batch_of(contract, columns, numbers, doubtful, judge, absent)
        before += len(cells)


def _judged_csv_row(
    contract: type[LandingRow],
    name: str,
    header: Sequence[str],
    block: Cells,
    first: int,
    receipt: Receipt | None,
    number: int,
) -> dict[str, Any] | Refusal:
    cells = block.row(number - first)
    row: dict[Any, Any] = dict(zip(header, cells, strict=False))
    if len(cells) != len(header):
        # Surplus values under no name, absent ones as null.
        row |= {None: cells[len(header) :]} if len(cells) > len(header) else {}
        row |= dict.fromkeys(header[len(cells) :])
        return Refusal(name, number, "", "does not have the header's columns", json.dumps(row))
    if bad := [column for column, cell in row.items() if not is_utf8(cell)]:
        return Refusal(name, number, bad[0], f"{bad[0]} is not UTF-8", json.dumps(row))
    typed = {column: value if value != "" else None for column, value in row.items()}
    return validated(contract, name, number, typed, json.dumps(row), receipt)


def validated(
    contract: type[LandingRow],
    name: str,
    number: int,
    row: dict[str, Any],
    payload: str,
    receipt: Receipt | None,
) -> dict[str, Any] | Refusal:
    """The row in Python types, or the first column that pydantic, or the warehouse, refuses."""
    columns = {column.name: column for column in columns_of(contract)}
    try:
        if contract.delivered and receipt:
            row = contract.delivered.open(row, receipt)
        typed = contract.model_validate(row).model_dump()
    except ValidationError as error:
        problems = list(of_problems(columns, error))
        return Refusal(name, number, problems[0][0], "; ".join(reason for _, reason in problems), payload)
    except DeliveryError as error:
        return Refusal(name, number, error.path, str(error), payload)
    if problem := payer_problem(contract, typed, receipt.mapped_providers if receipt else ()):
        return Refusal(name, number, *problem, payload)
    for column, value in typed.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return Refusal(name, number, column, f"{column} does not fit into 64 bits", payload)
    return typed


def batch_of(
    contract: type[LandingRow],
    columns: dict[str, tuple[pa.Array, Mask]],
    numbers: list[int],
    doubtful: Mask,
    judge: _Judge,
    absent: tuple[str, ...] = (),
) -> Batch:
    """The rows without a doubt, and of the others those that pydantic can read, in their order."""
    for column in columns_of(contract):
        values, unusual = columns[column.name]
        doubtful |= unusual
        for _, mask, _ in violations(column, values):
            doubtful |= as_mask(mask)
    unsure, kinds = read_payloads(contract, {name: values for name, (values, _) in columns.items()})
    for mask in unsure.values():
        doubtful |= mask
    if kinds:
        # Whoever reads the batch leaves them out: whatever they hold, nobody asks.
        doubtful &= ~kinds.ignored
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    rows = pa.Table.from_arrays([columns[field.name][0] for field in schema], schema=schema)
    order = pa.array(numbers, pa.int64())
    if not doubtful.any():
        return Batch(rows, order, (), absent, doubtful={}, kinds_of_rows=kinds)
    read, refused = [], []
    for place in np.nonzero(doubtful)[0].tolist():
        row = judge(numbers[place])
        if isinstance(row, Refusal):
            refused.append(row)
        else:
            read.append((numbers[place], row))
    sure = pa.array(~doubtful)
    rows, order = rows.filter(sure), order.filter(sure)
    kinds = kinds and kinds.chosen(~doubtful)
    if read:
        others = pa.Table.from_pylist([row for _, row in read], schema=schema)
        rows = pa.concat_tables([rows, others])
        order = pa.concat_arrays([order, pa.array([number for number, _ in read], pa.int64())])
        by_number = pc.sort_indices(order)
        rows, order = rows.take(by_number), order.take(by_number)
        if kinds and contract.message_kind:
            cells = {name: others.column(name).combine_chunks() for name in contract.message_kind.columns}
            of_others = contract.message_kind.of_columns(cells)
            kinds = kinds.followed_by(of_others).chosen(by_number.to_numpy())
    return Batch(rows, order, tuple(refused), absent, doubtful={}, kinds_of_rows=kinds)
