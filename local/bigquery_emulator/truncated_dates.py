"""``date_trunc`` of a date is a date; DuckDB makes a timestamp of it.

The emulator knows this of an expression that is visibly a date, so what stands in ``date_trunc`` is cast to
one. Weeks that begin on Mondays are as DuckDB's own, and only the result is cast. Whether a column
is a timestamp, of which BigQuery makes a timestamp, nobody can tell here: ``timestamp_trunc`` is for that.
"""

from __future__ import annotations

from typing import Any

from bqemulator.sql.rules import TranslationRule, register
from sqlglot import exp
from sqlglot.parsers.bigquery import BigQueryParser

_SHORTER_THAN_A_DAY = {"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"}
_ISO_WEEK = "ISOWEEK"
_read_date_trunc = BigQueryParser.FUNCTIONS["DATE_TRUNC"]


def read_date_trunc(*arguments: Any, **options: Any) -> exp.Expression:
    """The call as a tree whose type is evident."""
    call: exp.Expression = _read_date_trunc(*arguments, **options)
    value, unit = call.this, call.args.get("unit")
    if unit is None or unit.name.upper() in _SHORTER_THAN_A_DAY or _is_instant(value):
        return call
    if isinstance(unit, exp.WeekStart) or unit.name.upper() == _ISO_WEEK:
        return exp.cast(call, "date")
    call.set("this", exp.cast(value, "date"))
    return call


def _is_instant(value: exp.Expression) -> bool:
    instants = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.DATETIME)
    return isinstance(value, exp.Timestamp | exp.CurrentTimestamp) or (
        isinstance(value, exp.Cast) and value.to.is_type(*instants)
    )


@register
class IsoWeek(TranslationRule):  # type: ignore[misc]
    """``timestamp_trunc(x, isoweek)``: DuckDB's weeks are those of ISO 8601, by another name."""

    name = "TIMESTAMP_TRUNC_ISOWEEK"

    def applies_to(self, node: exp.Expression) -> bool:
        """Whether it truncates to ISO weeks."""
        unit = node.args.get("unit")
        return (
            isinstance(node, exp.TimestampTrunc | exp.DateTrunc)
            and isinstance(unit, exp.Expression)
            and unit.name.upper() == _ISO_WEEK
        )

    def rewrite(self, node: exp.Expression) -> exp.Expression:
        """The same to weeks."""
        return exp.Anonymous(this="DATE_TRUNC", expressions=[exp.Literal.string("week"), node.this.copy()])


def install() -> None:
    """Put the reader in its place."""
    BigQueryParser.FUNCTIONS["DATE_TRUNC"] = read_date_trunc
