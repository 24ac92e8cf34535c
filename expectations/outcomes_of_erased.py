"""Samples of offending rows may show an account that was erased while the gate ran: they are taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.cloud import bigquery

from expectations.outcome import ExpectationOutcome, texts_in
from loaders.erasure.files import Files
from loaders.warehouse.client import Warehouse
from loaders.warehouse.erasures import ErasedSubjects
from loaders.warehouse.ops import literal, ops_table
from segue.window import RunWindow


def without_erased(
    warehouse: Warehouse,
    window: RunWindow,
    validation_id: str,
    outcomes: tuple[ExpectationOutcome, ...],
    shown: Sequence[Any],
) -> tuple[ExpectationOutcome, ...]:
    """The outcomes without samples of erased accounts, which are removed from the files and the records too.

    ``shown`` are the details of what failed, as they stand in the files: more rows than the samples have.
    To be called once everything is written: whoever is erased later, the erasure itself finds there.

    Raises:
        WarehouseError: the list of erased accounts cannot be read, or the records not be changed.
    """
    texts = set(texts_in(list(shown)))
    if not texts:
        return outcomes
    erased = ErasedSubjects.read(warehouse, window.history.raw_read_at)
    named = {text for text in texts if _is_id(erased, text)}
    if not named:
        return outcomes
    Files(warehouse.settings, sorted(named)).remove()
    showing = {each.sample for each in outcomes if named.intersection(texts_in(json.loads(each.sample)))}
    warehouse.run(
        f"update `{ops_table(warehouse.settings, 'validation_results')}` set sample = '[]' "
        f"where run_date = {literal(window.end_date)} and validation_id = {literal(validation_id)} "
        "and sample in unnest(@showing)",
        parameters=[bigquery.ArrayQueryParameter("showing", "STRING", sorted(showing))],
    )
    return tuple(replace(each, sample="[]") if each.sample in showing else each for each in outcomes)


def _is_id(erased: ErasedSubjects, text: str) -> bool:
    return erased.names("account", text) or erased.names("subscription", text)
