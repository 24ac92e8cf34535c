"""A dry run tells a statement's kind and the place of a wrong name, and runs nothing but a query.

The emulator looks at the first statement of several, does not know a union for a query, and runs whatever it
does not know to find its columns. BigQuery calls several statements a script, and a dry run changes nothing.
Of names the emulator says what DuckDB does, which knows the translated text only.
"""

from __future__ import annotations

import re
from typing import Any

from bqemulator.api.routes import jobs
from bqemulator.jobs import executor
from bqemulator.scripting.ast import SqlStmt
from bqemulator.scripting.parser import parse_script
from sqlglot import exp

_classify = executor.classify_statement_type
_WITHOUT_SIDE_EFFECTS = {"SELECT", ""}
"""What is run to find its columns; no name: what cannot be parsed, and fails."""

_NAMES = (
    (re.compile(r'Referenced column "(?P<name>[^"]+)"'), "Unrecognized name: {name}"),
    (
        re.compile(r'Table "(?P<table>[^"]+)" does not have a column named "(?P<name>[^"]+)"'),
        "Name {name} not found inside {table}",
    ),
    (
        re.compile(r'column "(?P<name>[^"]+)" must appear in the GROUP BY clause'),
        "SELECT list expression references column {name} which is neither grouped nor aggregated",
    ),
)
"""What DuckDB says of a name, and BigQuery's words for it."""
_rewrite_for_dry_run = jobs._rewrite_for_dry_run


class _NotRun(frozenset[str]):
    """Every kind but a query."""

    def __contains__(self, kind: object) -> bool:
        return kind not in _WITHOUT_SIDE_EFFECTS


def statement_type(bq_sql: str) -> str:
    """BigQuery's ``statementType``."""
    script = parse_script(bq_sql)
    if len(script.statements) != 1 or not isinstance(script.statements[0], SqlStmt):
        return "SCRIPT"
    known: str = _classify(bq_sql)
    if known:
        return known
    tree = executor._parse_for_classification(bq_sql)
    if tree is None:
        return ""
    return "SELECT" if isinstance(tree, exp.Query) else str(tree.key).upper()


def name_the_place(exc: Any, *, bq_sql: str) -> None:
    """``_rewrite_for_dry_run``, and for a wrong name the place where it stands first."""
    _rewrite_for_dry_run(exc, bq_sql=bq_sql)
    for pattern, words in _NAMES:
        if found := pattern.search(exc.message):
            exc.message = words.format(**found.groupdict())
            if at := re.search(rf"\b{re.escape(found['name'])}\b", bq_sql, re.IGNORECASE):
                line, column = (
                    bq_sql.count("\n", 0, at.start()) + 1,
                    at.start() - bq_sql.rfind("\n", 0, at.start()),
                )
                exc.message += f" at [{line}:{column}]"
            exc.args = (exc.message,)
            return


def install() -> None:
    """Put the replacements in their place."""
    jobs.classify_statement_type = statement_type
    jobs._rewrite_for_dry_run = name_the_place
    jobs._DESTRUCTIVE_STATEMENT_TYPES = _NotRun()
