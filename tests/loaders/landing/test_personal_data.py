"""What lands of anybody stays in the rows: reasons, ledger, messages and logs name nobody."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.land import _ledger_row
from loaders.landing.read_days import too_many_refusals
from loaders.landing.reasons import column_name, shown
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, arrow_schema, columns_of
from local.company import CompanySpec, generate
from segue.settings import Settings
from tests.loaders.landing.delivered import DAY, Row, read_day

NOON: Final = f"{DAY}T12:00:00Z"
PLANTED: Final = (
    "anna.berg@example.com",
    "Anna Berg",
    "Berg",
    "+46701234567",
    "sub_1PgafmB7WZ01zgkW",
    "cus_NffrFeUfNV2Hib",
    "GPA.3345-1234-5678-90123",
    "2000000123456789",
)
TRACES: Final = ("anna", "berg", "example.com", "4670", "1pgafm", "nffr", "gpa.", "3345", "20000001")
"""Of any of them, in small letters: a value that is cut short is still somebody's."""
WITH_MESSAGES: Final = ("google_play_notifications", "app_store_notifications", "stripe_events")


def good_value(column: Column) -> Any:
    if column.allowed:
        return column.allowed[0]
    if column.kind is date:
        return str(DAY)
    if column.kind is datetime:
        return NOON
    if column.kind is bool:
        return False
    if column.kind in (int, Decimal):
        return "1"
    return next(each for each in ("aa", "SE", "SEK") if re.match(column.pattern or "", each))


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """Rows of providers' messages, a few of each feed."""
    folder = tmp_path_factory.mktemp("company")
    generate(CompanySpec(accounts=60, days=6, seed=5, end_date=DAY), folder)
    found: dict[str, list[Row]] = {}
    for table in WITH_MESSAGES:
        files = sorted((folder / "landing" / table).glob("*/*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        found[table] = [
            row | {"occurred_at": NOON, "ingested_at": NOON}
            for row in sorted(rows, key=lambda each: -len(each["payload"]))[:3]
        ]
    return found


def rows_of(contract: type[LandingRow], messages: dict[str, list[Row]]) -> list[Row]:
    """Good rows, and for each column and place inside a payload one in which every planted value stands."""
    good = messages.get(contract.table) or [{each.name: good_value(each) for each in columns_of(contract)}]
    planted = [
        row | {column.name: value} for row in good[:1] for column in columns_of(contract) for value in PLANTED
    ]
    for row in good:
        for name in ("payload", "purchase"):
            if contract.table in WITH_MESSAGES and row.get(name):
                planted += [row | {name: text} for text in with_planted(json.loads(row[name]))]
    return [*good, *planted]


def with_planted(payload: Any) -> Iterator[str]:
    for number, path in enumerate(paths_of(payload)):
        changed = copy.deepcopy(payload)
        inside = changed
        for key in path[:-1]:
            inside = inside[key]
        value = PLANTED[number % len(PLANTED)]
        inside[path[-1]] = value
        if isinstance(inside, dict):
            inside[value] = value
        yield json.dumps(changed)
    yield json.dumps(payload)[:-1] + f', "x": {PLANTED[0]}}}'
    yield PLANTED[0]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, each in inner for found in paths_of(each, (*path, key))]


def as_csv(rows: list[Row]) -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    # One row with a value more than the header, one with fewer.
    return sink.getvalue() + ",".join(PLANTED * 5) + f"\r\n{PLANTED[0]}\r\n"


def as_ndjson(rows: list[Row]) -> str:
    odd = [rows[0] | {each: each} for each in PLANTED]
    lines = [json.dumps(each) for each in [*rows, *odd]]
    return "\n".join([*lines, f'{{"{PLANTED[0]}": {PLANTED[1]}', f'["{PLANTED[0]}"]', PLANTED[0]])


def as_parquet(contract: type[LandingRow], rows: list[Row]) -> bytes:
    schema = pa.schema([pa.field(each.name, each.type) for each in arrow_schema(contract)])
    texts = [each.name for each in columns_of(contract) if each.kind is str]
    typed = contract.model_validate({**rows[0]}).model_dump()
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist([typed | {name: row.get(name) for name in texts} for row in rows], schema), sink
    )
    return sink.getvalue()


def told(root: Path, table: str, name: str, content: str | bytes) -> str:
    """All that anybody is told about a file but for the quarantined rows themselves."""
    folder = root / table / str(DAY)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    settings = Settings(_env_file=None)
    with capture_logs() as logs:
        try:
            read = read_day(root, table)
            reasons = [f"{column} {reason}" for column, reason in read.reasons]
            ledger = [
                str(_ledger_row(read.landing, None)["detail"]),
                *too_many_refusals(settings, read.landing),
            ]
            said = [*reasons, *ledger]
        except LandingError as error:
            said = [str(error)]
    (folder / name).unlink()
    return "\n".join([*said, *map(str, logs)])


def traces_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(trace in line.lower() for trace in TRACES)]


@pytest.mark.parametrize("table", CONTRACTS)
def test_nobody_is_named_whatever_lands_in_whatever_column(
    tmp_path: Path, messages: dict[str, list[Row]], table: str
) -> None:
    contract = CONTRACTS[table]
    rows = rows_of(contract, messages)
    for name, content in (
        ("a.ndjson", as_ndjson(rows)),
        ("a.csv", as_csv(rows)),
        ("a.parquet", as_parquet(contract, rows)),
    ):
        text = told(tmp_path, table, name, content)
        assert traces_in(text) == [], name
        assert name == "a.parquet" or "Input should be" in text


HEADER: Final = "ingested_at,day,currency,usd_rate"
RATE: Final = f"{NOON},{DAY},SEK,0.1"


@pytest.mark.parametrize("value", PLANTED)
def test_a_file_is_refused_by_its_place_and_not_by_what_is_in_it(tmp_path: Path, value: str) -> None:
    for name, content in {
        "an-address-is-no-column.csv": f"{HEADER},{value}\n{RATE},1\n",
        "twice.csv": f"{HEADER},{value},{value}\n{RATE},1,1\n",
        "no-header.csv": f"{value},{value}x,{NOON}\n",
        "quotes.csv": f'{HEADER}\n{RATE}\n"{value}"{value},1\n',
        "open.csv": f'{HEADER}\n{RATE}\n"{value},1\n',
        "zipped.csv.gz": f"{HEADER}\n{value}\n",
        "no.parquet": f"PAR1{value}PAR1",
    }.items():
        if value in ("Berg", "Anna Berg") and name in ("an-address-is-no-column.csv", "twice.csv"):
            continue  # Beside columns of the contract a word is the name of one.
        text = told(tmp_path, "fx_rates", name, content)
        assert name in text
        assert traces_in(text.replace(name, "")) == []


def test_an_amount_in_somebodys_currency_names_nobody(tmp_path: Path) -> None:
    contract = CONTRACTS["payments"]
    row = {each.name: good_value(each) for each in columns_of(contract)}
    typed = contract.model_validate(row).model_dump() | {
        "amount": Decimal("2000000.5"),
        "currency": PLANTED[0],
    }
    schema = pa.schema([pa.field(each.name, each.type) for each in arrow_schema(contract)])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([typed], schema), sink)
    text = told(tmp_path, "payments", "a.parquet", sink.getvalue())
    assert "amount 2000000.5 is above what an amount of its currency may be" in text


@pytest.mark.parametrize(
    ("value", "as_figure", "as_code"),
    [
        ("boosted", "", "'boosted'"),
        ("GBP", "", "'GBP'"),
        ("Anna", "", ""),
        ("anna@example.com", "", ""),
        ("sub_1PgafmB7WZ01zgkW", "", ""),
        ("12.50", "'12.50'", ""),
        ("4670123456", "", ""),
        (4_670_123_456, "", ""),
        ("070-123 45 67", "", ""),
        ("2026-02-30", "'2026-02-30'", ""),
        ("31/01/2026", "'31/01/2026'", ""),
        ("2026-02-30T12:00:00.123456+01:00", "'2026-02-30T12:00:00.123456+01:00'", ""),
        (date(2026, 2, 3), "2026-02-03", "2026-02-03"),
        (True, "True", "True"),
        ({"a": 1}, "", ""),
    ],
)
def test_a_value_is_shown_where_it_can_only_be_a_number_a_time_or_a_word(
    value: Any, as_figure: str, as_code: str
) -> None:
    assert (shown(value), shown(value, is_code=True)) == (as_figure, as_code)
    assert shown(value, is_free_text=True) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("usd_rate", "usd_rate"),
        ("Amount net", "Amount net"),
        ("address_2", "address_2"),
        ("d\udce9y", r"d\udce9y"),
        ("anna@example.com", ""),
        ("sub_1234567", ""),
        ("2026-03-10", ""),
    ],
)
def test_a_column_is_named_where_its_name_can_be_one(name: str, said: str) -> None:
    assert column_name(name) == said
