"""Holding rows to their contract, a column at a time in Arrow: no Python per row but for the refused ones."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.landing.arrays import Mask, bytes_of_each
from loaders.landing.batch import Batch
from loaders.landing.column_rules import Violation, violations
from loaders.landing.currencies import above_ceiling, beyond_places
from loaders.landing.errors import Refusal
from loaders.landing.notifications.payload import JsonOf
from loaders.landing.notifications.payload_structs import UNREADABLE, doubtful_texts, reader_of
from loaders.landing.payers import payer_problem
from loaders.landing.reasons import of_column, said
from loaders.landing.row import GivenWhen, LandingRow, NotAfterArrival, NotBefore, OfCurrency, RequiredWhen
from loaders.landing.schema import columns_of

Problems = dict[int, list[tuple[str, str]]]
"""Path and reason of everything that is wrong inside the JSON columns, by the row's place."""


def split(
    contract: type[LandingRow],
    batch: Batch,
    arrival_date: date,
    file: str,
    mapped_providers: Collection[str] = (),
) -> tuple[pa.Table, list[Refusal]]:
    """Separate the rows that keep the contract from those that break it.

    ``mapped_providers``: those whose messages need not name an account.

    Accepted rows come back with the lineage columns; every other row is one refusal that names its first
    broken column and all reasons.
    """
    rows = with_lineage(batch, arrival_date, file)
    broken = pa.repeat(pa.scalar(False), rows.num_rows)
    found: list[Violation] = []
    for column, mask, reason in violations_of(contract, rows, arrival_date):
        mask = pc.fill_null(mask, False)
        if pc.any(mask).as_py():
            found.append((column, mask, reason))
            broken = pc.or_(broken, mask)
    problems = _problems(contract, rows, batch.doubtful, mapped_providers)
    if problems:
        wrong = np.zeros(rows.num_rows, bool)
        wrong[list(problems)] = True
        broken = pc.or_(broken, pa.array(wrong))
    if not found and not problems:
        return rows, [*batch.unreadable]
    refused = [*batch.unreadable, *refusals_of(contract, rows, broken, found, problems, file)]
    return rows.filter(pc.invert(broken)), sorted(refused, key=lambda refusal: refusal.row)


def with_lineage(batch: Batch, arrival_date: date, file: str) -> pa.Table:
    """The batch's rows, in one chunk, with where each came from."""
    rows = batch.rows.combine_chunks()
    return (
        rows.append_column("arrival_date", pa.repeat(pa.scalar(arrival_date), rows.num_rows))
        .append_column("landing_file", pa.repeat(pa.scalar(file), rows.num_rows))
        .append_column("landing_row", batch.numbers)
    )


def refusals_of(
    contract: type[LandingRow],
    rows: pa.Table,
    broken: pa.Array,
    found: list[Violation],
    problems: Problems,
    file: str,
) -> Iterator[Refusal]:
    """What is wrong with each broken row, in order."""
    columns = {column.name: column for column in columns_of(contract)}
    masks = [(column, mask.filter(broken).to_pylist(), reason) for column, mask, reason in found]
    places = pc.indices_nonzero(broken).to_pylist()
    beside = [rule.currency for rule in contract.rules if isinstance(rule, OfCurrency)]
    for index, row in enumerate(_cells(rows.filter(broken))):
        told = {name: of_column(columns[name], row[name]).strip("'") or "its " + name for name in beside}
        hits = [
            (column, said(column, of_column(columns[column], row[column]), reason.format(row=told)))
            for column, mask, reason in masks
            if mask[index]
        ]
        hits += problems.get(places[index], [])
        number = row.pop("landing_row")
        del row["landing_file"], row["arrival_date"]
        yield Refusal(
            file=file,
            row=number,
            column=hits[0][0],
            reason="; ".join(reason for _, reason in hits),
            payload=json.dumps(row, default=str, ensure_ascii=False),
        )


def _cells(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as a person would write them: Python's calendar ends in 9999; final zeros say nothing."""
    columns = {}
    for field in rows.schema:
        try:
            cells = rows.column(field.name).to_pylist()
        except (ValueError, OverflowError):
            # Days have 32 bits.
            whole = pa.int32() if pa.types.is_date(field.type) else pa.int64()
            cells = rows.column(field.name).cast(whole).to_pylist()
        columns[field.name] = [
            Decimal(f"{cell.normalize():f}") if isinstance(cell, Decimal) else cell for cell in cells
        ]
    for index in range(rows.num_rows):
        yield {name: cells[index] for name, cells in columns.items()}


def violations_of(contract: type[LandingRow], rows: pa.Table, arrival_date: date) -> Iterator[Violation]:
    """Every rule of the columns and across them; the JSON inside is another matter."""
    for column in columns_of(contract):
        yield from violations(column, rows.column(column.name))
    arrived_on = pc.cast(rows.column("ingested_at"), pa.date32())
    other_day = pc.not_equal(arrived_on, pa.scalar(arrival_date))
    yield "ingested_at", other_day, "is not on the arrival day " + str(arrival_date)
    for rule in contract.rules:
        if isinstance(rule, NotBefore):
            mask = pc.less(rows.column(rule.column), rows.column(rule.other))
            yield rule.column, mask, f"is before {rule.other}"
        elif isinstance(rule, GivenWhen):
            wanted = pc.is_in(rows.column(rule.other), value_set=pa.array(rule.values))
            mask = pc.not_equal(pc.is_valid(rows.column(rule.column)), wanted)
            yield (
                rule.column,
                mask,
                f"is given when {rule.other} is {' or '.join(rule.values)}, and only then",
            )
        elif isinstance(rule, NotAfterArrival):
            latest = pc.add(
                rows.column("ingested_at"),
                pa.scalar(timedelta(hours=rule.tolerance_hours), pa.duration("us")),
            )
            mask = pc.greater(rows.column(rule.column), latest)
            reason = f"is more than {rule.tolerance_hours} h after its arrival"
            yield rule.column, mask, reason
        elif isinstance(rule, OfCurrency):
            amounts, told = rows.column(rule.column), rows.column(rule.currency)
            reason = "is above what an amount of {row[" + rule.currency + "]} may be"
            yield rule.column, above_ceiling(amounts, told), reason
            reason = "has more decimal places than {row[" + rule.currency + "]}"
            yield rule.column, beyond_places(amounts, told), reason


def _problems(
    contract: type[LandingRow],
    rows: pa.Table,
    known_doubts: Mapping[str, Mask] | None,
    mapped_providers: Collection[str],
) -> Problems:
    """What the JSON columns say wrong: the texts that are not surely right are asked one by one.

    ``known_doubts``: which those are, where somebody has looked (``Batch.doubtful``).
    """
    found: Problems = {}
    unsure: set[int] = set()
    for column in columns_of(contract):
        if column.json is None:
            continue
        texts = _array(rows, column.name)
        if known_doubts is not None:
            doubtful = known_doubts.get(column.name, np.zeros(len(texts), bool))
        else:
            doubtful = doubtful_texts(column.json.model, texts, bytes_of_each(texts))
        unsure.update(np.nonzero(doubtful)[0].tolist())
        for place in np.nonzero(doubtful)[0].tolist():
            if wrong := list(column.json.problems(column.name, texts[place].as_py())):
                found.setdefault(place, []).extend(wrong)
    for rule in contract.rules:
        if isinstance(rule, RequiredWhen):
            _add_required(contract, rule, rows, found)
    for place in sorted(unsure - found.keys()):
        # Whoever names no account is a doubt.
        if problem := payer_problem(contract, rows.slice(place, 1).to_pylist()[0], mapped_providers):
            found[place] = [problem]
    return found


def _add_required(contract: type[LandingRow], rule: RequiredWhen, rows: pa.Table, found: Problems) -> None:
    json_of = next(column.json for column in columns_of(contract) if column.name == rule.payload)
    missing = pc.indices_nonzero(pc.is_null(rows.column(rule.column)))
    if json_of is None or not len(missing):
        return
    texts = _array(rows, rule.payload).take(missing).to_pylist()
    reason = f"{rule.column} is null though {rule.payload} {rule.says.replace('_', ' ')}"
    for place, text in zip(missing.to_pylist(), texts, strict=True):
        if text and place not in found and _says(json_of, text, rule.says):
            found[place] = [(rule.column, reason)]


def _says(json_of: JsonOf, text: str, saying: str) -> bool:
    try:
        payload = reader_of(json_of.model)(text.encode())
    except UNREADABLE:
        payload = json_of.parse(text)
    return bool(getattr(payload, saying))


def _array(rows: pa.Table, name: str) -> pa.Array:
    """A column of a table whose chunks were combined."""
    return rows.column(name).combine_chunks()
