"""A batch's payloads read once: what kinds of messages they are, and which of them only a model can judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from loaders.landing.arrays import Mask, bytes_of_each
from loaders.landing.batch import Batch, KindsOfRows
from loaders.landing.delivery import OpenRow
from loaders.landing.kinds import kind_of_refusal
from loaders.landing.notifications.payload_structs import doubtful_texts
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of


def read_payloads(
    contract: type[LandingRow], columns: Mapping[str, pa.Array]
) -> tuple[dict[str, Mask], KindsOfRows | None]:
    """By JSON column which texts are doubtful, and the rows' kinds (None: the table has none).

    Of rows that are ignored nothing is said but that they are.
    """
    texts = {
        column.name: bytes_of_each(columns[column.name]) for column in columns_of(contract) if column.json
    }
    kind_of = contract.message_kind
    kinds = kind_of.of_columns(columns, texts) if kind_of else None
    asked = ~kinds.ignored if kinds else None
    doubtful = {
        column.name: doubtful_texts(column.json.model, columns[column.name], texts[column.name], asked)
        for column in columns_of(contract)
        if column.json
    }
    return doubtful, kinds


def sort_out(contract: type[LandingRow], batch: Batch, open_row: OpenRow | None) -> Batch:
    """The batch without what is ignored, which it counts, and with the kinds of what is left."""
    kind_of = contract.message_kind
    if kind_of is None:
        return batch
    table = batch.rows.combine_chunks()
    kinds, doubtful = batch.kinds_of_rows, batch.doubtful
    if kinds is None:
        names = kind_of.columns | {column.name for column in columns_of(contract) if column.json}
        doubtful, kinds = read_payloads(
            contract, {name: table.column(name).combine_chunks() for name in names}
        )
        assert kinds is not None
    found = kinds.counted()
    unreadable = [(refusal, kind_of_refusal(kind_of, refusal, open_row)) for refusal in batch.unreadable]
    found.update(kind for _, kind in unreadable)
    batch = replace(
        batch,
        doubtful=doubtful,
        kinds_of_rows=kinds,
        kinds=Counter({kind: n for kind, n in found.items() if kind.ignored is None and n}),
    )
    ignored = Counter({kind: n for kind, n in found.items() if kind.ignored is not None and n})
    if not ignored:
        return batch
    stays = ~kinds.ignored
    return replace(
        batch,
        rows=table.filter(pa.array(stays)),
        numbers=batch.numbers.filter(pa.array(stays)),
        unreadable=tuple(refusal for refusal, kind in unreadable if kind.ignored is None),
        doubtful=doubtful and {name: mask[stays] for name, mask in doubtful.items()},
        kinds_of_rows=kinds.chosen(stays),
        ignored=ignored,
    )
