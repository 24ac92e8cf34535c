"""Examples that a training has built, read in streams; what is kept of them is small enough to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from loaders.warehouse.client import Warehouse
from scoring.declaration import ModelDeclaration
from segments.features import FEATURES

_TOLD: Final = pa.schema(
    {
        "feature_date": pa.date32(),
        "account_id": pa.string(),
        "outcome": pa.bool_(),
        "is_treated": pa.bool_(),
        "is_held_back": pa.bool_(),
        "weight": pa.float64(),
    }
)
"""Columns beside the features."""


def read_examples(warehouse: Warehouse, table: str, model: ModelDeclaration) -> Iterator[pa.RecordBatch]:
    """The examples of one model, in no order, over the Storage API, with all features that there are.

    The model that is in use may go by others than its next version. Only a batch is held at a time.
    ``table``: project.dataset.table, as ``training_examples`` gives it.
    """
    return warehouse.read_arrow(table, [*_TOLD.names, *FEATURES], f"model_name = '{model.name}'")


def kept(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """All batches as one table in which a text is a code of a few bytes; the account's id stays whole.

    A row of thirty features takes some 160 bytes, and what a training makes of it ten times as much: a
    declaration says how many there are at most (``most_examples``).
    """
    parts = [_with_codes(batch) for batch in batches if batch.num_rows]
    return pa.Table.from_batches(parts).unify_dictionaries() if parts else _TOLD.empty_table()


def _with_codes(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = {
        name: column.dictionary_encode()
        if pa.types.is_string(column.type) and name != "account_id"
        else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)
