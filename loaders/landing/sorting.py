"""A batch's payloads read once: what kinds of messages they are, and which of them only a model can judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from loaders.landing.batch import Batch, KindsOfRows
from loaders.landing.delivery import OpenRow
from loaders.landing.kinds import PathsRead, kind_of_refusal
from loaders.landing.notifications.model_columns import Judged, judge
from loaders.landing.notifications.objects import Mask, as_mask
from loaders.landing.row import LandingRow
from loaders.landing.schema import columns_of


def read_payloads(
    contract: type[LandingRow], columns: Mapping[str, pa.Array]
) -> tuple[dict[str, Mask], KindsOfRows | None]:
    """By JSON column which texts are doubtful, and the rows' kinds (None: the table has none).

    Of rows that are ignored nothing is said but that they are.
    """
    kind_of = contract.message_kind
    judged: dict[str, Judged] = {}
    for column in columns_of(contract):
        if column.json:
            paths = kind_of.paths_in(column.name) if kind_of else None
            judged[column.name] = judge(column.json.model, columns[column.name], paths=paths)
    doubtful = {name: each.doubtful & as_mask(columns[name].is_valid()) for name, each in judged.items()}
    if kind_of is None:
        return doubtful, None
    read = {name: PathsRead(each.found, each.unread) for name, each in judged.items()}
    kinds = kind_of.of_columns({name: columns[name] for name in kind_of.columns}, read)
    ignored = kinds.ignored
    for column in columns_of(contract):
        # Where much could not be read, because it is of other kinds, the reader gave the rest up too.
        if column.json and (ignored & judged[column.name].unread).any():
            again = judged[column.name].unread & ~ignored
            texts = columns[column.name].filter(pa.array(again))
            doubtful[column.name][again] = judge(column.json.model, texts).doubtful
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
