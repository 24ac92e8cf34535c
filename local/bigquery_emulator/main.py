"""The BigQuery emulator, with what most of its time on small data went into done once, of a part only, or not
at all (``parsed_once``, ``translated_once``, ``heads_only``, ``not_asked_for``), with the metadata views that
dbt reads (``metadata_views``), with BigQuery's ways of treating jobs and transactions (``dry_runs``,
``jobs_once``, ``reading_beside``, ``resumed_reads``, ``transactions``), and with what some of its SQL means
(``decimals``, ``group_by_aliases``, ``truncated_dates``).

What is answered is the same. Each replacement says what it saves; together a day of a company of fifty takes
0.4 of the emulator's time when its like was run before, and two thirds when not.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import dry_runs
import heads_only
import jobs_once
import not_asked_for
import reading_beside
import resumed_reads
import row_arrays  # noqa: F401  (its rules register themselves)
import sqlglot.expressions.core as nodes
import transactions
import truncated_dates
from bqemulator.catalog import ddl_sync
from bqemulator.cli import main
from bqemulator.jobs import ddl_result, executor
from bqemulator.scripting import interpreter
from bqemulator.scripting.interpreter import ScriptInterpreter
from bqemulator.sql import catalog_schema, inner_query, translator
from bqemulator.sql.rewriter import create_table_schema_ctas, information_schema
from bqemulator.sql.table_rewriter import rewrite_table_refs
from bqemulator.sql.translator import SQLTranslator
from bqemulator.versioning.snapshots import SnapshotManager
from decimals import datatype
from group_by_aliases import group_by_places
from heads_only import build_catalog_schema, detect_view, of_head
from metadata_views import fill_views, name_views, option_value, timestamp_literal
from ordered_arrays import sort_after_gathering
from parsed_once import copy_value, forgets_what_it_changed, only_reads, parse_once
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.generators.duckdb import DuckDBGenerator
from translated_once import Translations, split_once, translate_once

READERS = {
    ddl_sync: [
        "_detect_catalog_drop",
        "_detect_create_schema",
        "_detect_plain_create_table",
        "_extract_ddl_metadata",
    ],
    ddl_result: ["_parse_statement"],
    executor: [
        "_capture_dml_snapshots",
        "_parse_for_classification",
        "_reject_dml_on_immutable",
        "detect_drop_routine",
    ],
    heads_only: ["tables_of"],
    interpreter: ["_dml_targets", "_is_row_producing"],
}
READERS_OF_HEADS = {
    ddl_sync: ["_detect_catalog_drop", "_detect_create_schema", "_detect_plain_create_table",
               "_extract_ddl_metadata"],
    ddl_result: ["_parse_statement"],
    executor: ["_capture_dml_snapshots", "_parse_for_classification", "_reject_dml_on_immutable",
               "detect_drop_routine"],
}  # fmt: skip
REWRITERS = {
    inner_query: ["rewrite_unnest_offset"],
    translator: [
        "rewrite_aggregate_variants",
        "rewrite_create_table_schema_ctas",
        "rewrite_datetime_helpers",
        "rewrite_division_by_zero",
        "rewrite_specialized_types",
        "rewrite_struct_helpers",
        "rewrite_unnest_struct",
    ],
}

_aggregate_variants = translator.rewrite_aggregate_variants
_first_select = create_table_schema_ctas._first_select
_type_of_column = catalog_schema._safe_bq_to_duckdb
_rewrite_for_row_access = inner_query.rewrite_for_row_access
_capture = SnapshotManager.capture
_rewritten = Translations("names")
_PROJECT = "project-of-the-job-x"


def rewrite_names(duckdb_sql: str, project_id: str) -> str:
    """The last step before DuckDB: its names of tables, arrays sorted after they are gathered, metadata."""

    def rewrite(sql: str) -> str:
        rewritten: str = sort_after_gathering(rewrite_table_refs(sql, _PROJECT))
        return rewritten

    answer: str = fill_views(_rewritten.find(duckdb_sql, None, rewrite).replace(_PROJECT, project_id))
    return answer


def aggregates(bq_sql: str) -> str:
    """What the emulator does for aggregates, of statements whose groups are the same to DuckDB."""
    rewritten: str = _aggregate_variants(group_by_places(bq_sql))
    return rewritten


def type_of_column(bq_type: str) -> str:
    """The DuckDB type; without one a column of structs is missing where a star is written out."""
    return _type_of_column(bq_type) or "UNKNOWN"


def first_select(body: Any) -> Any:
    """Of ``create table (columns) as``, whose query may stand in parentheses as dbt's does."""
    return _first_select(body.unnest() if body is not None else None)


def rewrite_for_row_access(bq_sql: str, *, catalog: Any, **context: Any) -> str:
    """Row access policies, and for their sake every view's text in place of its name.

    Without policies DuckDB's own views do: a model's statement is then half as long.
    """
    if not catalog.list_all_row_access_policies():
        return bq_sql
    rewritten: str = _rewrite_for_row_access(bq_sql, catalog=catalog, **context)
    return rewritten


def capture(self: SnapshotManager, *table: str, kind: str = "AUTO") -> Any:
    """No copy of the whole table for time travel after each statement and load; nobody here travels."""
    return _capture(self, *table, kind=kind) if kind != "AUTO" else None


def install() -> None:
    """Put every replacement in its place."""
    # Trees of a statement are garbage when it is done: looking for cycles in everything else every 700
    # objects took a fifth of the time.
    gc.set_threshold(50_000, 20, 50)
    nodes.deepcopy = copy_value
    Dialect.parse = parse_once
    DuckDBGenerator.TRANSFORMS[exp.DataType] = datatype
    translator.rewrite_aggregate_variants = aggregates
    for mark, places in ((only_reads, READERS), (forgets_what_it_changed, REWRITERS)):
        for module, names in places.items():
            for name in names:
                setattr(module, name, mark(getattr(module, name)))
    for module, names in READERS_OF_HEADS.items():
        for name in names:
            setattr(module, name, of_head(getattr(module, name)))
    ddl_sync._detect_plain_create_view = only_reads(detect_view)
    inner_query.build_catalog_schema = build_catalog_schema
    SQLTranslator.translate = translate_once
    # Made anew, with the rules that were registered meanwhile.
    executor._translator = SQLTranslator()
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = rewrite_names
    catalog_schema._safe_bq_to_duckdb = type_of_column
    create_table_schema_ctas._first_select = first_select
    inner_query.rewrite_for_row_access = rewrite_for_row_access
    inner_query.expand_information_schema = name_views
    information_schema._ts_literal = timestamp_literal
    information_schema._quote_for_option = option_value
    ScriptInterpreter.run = transactions.run
    ScriptInterpreter._handle_txn_statement = transactions.handle
    ScriptInterpreter._snapshot_dml_targets = transactions.snapshot
    ScriptInterpreter._drop_txn_snapshots = transactions.drop
    ScriptInterpreter._restore_txn_snapshots = transactions.restore
    SnapshotManager.capture = capture
    dry_runs.install()
    executor.parse_script = split_once
    jobs_once.install()
    not_asked_for.install()
    truncated_dates.install()
    reading_beside.install()
    resumed_reads.install()


if __name__ == "__main__":
    install()
    sys.exit(main())
