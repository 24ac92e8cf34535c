"""The landing files: deterministic, complete, and as their contracts say, but for the known refused rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from loaders.landing.contracts import CONTRACTS
from loaders.landing.row import LandingRow, NotAfterArrival, NotBefore
from local.company import CompanySpec, generate
from tests.local.company.conftest import Company
from tests.pages import typed

DAYS = [f"2026-03-{day:02d}" for day in range(7, 32)] + [f"2026-04-{day:02d}" for day in range(1, 6)]


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def is_ahead(value: datetime, ingested_at: datetime, rule: NotAfterArrival) -> bool:
    return value > ingested_at + timedelta(hours=rule.tolerance_hours)


def keeps_contract(contract: type[LandingRow], row: dict[str, Any]) -> bool:
    try:
        contract.model_validate(row)
    except ValidationError:
        return False
    for rule in contract.rules:
        value = row[rule.column]
        if isinstance(rule, NotBefore):
            if value is not None and row[rule.other] is not None and value < row[rule.other]:
                return False
        elif isinstance(rule, NotAfterArrival) and is_ahead(value, row["ingested_at"], rule):
            return False
    return True


def test_the_same_spec_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    spec = CompanySpec(accounts=200, days=14, seed=5, end_date=date(2026, 3, 31))
    generate(spec, tmp_path / "one")
    generate(spec, tmp_path / "two")
    generate(CompanySpec(200, 14, 6, date(2026, 3, 31)), tmp_path / "other")

    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert hashes(tmp_path / "one") != hashes(tmp_path / "other")


def test_a_company_replaces_an_earlier_one_in_its_folder(tmp_path: Path) -> None:
    generate(CompanySpec(50, 5, 1, date(2026, 3, 31)), tmp_path / "out")
    spec = CompanySpec(50, 3, 1, date(2026, 3, 31))
    generate(spec, tmp_path / "out")
    generate(spec, tmp_path / "fresh")

    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_progress_counts_accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("local.company.landing_files.CHUNK_ACCOUNTS", 20)
    told: list[tuple[int, int]] = []
    generate(CompanySpec(50, 2, 1, date(2026, 3, 31)), tmp_path, on_progress=lambda *n: told.append(n))

    assert told == [(20, 50), (40, 50), (50, 50)]


def test_a_company_of_one_account_on_one_day_is_a_company(tmp_path: Path) -> None:
    manifest = generate(CompanySpec(1, 1, 1, date(2026, 3, 31)), tmp_path)

    assert manifest.rows["accounts"] == 1
    with pytest.raises(ValueError, match="at least one account"):
        CompanySpec(0, 1, 1, date(2026, 3, 31))


@pytest.mark.parametrize("table", list(CONTRACTS))
def test_every_day_has_a_file_unless_the_contract_lets_it_be_absent(company: Company, table: str) -> None:
    found = {path.name for path in (company.folder / "landing" / table).glob("*")}

    if CONTRACTS[table].may_be_absent:
        assert found <= set(DAYS)
    else:
        assert found == set(DAYS)


def arrow_type(annotation: Any) -> pa.DataType:
    text = str(annotation)
    for name, kind in (
        ("Decimal", pa.decimal128(38, 9)),
        ("Aware", pa.timestamp("us", "UTC")),
        ("datetime.date", pa.date32()),
        ("bool", pa.bool_()),
        ("int", pa.int64()),
    ):
        if name in text.replace("Interval", ""):
            return kind
    return pa.string()


@pytest.mark.parametrize("table", list(CONTRACTS))
def test_columns_have_the_contracts_names_and_types(company: Company, table: str) -> None:
    hints = get_type_hints(CONTRACTS[table])
    expected = {
        name: arrow_type(get_args(hints[name]) or hints[name]) for name in CONTRACTS[table].model_fields
    }

    for path in (company.folder / "landing" / table).glob("*/*.parquet"):
        schema = pq.read_schema(path)
        found = dict(zip(schema.names, schema.types, strict=True))
        lacks_a_column = table == "engagement_daily" and "2026-03-09/part-00000" in str(path)
        assert found == {
            name: kind for name, kind in expected.items() if not (lacks_a_column and name == "skips_blocked")
        }, path


@pytest.mark.parametrize("table", list(CONTRACTS))
def test_exactly_the_manifests_rows_break_the_contract(company: Company, table: str) -> None:
    rows, refused = Counter[str](), Counter[str]()
    for path in sorted((company.folder / "landing" / table).glob("*/*.parquet")):
        for row in pq.read_table(path).to_pylist():
            rows[path.parent.name] += 1
            assert str(row["ingested_at"].date()) == path.parent.name
            refused[path.parent.name] += not keeps_contract(CONTRACTS[table], row)

    assert +refused == company.manifest.quarantined.get(table, Counter())
    assert rows == +company.manifest.rows_by_day[table]
    assert rows.total() == company.manifest.rows[table]


@pytest.mark.parametrize("table", [name for name, contract in CONTRACTS.items() if name != "accounts"])
def test_keys_repeat_only_where_the_manifest_says_so(company: Company, table: str) -> None:
    if table not in company.manifest.rows:
        return
    key = ", ".join(CONTRACTS[table].key)
    repeated = company.value(f"select count(*) - count(distinct ({key})) from {table}")
    by_day = company.manifest.dirty_by_day
    known = sum(
        by_day[kind][table].total()
        for kind in ("exact_duplicates", "redeliveries", "absurd_playing_times")
        if table in by_day[kind]
    )
    assert repeated == known


def test_volumes_are_plausible(company: Company) -> None:
    accounts = company.spec.accounts
    account_days = company.value(
        "select sum(date_diff('day', greatest(created_at::date, date '2026-03-07'), date '2026-04-06')) "
        "from (select account_id, min(created_at) as created_at from accounts group by 1)"
    )
    subscribed = company.value("select count(distinct account_id) from canonical_events")

    assert 0.25 < subscribed / accounts < 0.4
    assert 0.25 < company.manifest.rows["engagement_daily"] / account_days < 0.4
    # Where surfaces ask what was decided, most visits see no offer.
    assert 0.05 < company.manifest.rows["offer_impressions"] / account_days < 0.1


def test_plans_of_every_rhythm_are_sold(company: Company) -> None:
    sold = company.rows(
        "select interval, interval_count from canonical_events where event_type = 'started' "
        "group by 1, 2 having count(*) > 3 order by 1, 2"
    )

    assert sold == [("month", 1), ("month", 3), ("week", 1), ("week", 4), ("year", 1)]


def test_what_one_subject_draws_moves_no_number_of_another() -> None:
    spec = CompanySpec(accounts=1, days=1, seed=3, end_date=date(2026, 3, 31))
    people, lives = spec.stream("people"), spec.stream("lives")
    people.random(1_000)

    assert lives.random() == spec.stream("lives").random()
    assert (
        len({spec.stream(subject, chunk).random() for subject in ("people", "lives") for chunk in (0, 1)})
        == 4
    )


def test_exchange_rates_cover_every_currency_and_day(company: Company) -> None:
    assert company.rows(
        "select currency, count(distinct day), count(*) filter (day = arrival_date) "
        "from fx_rates group by 1 order by 1"
    ) == [(currency, 30, 30) for currency in ("BRL", "EUR", "GBP", "INR", "JPY", "MXN", "USD")]
    assert company.rows("select distinct usd_rate::double from fx_rates where currency = 'USD'") == [(1.0,)]
    assert company.value("select count(*) from fx_rates where usd_rate <> round(usd_rate, 6)") == 0


def test_a_price_changes_once_within_the_window(company: Company) -> None:
    assert company.rows(
        "select plan_id, market, valid_from, arrival_date, price_amount::double from plan_prices "
        "where valid_from >= date '2026-03-07'"
    ) == [("individual-month", "US", date(2026, 3, 22), date(2026, 3, 22), 11.99)]


def test_the_command_prints_the_manifest_as_json(tmp_path: Path) -> None:
    from cli import app

    of_the_page = "segue company --accounts 1000 --days 28 --seed 1 --out company"
    here = {"1000": 200, "28": 14, "1": 5, "company": tmp_path}
    command = typed("README.md", of_the_page, here)
    result = CliRunner().invoke(app, [*command, "--end-date", "2026-03-31", "--json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((tmp_path / "manifest.json").read_text())
    assert "200 of 200 accounts" in result.stderr
