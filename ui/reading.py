"""What pages ask the warehouse: side by side, and nothing of tables that are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, TypeAlias

from google.cloud import bigquery

from loaders.warehouse.client import QueryParameter, Warehouse

Row: TypeAlias = Mapping[str, Any]
Question: TypeAlias = Callable[[], list[Row]]

_SIDE_BY_SIDE: Final = 4


class Reading:
    """The questions of one page."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.settings = warehouse.settings
        self._tables = lru_cache(warehouse.table_names)

    def has(self, dataset: str, table: str) -> bool:
        """Whether there is such a table: before the first run there is none."""
        return table in self._tables(dataset)

    def rows(self, sql: str, tables: Mapping[str, str], *parameters: QueryParameter) -> list[Row]:
        """The rows of a query in which ``{name}`` stands for the table of that name in the dataset that
        ``tables`` gives for it; none while one of them is missing.

        Raises:
            WarehouseError: it failed, or would be billed for more than the warehouse's settings allow.
        """
        if not all(self.has(dataset, name) for name, dataset in tables.items()):
            return []
        names = {name: f"`{self.warehouse.table(dataset, name)}`" for name, dataset in tables.items()}
        found = self.warehouse.run(sql.format(**names), parameters=parameters)
        return [dict(row) for row in found]

    def ops(self, sql: str, table: str, *parameters: QueryParameter) -> list[Row]:
        """As ``rows``, of one operational table."""
        return self.rows(sql, {table: self.settings.ops_dataset}, *parameters)

    def together(self, questions: Mapping[str, Question]) -> dict[str, list[Row]]:
        """The answers by name, asked at the same time."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            asked = {name: pool.submit(question) for name, question in questions.items()}
            return {name: each.result() for name, each in asked.items()}


def text(name: str, value: str) -> QueryParameter:
    """What a person typed, as a parameter."""
    return bigquery.ScalarQueryParameter(name, "STRING", value)
