"""The example queries for analysts run, and find what they say they find."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from loaders.experiments.readouts import ensure_readouts
from loaders.warehouse.ops import ensure_ops_tables
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Warehouse

PAGE = (PROJECT_ROOT / "docs" / "queries.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def marts(march: Warehouse) -> Warehouse:
    """March with its operational tables; its audit dataset stands for the published marts."""
    ensure_ops_tables(march.warehouse)
    ensure_readouts(march.warehouse, "audit_20260305")
    return march


def answer(marts: Warehouse, query: str) -> list[dict[str, object]]:
    return [dict(row) for row in marts.query(query.replace("marts.", "audit_20260305."))]


@pytest.mark.parametrize("query", QUERIES, ids=[query.split()[1].rstrip(",") for query in QUERIES])
def test_an_example_query_answers(marts: Warehouse, query: str) -> None:
    rows = answer(marts, query)

    # Nothing was published here, so that nothing could be restated, and nobody was in an experiment.
    assert rows or "from ops." in query or "experiment" in query


def test_the_movements_explain_every_close(marts: Warehouse) -> None:
    [identity] = [query for query in QUERIES if "unexplained_usd" in query]

    rows = answer(marts, identity)
    assert [row["unexplained_usd"] for row in rows] == [Decimal(0)] * 4


def test_the_bridge_explains_all_between_cash_and_mrr(marts: Warehouse) -> None:
    [bridge] = [query for query in QUERIES if "gap_usd" in query]

    assert [row["gap_usd"] for row in answer(marts, bridge)] == [Decimal(0)]


def test_every_scan_of_a_mart_names_its_days() -> None:
    for query in QUERIES:
        for table in re.findall(r"from (?:marts|ops)\.(?!dim_)\w+\n\s*(.*)", query):
            assert re.match(r"where (\w+_date|activity_month) ", table), query
