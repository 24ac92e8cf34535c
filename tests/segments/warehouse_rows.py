"""Python rows as a GoogleSQL subquery, so that a statement can be run on them without a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from segments.features import FEATURES

_KINDS = {"number": "int64", "text": "string", "flag": "bool", "date": "date"}
EXPOSURE_TYPE = (
    "struct<offer_id string, impressions_7d int64, impressions_28d int64, last_shown_date date, "
    "last_clicked_date date, last_converted_date date>"
)
SCORE_TYPE = "struct<model string, score_points int64, scored_date date>"
FEATURE_TYPES = {name: _KINDS[kind] for name, kind in FEATURES.items()} | {
    "feature_date": "date",
    "account_id": "string",
    "is_test_account": "bool",
    "is_deletion_requested": "bool",
    "is_marketing_withdrawn": "bool",
    "is_personalisation_withdrawn": "bool",
    "offer_exposures": f"array<{EXPOSURE_TYPE}>",
    "model_scores": f"array<{SCORE_TYPE}>",
}
CONTENT_TYPES = {
    "feature_date": "date",
    "entry_id": "string",
    "locale": "string",
    "content_version": "int64",
    "is_published": "bool",
    "valid_from_at": "timestamp",
    "valid_until_at": "timestamp",
}


def subquery(types: dict[str, str], rows: Sequence[dict[str, Any]]) -> str:
    """``(select … from unnest([…]))`` with these rows; there may be none."""
    fields = ", ".join(f"{name} {kind}" for name, kind in types.items())
    literals = ",\n".join(_tuple(row[name] for name in types) for row in rows)
    columns = ", ".join(f"row_.{name}" for name in types)
    return f"(select {columns} from unnest(array<struct<{fields}>>[\n{literals}\n]) as row_)"


def _tuple(values: Any) -> str:
    return "(" + ", ".join(_literal(value) for value in values) + ")"


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool() | int():
            return str(value).lower()
        case datetime():
            return f"timestamp '{value.isoformat()}'"
        case date():
            return f"date '{value.isoformat()}'"
        case list():
            return "[" + ", ".join(_tuple(item.values()) for item in value) + "]"
    return "'" + str(value).replace("'", "\\'") + "'"
