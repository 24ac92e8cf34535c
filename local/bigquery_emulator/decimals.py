"""NUMERIC has 38 digits, nine of them decimals; DuckDB's DECIMAL has 18 and three unless it is told.

BIGNUMERIC has 76 digits, and DuckDB's DECIMAL never more than 38; here twelve of these are decimals.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from bqemulator.storage import arrow_bridge, type_map
from sqlglot import exp
from sqlglot.generators.duckdb import DuckDBGenerator

BIGNUMERIC = "DECIMAL(38, 12)"
# What tables are created with over REST; too many digits for DuckDB otherwise.
type_map._BQ_TO_DUCKDB["BIGNUMERIC"] = BIGNUMERIC

# As what the columns of a query's tables and views are described; with more decimals they are products of
# NUMERIC, which are NUMERIC.
arrow_bridge._ARROW_SCALAR_TO_BQ_NAME = (
    (lambda kind: pa.types.is_decimal(kind) and kind.scale == 12, "BIGNUMERIC"),
    *arrow_bridge._ARROW_SCALAR_TO_BQ_NAME,
)

_datatype = DuckDBGenerator.TRANSFORMS[exp.DataType]


def datatype(generator: Any, node: exp.DataType) -> str:
    """The name of a type; a statement that is rewritten has lost the digits of its own casts too."""
    if node.this == exp.DType.DECIMAL and not node.expressions:
        return "DECIMAL(38, 9)"
    if node.this == exp.DType.BIGDECIMAL and not node.expressions:
        return BIGNUMERIC
    name: str = _datatype(generator, node)
    return name
