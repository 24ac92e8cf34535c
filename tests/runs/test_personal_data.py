"""What stands in rows stays in the warehouse: no log, error, alert or task's message names anybody."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.outcome import ExpectationOutcome
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.rows import Refused
from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from runs.dbt import BuildError, build
from segue.settings import DBT_PROJECT_DIR, Settings
from segue.window import RunWindow
from tests.company_in_order import CompanyInOrder

DAY = date(2026, 3, 2)
WHO = "anna.berg@example.com"
TRACES = ("anna", "berg", "example.com")


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    """One table with somebody in it."""
    made = warehouse_of(world("nobody-named"))
    made.ensure_dataset("raw")
    made.run(f"create table raw.people as select '{WHO}' as email")
    return made


def names_nobody(text: str) -> bool:
    return not any(trace in text.lower() for trace in TRACES)


def test_a_statement_that_fails_on_a_row_says_what_is_wrong_and_not_whose_row_it_is(
    warehouse: Warehouse,
) -> None:
    with pytest.raises(WarehouseError) as failed:
        warehouse.run("select cast(email as int64) as n from raw.people")

    assert names_nobody(str(failed.value))
    assert "INT64" in str(failed.value)


def test_so_does_a_model_and_dbt_writes_no_log_of_its_own(
    warehouse: Warehouse, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    shutil.copy(DBT_PROJECT_DIR / "profiles.yml", project)
    (project / "dbt_project.yml").write_text("{name: one_model, profile: segue}")
    (project / "models/people.sql").write_text(
        "{{ config(materialized='table') }} select cast(email as int64) as n from raw.people"
    )
    settings = warehouse.settings.model_copy(update={"dbt_project_dir": project})

    with pytest.raises(BuildError) as failed:
        build(settings, RunWindow.whole(settings, DAY, DAY))

    assert str(failed.value).splitlines()[0] == "dbt build: 1 node(s) failed"
    assert "model people: error: " in str(failed.value)
    assert names_nobody(str(failed.value) + "".join(capfd.readouterr()))
    files = [file for file in settings.state_dir.rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if WHO in file.read_text(errors="replace")] == []


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        (f"['{WHO}', 'SE']", "observed ['…', 'SE']"),
        (WHO, "observed …"),
        ("Anna", "observed …"),
        ("Anna Berg", "observed …"),
        (f"(DatabaseError) 400 Bad int64 value: {WHO}", "observed (DatabaseError) 400 Bad int64 value: …"),
        ("0.25", "observed 0.25"),
        ("2026-03-02", "observed 2026-03-02"),
    ],
)
def test_what_an_expectation_observed_is_told_where_it_is_a_number_or_a_day(observed: str, told: str) -> None:
    sample = json.dumps([{"account_id": WHO, "market": "SE"}])
    outcome = ExpectationOutcome("dim_account", "known", "market", "critical", False, None, observed, sample)

    assert outcome.describe().startswith(f"[critical] dim_account.market: known, {told}, 1 sample key(s)")
    assert outcome.describe().endswith("(SE)")


@pytest.mark.parametrize(
    "reason",
    [
        f"Error while mutating the row '1f3a#{WHO}' (projects/p/instances/i/tables/offers)",
        f"no room for 1f3a#{WHO}",
        f"{WHO} is too long",
    ],
)
def test_a_load_that_is_refused_says_why_and_not_of_whom(reason: str) -> None:
    row = Refused(f"1f3a#{WHO}".encode(), "INVALID_ARGUMENT", reason)
    error = LoadError(LoadCode.REFUSED, f"one of them with: {row.told}", {row.code: 1})

    assert row.account_id == WHO
    assert Refused(b"", "INVALID_ARGUMENT", "no room").told == "no room"
    assert names_nobody(str(error))
    assert str(error).endswith("INVALID_ARGUMENT: 1")


def test_whoever_landed_is_in_no_line_that_whole_runs_log_tell_or_hand_over(
    company_in_order: CompanyInOrder,
) -> None:
    landing = Path(company_in_order.settings.landing_files_root.removeprefix("file://"))
    ids = {
        value
        for file in sorted(landing.rglob("*.parquet"))
        for table in [pq.read_table(file)]
        for name in {"account_id", "subscription_id", "payment_id", "click_id"}.intersection(
            table.column_names
        )
        for value in table.column(name).to_pylist()
        if value
    }
    watched, lineage = company_in_order.watched, company_in_order.lineage
    told = "\n".join(
        [*company_in_order.logged, str(watched.spans), str(watched.metrics), str(lineage.events)]
    )

    assert len(ids) > 1_000
    assert company_in_order.logged != []
    assert [value for value in ids if value in told] == []
