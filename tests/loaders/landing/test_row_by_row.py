# ruff: noqa: E501 - lists of odd values read better in rows
"""Checking columns says what checking row by row says: the same rows accepted, others refused in the same words."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
from base64 import b64encode
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loaders.landing import csv_cells, json_lines
from loaders.landing.arrays import bytes_of_each
from loaders.landing.batch import Batch
from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.delivery import Receipt
from loaders.landing.errors import LandingError
from loaders.landing.files import LandingFile, read_batches
from loaders.landing.notifications.payload_structs import doubtful_texts
from loaders.landing.notifications.signatures import AppStoreSignatures
from loaders.landing.row import LandingRow
from loaders.landing.schema import Column, arrow_schema, columns_of
from loaders.landing.subjects import names_in, rows_of
from loaders.warehouse.erasures import KINDS, ErasedSubjects, subject_hash
from local.bench.row_by_row import read_and_split
from local.company import CompanySpec, generate
from segue.settings import Settings
from tests.loaders.landing.test_check import batch, values_of

DAY = date(2026, 3, 29)
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
RECEIPT = Receipt(DAY, AppStoreSignatures().open)
NOTIFICATIONS = ("google_play_notifications", "app_store_notifications", "stripe_events")
Row = dict[str, Any]


ORDER = json.dumps(
    {
        "orderId": "GPA.1",
        "purchaseToken": "t1",
        "lineItems": [
            {
                "productId": "basic-month",
                "listingPrice": {"currencyCode": "EUR", "units": "4", "nanos": 990_000_000},
                "subscriptionDetails": {
                    "servicePeriodStartTime": "2026-03-29T11:00:00Z",
                    "servicePeriodEndTime": "2026-04-29T11:00:00Z",
                },
            }
        ],
    }
)
"""A payload that receivers need not fetch, and the company's does not."""


class Told(dict[str, list[Row]]):
    """Rows by table; short in a report."""

    def __repr__(self) -> str:
        return "told"


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of rows is read in several pieces and batches."""
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 4_000)
    monkeypatch.setattr(csv_cells, "_BLOCK_BYTES", 1_500)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the providers of a generated company tell, by table: one row of each shape."""
    folder = tmp_path_factory.mktemp("company")
    generate(CompanySpec(accounts=400, days=20, seed=5, end_date=DAY), folder)
    shapes: dict[str, dict[Any, Row]] = {table: {} for table in NOTIFICATIONS}
    for table in NOTIFICATIONS:
        for file in sorted((folder / "landing" / table).glob("*/*.parquet")):
            for row in pq.read_table(file).to_pylist():
                objects = [json.loads(row[name]) for name in ("payload", "purchase") if row.get(name)]
                shapes[table].setdefault(str([shape_of(each) for each in objects]), row)
    return Told({table: list(rows.values()) for table, rows in shapes.items()})


def shape_of(value: Any) -> Any:
    """Keys, and the values of what has few: enough to tell one kind of notification from another."""
    if isinstance(value, dict):
        return {key: shape_of(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape_of(each) for each in value]
    return value if isinstance(value, str) and value.isupper() else type(value).__name__


def landed(contract: type[LandingRow], file: LandingFile) -> tuple[list[Row], list[tuple[Any, ...]]]:
    return _sorted(
        split(contract, _with_kinds_as_row_by_row(contract, batch), DAY, file.name)
        for batch in read_batches(contract, file)
    )


def _with_kinds_as_row_by_row(contract: type[LandingRow], read: Batch) -> Batch:
    if contract.message_kind:
        assert read.kinds_of_rows is not None
        found = [read.kinds_of_rows.kinds[code] for code in read.kinds_of_rows.codes]
        assert found == [contract.message_kind.of_row(row) for row in read.rows.to_pylist()]
    return read


def landed_row_by_row(
    contract: type[LandingRow], file: LandingFile
) -> tuple[list[Row], list[tuple[Any, ...]]]:
    return _sorted(read_and_split(contract, file, DAY))


def _sorted(parts: Any) -> tuple[list[Row], list[tuple[Any, ...]]]:
    accepted: list[Row] = []
    refused: list[tuple[Any, ...]] = []
    for rows, refusals in parts:
        accepted += rows.to_pylist()
        refused += [(each.row, each.file, each.column, each.reason, each.payload) for each in refusals]
    return sorted(accepted, key=lambda row: row["landing_row"]), sorted(refused)


def agree(contract: type[LandingRow], name: str, content: bytes, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)

    def told_by(land: Any) -> Any:
        try:
            return land(contract, LandingFile(name, pa.OSFile(str(path)), RECEIPT))
        except LandingError as error:
            return str(error)

    assert _as_json(contract, told_by(landed)) == _as_json(contract, told_by(landed_row_by_row))


def _as_json(contract: type[LandingRow], told: Any) -> Any:
    """With the payloads of accepted rows as what they say: row by row, objects are written anew."""
    if isinstance(told, str):
        return told
    accepted, refused = told
    payloads = [column.name for column in columns_of(contract) if column.json]
    said = [{name: row[name] and json.loads(row[name]) for name in payloads} for row in accepted]
    return [row | each for row, each in zip(accepted, said, strict=True)], refused


def as_parquet(contract: type[LandingRow], rows: list[Row]) -> bytes:
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


ODD_VALUES = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 7, 990_000_000, 10**12, 2**63, 2**70, 1.0, 2.5, 1e300, -0.0,
        "", "x", "EUR", "eur", "9", "2026-02-30T00:00:00Z", "2024-02-29T23:59:59.123456789Z", "1969-01-01T00:00:00Z",
        "2026-03-29T24:00:00Z", "a" * 129, "é" * 128, "a" * 1025, "TEST", "VOLUNTARY", "null", "\x00", "😀",
        "customer.subscription.updated", "invoice.paid", "charge.refunded", "subscription_cycle", "refund.failed",
        [], {}, [None], [{}], {"a": 1},
    ]
)  # fmt: skip
ODD_TEXTS = st.sampled_from(
    [
        "", "{", "{}", "[]", "null", "3", '"x"', "nan", "\ufeff{}", '{"testNotification": {}}', "{} {}", "{}\n{}",
        '{"a": 1}}{"p": {"a": 2}', '{"testNotification": {}, "x": NaN}', '{"testNotification": {"y": -Infinity}}',
        '{"testNotification": {}, "transactionInfo": "Info"}', '{"testNotification": {}, "testNotification": null}',
        '{"testNotification": {}, "z": [' + "[" * 210 + "]" * 210 + "]}",
        '{"testNotification": {}, "z": [' + "[" * 140 + "]" * 140 + "]}",
        '{"testNotification": {}, "z": "\\ud800"}', '{"testNotification": {}, "z": 1e999}',
        '{"testNotification": {}, "z": ' + "9" * 400 + "}", '{"notificationType": "TEST"} x',
        '{\n "notificationType": "TEST",\r\n "subtype": null\n}', '{"notificationType": "T\\u0045ST"}',
        '{"notification\\u0054ype": "TEST"}', '{"notificationType": "TEST", "data": null}',
    ]
)  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, each in inner for found in paths_of(each, (*path, key))]


@st.composite
def payloads(draw: st.DrawFn, good: list[str]) -> str:
    """A good text, or one that is good but for a change or two, or no such thing at all."""
    text = draw(st.sampled_from(good))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(ODD_TEXTS)
    value = json.loads(text)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2]))):
        paths = paths_of(value)
        if not paths:
            break
        *outer, key = draw(st.sampled_from(paths))
        holder = value
        for each in outer:
            holder = holder[each]
        change = draw(st.sampled_from(["put", "put", "put", "drop", "twice", "other"]))
        if change == "put":
            holder[key] = copy.deepcopy(draw(ODD_VALUES))
        elif change == "drop":
            del holder[key]
        elif change == "twice" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            other = value
            for each in draw(st.sampled_from(paths)):
                if not isinstance(other, dict | list) or (isinstance(other, dict) and each not in other):
                    break
                if isinstance(other, list) and each >= len(other):
                    break
                other = other[each]
            holder[key] = copy.deepcopy(other)
    indent, ascii_only = draw(st.sampled_from([None, None, None, 1])), draw(st.booleans())
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if kind == 1:
        cut = draw(st.integers(0, len(written)))
        written = written[:cut] + draw(st.sampled_from(["", " ", '"', "}", ",", "\\", "\n"])) + written[cut:]
    return written


def row_of(good: list[Row], contract: type[LandingRow]) -> st.SearchStrategy[Row]:
    """A notification of the table with good or bad payloads, at noon."""
    texts = {
        column.name: payloads([row[column.name] for row in good if row[column.name]] or [ORDER])
        for column in columns_of(contract)
        if column.json
    }
    for name in texts.keys() - {"payload"}:
        texts[name] = st.one_of(texts[name], texts[name], st.none())
    base = st.sampled_from(good).map(lambda row: row | {"ingested_at": NOON, "occurred_at": NOON})
    return st.tuples(base, st.fixed_dictionaries(texts)).map(lambda drawn: drawn[0] | drawn[1])


SEEDS = int(os.environ.get("SEGUE_SOAK_SEEDS", "2"))
PLAIN = [table for table in CONTRACTS if table not in NOTIFICATIONS]
FEW = settings(
    max_examples=15 * SEEDS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


@FEW
@given(table=st.sampled_from(NOTIFICATIONS), data=st.data())
def test_notifications_in_parquet(table: str, told: Told, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(row_of(told[table], contract), min_size=1, max_size=8))
    agree(contract, "n.parquet", as_parquet(contract, rows), tmp_path)


@FEW
@given(table=st.sampled_from(NOTIFICATIONS), data=st.data())
def test_notifications_in_json_lines(table: str, told: Told, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(row_of(told[table], contract), min_size=1, max_size=8))
    lines = []
    for row in rows:
        for column in columns_of(contract):
            if column.json and row[column.name] and data.draw(st.integers(0, 2)):
                try:
                    row[column.name] = json.loads(row[column.name])
                except ValueError:
                    break
        lines.append(json.dumps(data.draw(as_sent(table, row)), default=str))
    agree(contract, "n.ndjson", "\n".join(lines).encode(), tmp_path)


@st.composite
def as_sent(draw: st.DrawFn, table: str, row: Row) -> Row:
    """The row, or what the provider sent: the message without our columns, in its envelope, or nothing else."""
    manner = draw(st.integers(0, 5))
    contract = CONTRACTS[table]
    if manner > 3 or contract.delivered is None:
        return row
    told = draw(st.sampled_from([contract.delivered.told, {"ingested_at"}, set[str]()]))
    row = {name: value for name, value in row.items() if name not in told}
    payload = row["payload"]
    if manner < 3 and table == "google_play_notifications":
        data = b64encode((payload if isinstance(payload, str) else json.dumps(payload)).encode()).decode()
        sent = draw(
            st.sampled_from(
                [{}, {"messageId": "m1"}, {"messageId": 7, "publishTime": "2026-03-29T11:00:00Z"}]
            )
        )
        payload = {"message": {"data": data} | sent}
    if manner < 2 and isinstance(payload, dict):
        return {name: value for name, value in row.items() if name != "payload"} | payload
    return row | {"payload": payload}


@FEW
@given(table=st.sampled_from(NOTIFICATIONS), data=st.data())
def test_notifications_in_csv(table: str, told: Told, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(row_of(told[table], contract), min_size=1, max_size=8))
    agree(contract, "n.csv", as_csv(contract, rows), tmp_path)


def as_csv(contract: type[LandingRow], rows: list[Row]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [column.name for column in columns_of(contract)])
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode(errors="replace")


SPELLINGS: dict[str, list[Any]] = {
    "bool": [True, False, "true", "False", "yes", "off", "1", "0", "t", 1, 0, 1.0, 2, "maybe"],
    "int": [0, 1, 5, -1, 366, "7", "007", "+7", " 7", "1_000", "-0", 7.0, 7.5, True, 10**18, "9" * 18],
    "Decimal": [
        0, 1, 9.99, "9.99", "9.990", "0.07", ".5", "5.", "1e2", 1e-7, 1e16, "-0", "-0.00", "007.5", " 1", "1_0", "NaN",
        "Infinity", 999_999, 1_000_000, 1_000_001, "1000000.00", "0.123456789", "0.1234567891", "1.2300000000", True,
        1_042_800, "12345678901.5", "1.255", "980.50",
    ],
    "date": ["2026-03-29", "2024-02-29", "2026-02-29", "1970-01-01", "0999-01-01", "2026-3-9", "2026-03-29T00:00:00",
             "2026-03-29T01:00:00", 20_000, "20260329", "9999-12-31"],
    "datetime": [
        "2026-03-29T12:00:00Z", "2026-03-29 12:00:00+00:00", "2026-03-29T12:00:00.5Z", "2026-03-29T12:00:00.123456Z",
        "2026-03-29T12:00:00.1234567Z", "2026-03-29T12:00Z", "2026-03-29t12:00:00z", "2026-03-29T14:00:00+02:00",
        "2026-03-29T12:00:00", "2026-03-29T12:00:00-00:00", "2026-03-29T23:59:60Z", "2026-02-29T12:00:00Z",
        "2024-02-29T12:00:00Z", "2026-03-29T12:00:00+14:59", "2026-03-29T12:00:00+15:00", "2026-03-29T12:00:00+0200",
        1_774_785_600, 1_774_785_600_000, "1774785600", 1_774_785_600.5, "2026-03-29", "2005-01-01T00:00:00Z",
        "2004-12-31T23:59:59Z", "2026-03-30T12:00:00Z", "2026-03-30T12:00:01Z",
    ],
    "str": ["a", "GB", "gb", "EUR", "JPY", "IDR", "KWD", "a" * 128, "a" * 129, "é" * 128, "", " a", 5, True, ["a"], {"a": 1}, "\ud800",
            'say "hi"', "two\nlines", "null", "stripe", "started", "payer", "charge", "succeeded", "google_play"],
}  # fmt: skip


def spelled(column: Column) -> st.SearchStrategy[Any]:
    """A value as JSON may hold it: mostly usual, sometimes not."""
    values = [*(st.sampled_from(column.allowed) for _ in range(3) if column.allowed)]
    values += [st.sampled_from(SPELLINGS[column.kind.__name__])]
    if column.nullable:
        values.append(st.none())
    if column.kind is datetime:
        values += [st.just("2026-03-29T12:00:00Z")] * 3
    return st.one_of(
        *values, values_of(column).map(lambda value: value if column.kind is int else str(value))
    )


@st.composite
def spelled_rows(draw: st.DrawFn, contract: type[LandingRow]) -> Row:
    """One that keeps the contract, but for a value or two."""
    row: Row = {}
    for column in columns_of(contract):
        usual: dict[type, Any] = {
            str: "EUR" if column.pattern and "{3}" in column.pattern else "GB" if column.pattern else "a1",
            bool: True, int: 5, date: "2026-03-29", datetime: "2026-03-29T12:00:00Z",
        }  # fmt: skip
        row[column.name] = column.allowed[0] if column.allowed else usual.get(column.kind, "0.5")
        if column.name == "model":
            row[column.name] = "churn"
    odd = draw(st.lists(st.sampled_from(columns_of(contract)), max_size=3, unique_by=lambda each: each.name))
    for column in odd:
        if draw(st.integers(0, 7)) == 0:
            del row[column.name]
        else:
            row[column.name] = draw(spelled(column))
    if draw(st.integers(0, 15)) == 0:
        row["surprise"] = 1
    return row


@FEW
@given(table=st.sampled_from(PLAIN), data=st.data())
def test_plain_tables_in_json_lines(table: str, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(spelled_rows(contract), min_size=1, max_size=8))
    odd_lines = st.sampled_from(["", "  ", "[]", "3", "{", "nonsense", '{"a": NaN}', "\x0b"])
    lines = [json.dumps(row) for row in rows]
    for line in data.draw(st.lists(odd_lines, max_size=2)):
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    ending = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    agree(contract, "p.ndjson", ending.join(lines).encode(), tmp_path)


@FEW
@given(table=st.sampled_from(PLAIN), data=st.data())
def test_plain_tables_in_csv(table: str, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(spelled_rows(contract), max_size=8))
    names = [column.name for column in columns_of(contract)]
    nullable = [column.name for column in columns_of(contract) if column.nullable]
    absent = data.draw(st.lists(st.sampled_from(nullable), max_size=1)) if nullable else []
    header = [name for name in names if name not in absent]
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(header)
    for row in rows:
        cells = ["" if row.get(name) is None else row[name] for name in header]
        cells += ["more"] * data.draw(st.sampled_from([0] * 9 + [1]))
        writer.writerow(cells[: len(cells) - data.draw(st.sampled_from([0] * 9 + [1]))])
        if data.draw(st.integers(0, 9)) == 0:
            sink.write("\r\n")
    sink.write(data.draw(st.sampled_from(["", "", "", '"open', '"a"b,c\r\n'])))
    agree(contract, "p.csv", sink.getvalue().encode(errors="replace"), tmp_path)


@FEW
@given(table=st.sampled_from(list(CONTRACTS)), data=st.data())
def test_every_table_in_parquet(table: str, tmp_path: Path, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    row = st.fixed_dictionaries({column.name: values_of(column) for column in columns_of(contract)})
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    agree(contract, "t.parquet", as_parquet(contract, rows), tmp_path)


def test_what_providers_really_tell_needs_no_second_look(told: Told) -> None:
    for table, rows in told.items():
        contract = CONTRACTS[table]
        for column in columns_of(contract):
            if column.json:
                texts = pa.array([row[column.name] for row in rows], pa.string()).drop_null()
                doubtful = doubtful_texts(column.json.model, texts, bytes_of_each(texts))
                bad = [list(column.json.problems(column.name, text)) != [] for text in texts.to_pylist()]
                assert doubtful.tolist() == bad, table


def test_a_number_beyond_64_bits_is_refused_with_its_row(tmp_path: Path) -> None:
    impression = {
        "impression_id": "i1", "account_id": "a1", "offer_id": "o1", "surface": "home", "market": "GB",
        "occurred_at": "2026-03-29T12:00:00Z", "ingested_at": "2026-03-29T12:00:00Z",
    }  # fmt: skip
    path = tmp_path / "i.ndjson"
    path.write_text("\n".join(json.dumps(impression | {"generation": each}) for each in (7, 2**63)))
    accepted, refused = landed(CONTRACTS["offer_impressions"], LandingFile(path.name, pa.OSFile(str(path))))
    assert [each["generation"] for each in accepted] == [7]
    assert [(row, column, reason) for row, _, column, reason, _ in refused] == [
        (2, "generation", "generation does not fit into 64 bits")
    ]


@FEW
@given(table=st.sampled_from(NOTIFICATIONS), data=st.data())
def test_erased_ids_are_found_in_payloads_as_row_by_row(table: str, told: Told, data: st.DataObject) -> None:
    contract = CONTRACTS[table]
    rows = data.draw(st.lists(row_of(told[table], contract), min_size=1, max_size=8))
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    accepted, _ = split(contract, batch(pa.Table.from_pylist(rows, schema=schema)), DAY, "n.parquet")
    named = [
        [
            (place.kind, value)
            for column, places in names_in(contract).items()
            for place in places
            if row[column] and (value := place.read(json.loads(row[column]))) is not None
        ]
        for row in accepted.to_pylist()
    ]
    known = sorted({each for row in named for each in row})
    chosen = data.draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
    salted = Settings(_env_file=None, erasure_salt="salt")
    erased = ErasedSubjects(
        salted, {kind: frozenset(subject_hash(salted, v) for k, v in chosen if k == kind) for kind in KINDS}
    )
    wanted = [
        any(
            erased.names(kind, value)
            for kind, value in row
            if kind != "customer" or all(other != "account" for other, _ in row)
        )
        for row in named
    ]
    assert rows_of(erased, contract, accepted).to_pylist() == wanted


def test_half_a_surrogate_pair_in_a_payload_is_refused_with_its_row(told: Told, tmp_path: Path) -> None:
    row = told["stripe_events"][0] | {"ingested_at": NOON, "occurred_at": NOON}
    payload = json.loads(row["payload"])
    lines = [row | {"payload": payload}, row | {"payload": payload | {"note": "\ud800"}}]
    path = tmp_path / "s.ndjson"
    path.write_text("\n".join(json.dumps(line, default=str) for line in lines))
    accepted, refused = landed(CONTRACTS["stripe_events"], LandingFile(path.name, pa.OSFile(str(path))))
    assert [each["landing_row"] for each in accepted] == [1]
    [(number, _, column, reason, _)] = refused
    assert (number, column) == (2, "payload")
    assert reason.endswith("is not JSON: it holds half of a surrogate pair")


def test_a_payload_is_kept_as_its_line_has_it_and_numbers_without_end_are_refused(
    told: Told, tmp_path: Path
) -> None:
    row = told["stripe_events"][0] | {"ingested_at": NOON, "occurred_at": NOON}
    line = json.dumps({name: row[name] for name in row if name != "payload"}, default=str)
    written = [json.dumps(json.loads(row["payload"]), separators=(",", ":")), row["payload"]]
    written.append(written[0].removesuffix("}") + ',"much":1e999}')
    written.append(written[0].removesuffix("}") + ',"long":' + "9" * 400 + "}")
    path = tmp_path / "w.ndjson"
    path.write_text("\n".join(f'{line[:-1]}, "payload": {payload}}}' for payload in written))
    file = LandingFile(path.name, pa.OSFile(str(path)), RECEIPT)
    accepted, refused = landed(CONTRACTS["stripe_events"], file)
    assert [each["payload"] for each in accepted[:2]] == written[:2]
    assert [each["landing_row"] for each in accepted] == [1, 2, 4]
    [(number, _, column, reason, _)] = refused
    assert (number, column) == (3, "payload")
    assert "is not JSON" in reason
