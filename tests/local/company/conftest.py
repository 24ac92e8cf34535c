"""One generated company for all tests of the room, and SQL over its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from loaders.landing.contracts import CONTRACTS
from local.company import CompanySpec, Manifest, generate

SPEC = CompanySpec(accounts=1_500, days=30, seed=11, end_date=date(2026, 4, 5))
"""Both continents change their clocks within these days; two chunks."""


@dataclass(frozen=True)
class Company:
    """A company's folder, its manifest, and SQL over landing tables and truth as views."""

    spec: CompanySpec
    folder: Path
    manifest: Manifest
    connection: duckdb.DuckDBPyConnection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The result of a query."""
        return self.connection.execute(sql).fetchall()

    def value(self, sql: str) -> Any:
        """The only value of a query's only row."""
        [[value]] = self.rows(sql)
        return value


def describe(spec: CompanySpec, folder: Path) -> Company:
    """Generate a company and put views over it, with each landing row's arrival day.

    ``canonical_events`` are the events of all providers as they tell them, from the company's own truth.
    """
    manifest = generate(spec, folder)
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for table in CONTRACTS:
        if any((folder / "landing" / table).glob("*/*.parquet")):
            connection.execute(
                f"create view {table} as select *, parse_path(filename)[-2]::date as arrival_date "
                f"from read_parquet('{folder}/landing/{table}/*/*.parquet', "
                "filename = true, union_by_name = true)"
            )
    for table in ("days", "subscription_intervals"):
        connection.execute(f"create view truth_{table} as from '{folder}/truth/{table}.parquet'")
    for table in ("impression_mistakes", "experiment_units"):
        connection.execute(f"create view {table} as from '{folder}/truth/{table}.parquet'")
    connection.execute(
        "create view canonical_events as select *, ingested_at::date as arrival_date "
        f"from '{folder}/truth/subscription_events.parquet'"
    )
    return Company(spec, folder, manifest, connection)


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company of two chunks of accounts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local.company.landing_files.CHUNK_ACCOUNTS", 1_000)
        return describe(SPEC, tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="session")
def large_company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company of the demo's size."""
    spec = CompanySpec(accounts=3_000, days=63, seed=2026, end_date=date(2026, 11, 25))
    return describe(spec, tmp_path_factory.mktemp("large-company"))


@pytest.fixture
def small_company(tmp_path: Path) -> Callable[[int], Company]:
    """The smallest company that knows every kind of dirt, by seed."""

    def make(seed: int) -> Company:
        return describe(CompanySpec(200, 14, seed, date(2026, 3, 31)), tmp_path / str(seed))

    return make
