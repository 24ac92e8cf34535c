"""NUMERIC has 38 digits, nine of them decimals; DuckDB's DECIMAL has 18 and three unless it is told."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.generators.duckdb import DuckDBGenerator

_datatype = DuckDBGenerator.TRANSFORMS[exp.DataType]


def datatype(generator: Any, node: exp.DataType) -> str:
    """The name of a type; a statement that is rewritten has lost the digits of its own casts too."""
    if node.this == exp.DType.DECIMAL and not node.expressions:
        return "DECIMAL(38, 9)"
    name: str = _datatype(generator, node)
    return name
