"""Files as people and programs deliver them: read as meant or refused by name, and never passed over."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loaders.landing import csv_cells, json_lines
from loaders.landing.check import split
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError, Refusal
from loaders.landing.files import LandingFile, opened, read_batches
from loaders.landing.listing import table_days
from loaders.landing.schema import arrow_schema
from loaders.objects.folder import FolderStore

DAY = date(2026, 3, 29)
NOON = "2026-03-29T12:00:00Z"
HEADER = "ingested_at,day,currency,usd_rate\n"
EUR = f"{NOON},2026-03-29,EUR,1.08\n"
GBP = f"{NOON},2026-03-29,GBP,1.31\n"
Row = dict[str, Any]
Land = Callable[..., tuple[list[Row], list[Refusal]]]


@pytest.fixture
def land(tmp_path: Path) -> Land:
    """Rows and refusals of a file with this name and content."""

    def read(content: bytes | str, name: str = "a.csv", table: str = "fx_rates") -> Any:
        path = tmp_path / Path(name).name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        contract = CONTRACTS[table]
        accepted: list[Row] = []
        refused: list[Refusal] = []
        for batch in read_batches(contract, LandingFile(name, pa.OSFile(str(path)))):
            rows, refusals = split(contract, batch, DAY, name)
            accepted += rows.to_pylist()
            refused += refusals
        return accepted, refused

    return read


def currencies(landed: tuple[list[Row], list[Refusal]]) -> list[str]:
    assert landed[1] == []
    return [row["currency"] for row in landed[0]]


def refusal(land: Land, content: bytes | str, name: str = "a.csv", table: str = "fx_rates") -> str:
    with pytest.raises(LandingError) as raised:
        land(content, name, table)
    return str(raised.value)


AS_JSON = "".join(
    json.dumps({"ingested_at": NOON, "day": "2026-03-29", "currency": each, "usd_rate": 1.08}) + "\n"
    for each in ("EUR", "GBP")
)


@pytest.mark.parametrize(
    "content",
    [
        HEADER + EUR + GBP,
        "\ufeff" + HEADER + EUR + GBP,
        "\ufeff" + '"ingested_at","day","currency","usd_rate"\n' + EUR + GBP,
        (HEADER + EUR + GBP).replace("\n", "\r\n"),
        (HEADER + EUR + GBP).replace("\n", "\r"),
        (HEADER + EUR + GBP).rstrip("\n"),
        (HEADER + EUR + GBP).replace(",", ";"),
        (HEADER + EUR + GBP).replace(",", "\t"),
        (HEADER + EUR + GBP).replace(",", "|"),
        "sep=;\r\n" + (HEADER + EUR + GBP).replace(",", ";"),
        "\n\r\n" + HEADER + "\n" + EUR + "\n\n" + GBP + "\n\n",
        " Ingested_At , DAY,Currency ,\tUSD rate\n" + EUR + GBP,
    ],
)
def test_a_csv_is_read_whatever_program_wrote_it(land: Land, content: str) -> None:
    assert currencies(land(content)) == ["EUR", "GBP"]


def test_a_byte_order_mark_is_no_part_of_the_first_row_of_ndjson(land: Land) -> None:
    assert currencies(land("\ufeff" + AS_JSON, "a.ndjson")) == ["EUR", "GBP"]
    assert currencies(land(AS_JSON.replace("\n", "\r\n"), "a.jsonl")) == ["EUR", "GBP"]


def test_texts_may_be_compressed(land: Land) -> None:
    text = (HEADER + EUR + GBP).encode()
    zipped = gzip.compress(text[:40]) + gzip.compress(text[40:])
    assert currencies(land(gzip.compress(text), "a.csv.gz")) == ["EUR", "GBP"]
    assert currencies(land(zipped, "in-two-members.csv.gz")) == ["EUR", "GBP"]
    assert currencies(land(pa.compress(text, "zstd", asbytes=True), "a.csv.zst")) == ["EUR", "GBP"]
    assert currencies(land(gzip.compress(AS_JSON.encode()), "A.NDJSON.GZ")) == ["EUR", "GBP"]
    assert "cannot be read" in refusal(land, gzip.compress(text)[:-12], "torn.csv.gz")
    assert "cannot be read" in refusal(land, text, "a.csv.gz")
    assert "cannot be read" in refusal(land, pa.compress(text, "zstd", asbytes=True)[:-5], "torn.csv.zst")


def test_a_quoted_cell_may_hold_lines_and_separators(land: Land) -> None:
    header = "ingested_at,request_id,account_id,requested_at\r\n"
    rows, refused = land(header + f'{NOON},"r\r\n1;""x""",a1,{NOON}\r\n', table="deletion_requests")
    assert ([row["request_id"] for row in rows], refused) == (['r\r\n1;"x"'], [])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "a.csv: is empty; a day without rows is a header without rows"),
        ("a.csv", b"\xef\xbb\xbf\r\n", "a.csv: is empty"),
        ("a.csv", gzip.compress(b"x"), "a.csv: is compressed by gzip: name it .csv.gz"),
        ("a.csv.gz", gzip.compress(gzip.compress(b"x")), "a.csv.gz: is compressed by gzip"),
        ("a.ndjson", AS_JSON.encode("utf-16"), "a.ndjson: is UTF-16: have it written as UTF-8"),
        ("a.csv", b"PAR1xxxx", "a.csv: is Parquet: name it .parquet"),
        ("a.csv", b"PK\x03\x04xxx", "a.csv: is a ZIP archive or a spreadsheet"),
        ("a.parquet", b"", "a.parquet: cannot be read: "),
        ("a.csv.tmp", b"", "a.csv.tmp: unknown format, expected one of .csv, .tsv, "),
        ("a.json", b"[]", "a.json: unknown format"),
        ("a.parquet.gz", b"", "a.parquet.gz: unknown format"),
        ("a.csv", HEADER.replace("day", "day,day").encode(), "a.csv: column day is there 2 times"),
        ("a.csv", HEADER.replace("day", "day, USD_RATE").encode(), "a.csv: column usd_rate is there 2 times"),
        (
            "a.csv",
            HEADER.replace("\n", ",\n").encode(),
            "a.csv: column without a name is not in the contract",
        ),
        ("a.csv", HEADER.replace("day", "d\xe9y").encode("latin-1"), r"a.csv: column d\udce9y is not in the"),
        ("a.csv", b"x" * (2 << 20), "a.csv: its first line is longer than 1048576 characters"),
        ("a.csv", (HEADER + EUR + '"a"b,c\n').encode(), "a.csv: row 2: "),
        ("a.csv", (HEADER + EUR + '"open').encode(), "a.csv: row 2: "),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(
    land: Land, name: str, content: bytes, says: str
) -> None:
    assert refusal(land, content, name).startswith(says)


def test_files_without_rows_have_none(land: Land) -> None:
    assert land(HEADER) == ([], [])
    assert land("", "a.ndjson") == ([], [])


def test_bytes_that_are_no_utf8_refuse_their_rows_and_no_others(land: Land) -> None:
    head = "ingested_at,account_id,created_at,market,locale,is_test,is_employee\n"
    good = f"{NOON},a1,{NOON},SE,sv,false,false\n"
    rows, refused = land(
        (head + good).encode() + f"{NOON},anna@m\xe4lare.se,{NOON},SE,sv,false,false\n".encode("latin-1"),
        table="accounts",
    )
    assert [row["account_id"] for row in rows] == ["a1"]
    assert [(each.row, each.column, each.reason) for each in refused] == [
        (2, "account_id", "account_id is not UTF-8")
    ]
    assert r"anna@m\udce4lare.se" in refused[0].payload
    lines = AS_JSON.encode() + b'{"currency": "\xe4"}\n'
    [only] = land(lines, "a.ndjson")[1]
    assert (only.row, only.reason, only.payload) == (3, "is not UTF-8", r'{"currency": "\udce4"}')


def engagement(account: str, **values: Any) -> Row:
    return {
        "ingested_at": NOON, "account_id": account, "day": "2026-03-29",
        "streams": 1, "ms_played": 1_000, "ad_ms": 0, "skips_blocked": 0,
    } | values  # fmt: skip


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (json.dumps(engagement("a2", skips_blocked=2**63)), "skips_blocked", "does not fit into 64 bits"),
        (json.dumps(engagement("a2", skips_blocked=10**20)), "skips_blocked", "does not fit into 64 bits"),
        (json.dumps(engagement("a2", skips_blocked="9" * 20)), "skips_blocked", "does not fit into 64 bits"),
        (
            json.dumps(engagement("a2")).replace('"streams": 1', '"streams": ' + "1" * 5_000),
            "",
            "is not JSON",
        ),
        ("[" * 200_000, "", "is not JSON"),
        (json.dumps(engagement("a2", streams=float("nan"))), "streams", "streams nan: Input should be"),
        (json.dumps(engagement("a\x002")), "account_id", "account_id holds a NUL character"),
        (json.dumps(engagement("a\ud8002")), "account_id", "account_id: Input should be a valid string"),
        ("null", "", "is not a JSON object"),
    ],
)
def test_an_impossible_value_is_one_refused_row(land: Land, line: str, column: str, reason: str) -> None:
    before, after = (json.dumps(engagement(each)) for each in ("a1", "a3"))
    rows, refused = land(f"{before}\n{line}\n{after}\n", "a.ndjson", "engagement_daily")
    assert [row["account_id"] for row in rows] == ["a1", "a3"]
    [only] = refused
    assert (only.row, only.column) == (2, column)
    assert reason in only.reason


def as_parquet(columns: dict[str, pa.Array], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(list(columns.values()), names=list(columns)), sink, **options)
    return sink.getvalue()


def rates(usd_rate: pa.Array, **columns: pa.Array) -> dict[str, pa.Array]:
    n = len(usd_rate)
    at = pa.array([datetime(2026, 3, 29, 12, tzinfo=UTC)] * n, pa.timestamp("us", "UTC"))
    return {
        "ingested_at": at,
        "day": pa.array([DAY] * n),
        "currency": pa.array(["EUR", "GBP", "SEK"][:n]),
        "usd_rate": usd_rate,
    } | columns


EXACT = pa.array([Decimal("1.08"), Decimal("1.31")])
NAIVE = pa.array([datetime(2026, 3, 29, 12)] * 2, pa.timestamp("us"))  # noqa: DTZ001


def test_parquet_with_types_that_may_mean_anything_is_refused_with_the_way_out(land: Land) -> None:
    floats = refusal(land, as_parquet(rates(pa.array([1.08, 1.31]))), "a.parquet")
    assert floats.startswith(
        "a.parquet: column usd_rate has type double, the contract says decimal128(38, 12)"
    )
    assert floats.endswith("; floating point is not exact: write DECIMAL, or deliver text")
    for content in (
        as_parquet(rates(EXACT, ingested_at=NAIVE)),
        as_parquet(rates(EXACT, ingested_at=NAIVE), use_deprecated_int96_timestamps=True),
    ):
        assert "it has no time zone: write instants in UTC" in refusal(land, content, "a.parquet")
    twice = pa.Table.from_arrays([EXACT, EXACT], names=["usd_rate", "usd_rate"])
    sink = io.BytesIO()
    pq.write_table(twice, sink)
    assert "column usd_rate is there 2 times" in refusal(land, sink.getvalue(), "a.parquet")


def test_parquet_columns_are_known_by_their_names_in_any_case(land: Land) -> None:
    columns = {name.upper(): values for name, values in rates(EXACT).items()}
    assert currencies(land(as_parquet(columns), "a.parquet")) == ["EUR", "GBP"]


def test_a_parquet_value_that_does_not_fit_refuses_its_row_and_no_other(land: Land) -> None:
    fine = pa.array([Decimal("1.08"), Decimal("1.3100000000001"), Decimal("0.1")], pa.decimal128(38, 13))
    rows, refused = land(as_parquet(rates(fine)), "a.parquet")
    assert [row["currency"] for row in rows] == ["EUR", "SEK"]
    assert [(each.row, each.column, each.reason) for each in refused] == [
        (2, "usd_rate", "usd_rate has more than 12 decimal places, or more digits than fit")
    ]
    bytes_ = pa.array([b"EUR", b"\xe4\xe4\xe4", b"SEK"])
    unchecked = pa.Array.from_buffers(pa.string(), 3, bytes_.buffers())
    rows, refused = land(as_parquet(rates(fine.take([0, 0, 2]), currency=unchecked)), "a.parquet")
    assert [(each.row, each.reason) for each in refused] == [(2, "currency is not UTF-8")]
    streams = {name: pa.array([value] * 2) for name, value in engagement("a1").items()} | {
        "ingested_at": rates(EXACT)["ingested_at"], "day": pa.array([DAY] * 2),
        "streams": pa.array([5, 2**63], pa.uint64()),
    }  # fmt: skip
    rows, refused = land(as_parquet(streams), "a.parquet", "engagement_daily")
    assert ([row["streams"] for row in rows], [each.row for each in refused]) == ([5], [2])
    assert refused[0].reason == "streams does not fit into 64 bits"


def test_a_reason_is_short_and_names_nobody(land: Land) -> None:
    event = {
        "ingested_at": NOON, "provider": "Anna Berg", "provider_event_id": "anna@example.com" * 20,
        "subscription_id": 70_123_456_789, "account_id": ["anna@example.com"], "event_type": "boosted",
        "currency": "eur", "price_amount": "Anna", "occurred_at": "Storgatan 5", "plan_id": "x" * 999,
        "anna@example.com": 1, "trial_ends_at": "2026-02-30T00:00:00Z",
    }  # fmt: skip
    [only] = land(json.dumps(event), "a.ndjson", "subscription_events")[1]
    assert len(only.reason) < 300
    assert not [word for word in ("Anna", "anna", "Stor", "123456") if word in only.reason]
    csv_row = f"{NOON},2026-02-30,eur,lots of money\n"
    [only] = land(HEADER + csv_row)[1]
    assert "day '2026-02-30': " in only.reason
    assert "currency 'eur': " in only.reason
    assert "usd_rate: " in only.reason


def test_files_in_folders_below_the_day_are_refused_and_what_is_hidden_is_not_seen(tmp_path: Path) -> None:
    day = tmp_path / "accounts" / str(DAY)
    for name in ("part-0.csv", "_SUCCESS", ".part-0.csv.crc", "_temporary/0/part-9.csv", "sub/_SUCCESS"):
        (day / name).parent.mkdir(parents=True, exist_ok=True)
        (day / name).write_text("")
    [found] = table_days(FolderStore(tmp_path), "accounts", [DAY]).values()
    assert [each.base_name for each in found.files] == ["part-0.csv"]
    (day / "region=eu").mkdir()
    (day / "region=eu" / "part-0.csv").write_text("")
    with pytest.raises(
        LandingError, match=r"accounts/2026-03-29/region=eu: a folder; files lie in the day's"
    ):
        table_days(FolderStore(tmp_path), "accounts", [DAY])


def test_a_file_that_grows_while_it_is_looked_at_is_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / "a.csv").write_text(HEADER)
    listed = store.find("a.csv")
    assert listed is not None
    with (tmp_path / "a.csv").open("a") as file:
        file.write(EUR)
    with pytest.raises(LandingError, match=r"a\.csv: .* has changed"), opened(store, listed):
        pass


FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
CELLS = st.one_of(
    st.text(max_size=6),
    st.sampled_from([NOON, "2026-03-29", "EUR", "1.08", "", '"', "a\nb", "x;y", "\x00", "\ufeff", "NaN",
                     "1e400", "9" * 30, "true", "-0", "٣", "2026-03-29T12:00:00", "a@b.c", "null"]),
)  # fmt: skip
TABLES = st.sampled_from(list(CONTRACTS))


def counted(land: Land, content: bytes, name: str, table: str) -> int | None:
    """Rows in, each of which is out or quarantined; None when the file is refused as a whole."""
    try:
        rows, refused = land(content, name, table)
    except LandingError:
        return None
    for each in refused:
        assert 0 < len(each.reason) < 300
        assert (each.payload + each.reason + each.column).encode()
    numbers = [row["landing_row"] for row in rows] + [each.row for each in refused]
    assert len(set(numbers)) == len(numbers)
    return len(numbers)


@FEW
@given(data=st.data(), table=TABLES)
def test_any_csv_is_counted_whole_or_refused(land: Land, data: st.DataObject, table: str) -> None:
    names = [field.name for field in arrow_schema(CONTRACTS[table])]
    width = len(names)
    rows = data.draw(st.lists(st.lists(CELLS, min_size=1, max_size=width + 1), max_size=6))
    sink = io.StringIO()
    separator = data.draw(st.sampled_from(",;\t|"))
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(sink, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    text = data.draw(st.sampled_from(["", "\ufeff"])) + sink.getvalue()
    assert counted(land, text.encode(errors="replace"), "a.csv", table) == len(rows)


LINES = st.one_of(
    st.text(max_size=20).filter(lambda text: text.strip() and not set(text) & set("\r\n")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ).map(json.dumps),
)


@FEW
@given(data=st.data(), table=TABLES, compressed=st.booleans())
def test_any_lines_are_counted_whole(land: Land, data: st.DataObject, table: str, compressed: bool) -> None:
    names = st.sampled_from([field.name for field in arrow_schema(CONTRACTS[table])])
    objects = st.dictionaries(names, CELLS | st.integers() | st.floats() | st.none(), max_size=8).map(
        json.dumps
    )
    lines = data.draw(st.lists(LINES | objects, max_size=8))
    content = "\n".join(lines).encode(errors="surrogatepass")
    if compressed:
        assert counted(land, gzip.compress(content), "a.ndjson.gz", table) == len(lines)
    else:
        found = counted(land, content, "a.ndjson", table)
        assert found == len(lines) or content[:2] in (b"PK", b"PA", b"\x1f\x8b", b"\x28\xb5")


@FEW
@given(content=st.binary(max_size=200), data=st.data(), table=TABLES)
def test_any_bytes_are_counted_or_refused(
    land: Land, content: bytes, data: st.DataObject, table: str
) -> None:
    name = data.draw(st.sampled_from(["a.csv", "a.ndjson", "a.parquet", "a.csv.gz", "a.ndjson.zst"]))
    counted(land, content, name, table)


def test_a_day_beyond_the_calendar_is_refused(land: Land) -> None:
    days = pa.array([20_541, 10**8, -(10**6)], pa.int32()).cast(pa.date32())
    rates = pa.array([Decimal(1)] * 3, pa.decimal128(38, 9))
    noon = pa.array([datetime(2026, 3, 29, 12, tzinfo=UTC)] * 3, pa.timestamp("us", tz="UTC"))
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"day": days, "currency": ["EUR"] * 3, "usd_rate": rates, "ingested_at": noon}), sink
    )
    rows, refused = land(sink.getvalue(), "a.parquet")
    assert ([row["day"] for row in rows], [(each.row, each.reason) for each in refused]) == (
        [date(2026, 3, 29)],
        [(2, "day 100000000 is outside the calendar"), (3, "day -1000000 is outside the calendar")],
    )


@FEW
@given(data=st.data())
def test_any_damage_to_a_parquet_file_is_refused_or_counted(land: Land, data: st.DataObject) -> None:
    content = bytearray(as_parquet(rates(EXACT)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content), data.draw(st.integers(0, len(content)))]))
    assert counted(land, bytes(content[:cut]), "a.parquet", "fx_rates") in (None, 0, 1, 2)


ARROWS = st.sampled_from(
    [
        pa.array([1, 2], pa.uint64()), pa.array([2**63, 1], pa.uint64()), pa.array([1.5, float("nan")]),
        pa.array(["a", None]), pa.array([b"\xff", b"a"]), pa.array([None, None]), pa.array([True, None]),
        pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"], pa.large_string()),
        pa.array(["a", "b"], pa.string_view()), pa.array([[1], []]), pa.array([{"a": 1}, None]), NAIVE, EXACT,
        pa.array([10**11, 10**14], pa.timestamp("s", "UTC")),
        pa.array([1, -(2**62)], pa.timestamp("ns", "UTC")),
        pa.array([2**62, 0], pa.timestamp("us", "Europe/Stockholm")), pa.array([DAY, DAY]),
        pa.array([DAY, None], pa.date64()), pa.array([Decimal(10) ** 60, Decimal(1)], pa.decimal256(76, 10)),
        pa.array([Decimal("0.1234567890123"), None], pa.decimal128(20, 13)),
    ]
)  # fmt: skip


@FEW
@given(data=st.data(), table=TABLES)
def test_parquet_of_any_types_is_counted_whole_or_refused(
    land: Land, data: st.DataObject, table: str
) -> None:
    columns = {
        field.name: data.draw(ARROWS) if data.draw(st.integers(0, 4)) == 0 else pa.nulls(2, field.type)
        for field in arrow_schema(CONTRACTS[table])
    }
    assert counted(land, as_parquet(columns), "a.parquet", table) in (None, 2)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cells, "_BLOCK_BYTES", 200)
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 200)
