"""The page of the feeds that land: one contract each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from loaders.landing.contracts import CONTRACTS
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, columns_of
from local.site.markup import code, page, table

INTRODUCTION = """\
What may be put into the landing folder, as `<table>/<arrival day>/<file>` (Parquet, NDJSON or CSV). A
row that breaks its contract is kept in `quarantine`, with file, row, column and reason.
[Exports](../exports.md) and [providers](../providers.md) say how to fill them."""


def feeds_page() -> str:
    """Every feed: its key, its columns, their types and the values that they may have."""
    return page("Feeds", INTRODUCTION, ["\n\n".join(_feed(contract)) for contract in CONTRACTS.values()])


def _feed(contract: type[LandingRow]) -> Iterator[str]:
    yield f"## {contract.table}"
    if "__doc__" in vars(contract) and contract.__doc__:
        yield inspect.cleandoc(contract.__doc__)
    facts = [f"key: {', '.join(map(code, contract.key))}"] if contract.key else []
    facts += ["may be absent"] if contract.may_be_absent else []
    if facts:
        yield f"*{'; '.join(facts)}*"
    yield table(
        ["column", "type", "required", "values"], (_column(contract, c) for c in columns_of(contract))
    )


def _column(contract: type[LandingRow], column: Column) -> list[str]:
    described = contract.model_fields[column.name].description
    values = [*([described] if described else []), *_values(column)]
    kind = "JSON" if column.json else column.kind.__name__
    return [code(column.name), kind, "no" if column.nullable else "yes", "; ".join(values)]


def _values(column: Column) -> Iterator[str]:
    if column.allowed:
        yield ", ".join(map(code, column.allowed))
    bounds = (
        ("from", column.minimum),
        ("above", column.above),
        ("to", column.maximum),
        ("decimal places at most", column.decimal_places),
        ("characters at least", column.min_length),
        ("characters at most", column.max_length),
        ("pattern", column.pattern and code(column.pattern)),
    )
    yield from (f"{word} {value}" for word, value in bounds if value is not None)
