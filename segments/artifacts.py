"""The files made from the rules: the dbt macros, the JSON Schema for editors, the lock of versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from segments.compiler import compile_macros, compile_statement
from segments.rule import Rule
from segments.source import RuleBook
from segments.versions import LOCK_FILE, lock_text, locked, merged_lock
from segue.shipped import DBT_PROJECT_DIR

MACROS_FILE: Final = DBT_PROJECT_DIR / "macros/offer_rules.sql"
SCHEMA_FILE: Final = Path(__file__).parent / "rule.schema.json"

_HEAD: Final = """-- fmt: off
{# Made by `segue segments compile` from segments/rules, program.yml and steps.py; edit those. #}

"""


def artifacts(book: RuleBook, merged_file: Path | None = None) -> dict[Path, str]:
    """Each file with the content that belongs to ``book``; ``merged_file`` is the lock of what is merged.

    By default git is asked for it.

    Raises:
        RuleFilesError: a merged version was changed.
        StatementTooLongError: the rules do not fit into one statement.
    """
    compile_statement(book, "fct_account_features", "offer_contents", "true")
    schema = Rule.model_json_schema(by_alias=True) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Segment rule",
    }
    return {
        MACROS_FILE: _HEAD + compile_macros(book),
        SCHEMA_FILE: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        LOCK_FILE: lock_text(locked(book, merged_lock(merged_file))),
    }
