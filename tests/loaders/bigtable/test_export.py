"""BigQuery's own export writes what the loader writes: the same bytes, in statements that are GoogleSQL."""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from loaders.bigtable import LoadMode, load_segments, verify
from loaders.bigtable.connection import open_table
from loaders.bigtable.export import cells_sql, export_sql
from loaders.bigtable.mutations import set_offers
from loaders.bigtable.payload_sql import double_sql, double_steps, little_endian_sql, varint_sql
from loaders.bigtable.rows import encode_rows, tail
from loaders.bigtable.scan import ALL_ACCOUNTS
from loaders.bigtable.source import WarehouseSource
from loaders.bigtable.writer import Entries, RowWriter
from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from segue_client.bigtable.row_key import row_key
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish

DAY_1, DAY_2 = date(2026, 1, 30), date(2026, 1, 31)
GENERATION = 1_769_817_600_001

ROWS = [
    account(
        "acc-1", offer("b", priority=-1), offer("a", score=None),
        held_back=[offer("c", is_control=True), offer("d", content_locale=None)],
    ),
    account("acc-2", suppressed_reason="NO_CONSENT", market=None),
    account("räksmörgås", offer("räk" * 60, score=0.0, experiment_id="e", variant="v"), market="SE"),
    account("acc-4", offer("x" * 20_000, content_id=None, content_version=None), valid_until_at=None),
    account("acc-5", offer(valid_until_at=datetime(2026, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC), score=0.1)),
    account("acc-6", *[offer(f"offer-{n}", score=n / 97, rule_version=2**32 - 1) for n in range(40)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def platform(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """A published mart of two days."""
    settings = world("export", bigtable_emulator_host=bigtable_emulator)
    create_mart(settings)
    publish(settings, DAY_1, account("acc-1", offer("b")), account("gone", offer()))
    publish(settings, DAY_2, *ROWS)
    return settings


def values_of(settings: Settings, expression: str, values: list[str]) -> list[Any]:
    listed = ", ".join(values)
    sql = f"select {expression} as found from unnest([{listed}]) as v with offset as place order by place"
    return list(warehouse_of(settings).fetch_arrow(sql).column("found").to_pylist())


def test_varints_are_protobufs(platform: Settings) -> None:
    numbers = [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151, 2_097_152, 2**28, 10_000_000]
    assert values_of(platform, varint_sql("v"), [str(number) for number in numbers]) == [
        _varint(number).hex() for number in numbers
    ]


def _varint(number: int) -> bytes:
    groups = [number >> shift & 127 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def test_integers_are_little_endian(platform: Settings) -> None:
    numbers = [0, 1, -1, 2**31 - 1, -(2**31), 1_770_336_000_123]
    found = values_of(platform, little_endian_sql("v", 8), [str(number) for number in numbers])
    assert found == [struct.pack("<q", number).hex() for number in numbers]


def test_doubles_are_ieee_754(platform: Settings) -> None:
    numbers = [
        0.0, 1.0, -1.0, 0.5, 0.75, 0.1, 1 / 3, 2 / 3, 0.9999999999999999, 1.0000000000000002, 0.7312, 1e-5,
        123456.789, 2.0**52, 2.0**53 - 1, 8.0, 7.999999999999999, 1e300, -1e-300,
        2.2250738585072014e-308, 1.7976931348623157e308,
    ]  # fmt: skip
    listed = ", ".join(repr(number) for number in numbers)
    given = f"(select v, n as place from unnest([{listed}]) as v with offset as n)"
    steps = ", ".join(f"{name} as ({query})" for name, query in double_steps(["v"], given, "v"))
    sql = f"with {steps} select {double_sql('v')} as found from v_doubles order by place"
    found = warehouse_of(platform).fetch_arrow(sql).column("found").to_pylist()
    assert [struct.unpack("<d", bytes.fromhex(each))[0] for each in found] == numbers


def exported(settings: Settings, day: date, generation: int, staged: str) -> pa.Table:
    """What the statement would hand to Bigtable, run as a query."""
    warehouse = warehouse_of(settings)
    columns = warehouse.client.get_table(staged).schema
    sql = cells_sql(staged, columns, day, generation)
    # the emulator casts ASCII only to BYTES, but lets TO_HEX have text, of which it takes the UTF-8
    return warehouse.fetch_arrow(re.sub(r"cast\((each_row\.\w+) as bytes\)", r"\1", sql))


def test_the_exported_cells_are_the_loaders_byte_for_byte(platform: Settings) -> None:
    warehouse = WarehouseSource(platform)
    staged = warehouse.stage(DAY_2, GENERATION)
    built = encode_rows(
        pa.Table.from_batches(warehouse.rows(staged.name, ALL_ACCOUNTS)).combine_chunks().to_batches()[0]
    )
    cells = exported(platform, DAY_2, GENERATION, staged.name)
    warehouse.drop(staged.name)
    found = dict(
        zip(
            cells.column("rowkey").to_pylist(),
            [each["p"] for each in cells.column("o").to_pylist()],
            strict=True,
        )
    )
    cell_tail = tail(DAY_2, GENERATION)
    assert {key.encode(): value for key, value in found.items()} == {
        key: content + cell_tail
        for key, content in zip(built.keys.to_pylist(), built.contents.to_pylist(), strict=True)
    }
    assert set(built.keys.to_pylist()) == {row_key(row["account_id"]) for row in ROWS}
    # the emulator answers with column names in small letters
    assert {at.timestamp() * 1000 for at in cells.column(2).to_pylist()} == {GENERATION}


def test_a_load_by_export_is_verified_and_published_as_any_other(
    platform: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator cannot export, so that the statement's result is put into Bigtable in its place."""
    asked: list[str] = []

    def in_its_place(settings: Settings, staged: str, day: date, generation: int) -> None:
        asked.append(staged)
        cells = exported(settings, day, generation, staged)
        keys = cells.column("rowkey").combine_chunks().cast(pa.binary())
        payloads = pa.array([each["p"] for each in cells.column("o").to_pylist()], pa.binary())
        with open_table(settings) as table:
            RowWriter(table, deadline_at=time.monotonic() + 120).write(
                [Entries(keys, set_offers(keys, payloads, generation))]
            )

    monkeypatch.setattr("loaders.bigtable.begin.export_cells", in_its_place)
    load_segments(platform, DAY_1)
    result = load_segments(platform, DAY_2, LoadMode.EXPORT)
    assert (result.rows_in, result.written, result.unchanged, result.tombstoned) == (6, 6, 0, 1)
    assert len(asked) == 1
    assert result.generation_ms is not None
    verify(platform, result.generation_ms)
    with open_reader(platform) as reader:
        answers = reader.lookup_many(["acc-1", "acc-2", "gone"])
    assert [each.outcome.value for each in answers] == ["found", "suppressed", "unknown"]


def test_the_statement_names_table_profile_and_column(platform: Settings) -> None:
    columns = _mart_columns(platform)
    sql = export_sql(platform, "p.d.staged", columns, DAY_2, GENERATION)
    assert (
        f"https://bigtable.googleapis.com/projects/{platform.project_id}/instances/segue/appProfiles/default"
        "/tables/offers"
    ) in sql
    options = json.loads(re.findall(r"'''(.*)'''", sql)[0])
    (family,) = options["columnFamilies"]
    assert (family["familyId"], family["encoding"], family["columns"]) == (
        "o", "BINARY", [{"qualifierString": "p", "fieldName": "p"}],
    )  # fmt: skip


def _mart_columns(settings: Settings) -> list[bigquery.SchemaField]:
    warehouse = warehouse_of(settings)
    mart = warehouse.client.get_table(f"{settings.project_id}.marts.offer_segments").schema
    return [bigquery.SchemaField("row_key", "STRING"), *mart]


def test_googles_own_analyzer_resolves_the_statement(platform: Settings) -> None:
    from zetasql.api import Analyzer, CatalogBuilder, TableBuilder, TypeFactory
    from zetasql.types import (
        AnalyzerOptions,
        LanguageOptions,
        ResolvedExportDataStmt,
        TypeKind,
        ZetaSQLBuiltinFunctionOptions,
    )

    from tests.compiled_zetasql import use_compiled

    use_compiled()
    kinds = {
        "STRING": TypeKind.TYPE_STRING, "INTEGER": TypeKind.TYPE_INT64, "INT64": TypeKind.TYPE_INT64,
        "FLOAT": TypeKind.TYPE_DOUBLE, "FLOAT64": TypeKind.TYPE_DOUBLE, "BOOLEAN": TypeKind.TYPE_BOOL,
        "BOOL": TypeKind.TYPE_BOOL, "TIMESTAMP": TypeKind.TYPE_TIMESTAMP, "DATE": TypeKind.TYPE_DATE,
    }  # fmt: skip

    def kind(field: bigquery.SchemaField) -> Any:
        if field.fields:
            one: Any = TypeFactory.create_struct_type([(part.name, kind(part)) for part in field.fields])
        else:
            one = TypeFactory.create_simple_type(kinds[field.field_type])
        return TypeFactory.create_array_type(one) if field.mode == "REPEATED" else one

    language = LanguageOptions.maximum_features()
    options = AnalyzerOptions()
    options.language_options = language
    columns = _mart_columns(platform)
    table = TableBuilder("p.d.staged")
    for column in columns:
        table.add_column(column.name, kind(column))
    catalog = (
        CatalogBuilder("warehouse")
        .add_table(table.build())
        .with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language))
        .build()
    )
    sql = export_sql(platform, "p.d.staged", columns, DAY_2, GENERATION)
    statement = Analyzer(options=options, catalog=catalog).analyze_statement(sql)
    exported = statement.as_type(ResolvedExportDataStmt)
    assert [each.name for each in exported.output_column_list] == ["rowkey", "o", "_CHANGE_TIMESTAMP"]
