"""It is BigQuery's SQL: Google's own analyzer resolves every model, and Google's reference implementation of
GoogleSQL gives the rows that the embedded BigQuery gave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import bigquery_schema
from tests.dbt.compiled_project import CompiledProject
from tests.dbt.conftest import Row, Warehouse
from tests.dbt.googlesql import (
    GoogleSql,
    Scan,
    columns_of,
    comparable,
    declared,
    literal,
    scans_of,
    written,
)

READS_EVERYTHING: dict[str, str] = {}
"""Model → why it reads all partitions of a table. There is none; a new one needs a reason here."""


def full_name(node: Row) -> str:
    return f"{node['database']}.{node['schema']}.{node.get('alias') or node['identifier']}"


@dataclass
class Project:
    """The compiled project of the March build, with what Google's analyzer makes of it."""

    warehouse: Warehouse
    manifest: Row

    def __post_init__(self) -> None:
        compiled = CompiledProject(self.warehouse.settings, self.manifest, {})
        self.models = compiled.models
        self.nodes: Row = self.manifest["nodes"] | compiled.sources
        self.google = GoogleSql()
        self.partition_columns: dict[str, str] = {}
        for source in compiled.sources.values():
            if source["source_name"] == "history":
                # What earlier runs published has the columns of its model's contract.
                model = self.nodes[f"model.segue.{source['name']}"]
                kinds = {name: column["data_type"] for name, column in model["columns"].items()}
                self.partition_columns[full_name(source)] = model["config"]["partition_by"]["field"]
            else:
                fields = bigquery_schema(CONTRACTS[source["name"]])
                kinds = {field.name: field.field_type for field in fields}
                self.partition_columns[full_name(source)] = "arrival_date"
            self.google.declare(full_name(source), kinds)
        for seed in compiled.seeds.values():
            self.google.declare(full_name(seed), seed["config"]["column_types"])
        for model in self.models.values():
            if partition := model["config"].get("partition_by"):
                self.partition_columns[full_name(model)] = partition["field"]

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The resolved statement of every model; each is declared for those that read it."""
        statements = {}
        for name, model in self.models.items():
            statements[name] = self.google.resolve(model["compiled_code"])
            self.google.tables[full_name(model)] = columns_of(statements[name])
        return statements

    @cached_property
    def data_tests(self) -> dict[str, str]:
        """Compiled SQL of the data tests."""
        return {
            node["name"]: node["compiled_code"]
            for node in self.manifest["nodes"].values()
            if node["resource_type"] == "test"
        }

    def rows(self, table: str) -> list[Row]:
        """What the embedded BigQuery holds in a table or view."""
        return [dict(row) for row in self.warehouse.query(f"select * from `{table}`")]

    def inputs(self, model: Row) -> dict[str, list[Row]]:
        """The rows of all that a model reads."""
        return {
            name: self.rows(name)
            for name in (full_name(self.nodes[key]) for key in model["depends_on"]["nodes"])
        }


@pytest.fixture(scope="module")
def project(march: Warehouse) -> Project:
    built = march.settings.state_dir / "dbt_runs" / "audit_20260305" / "manifest.json"
    return Project(march, json.loads(built.read_text()))


def test_every_model_resolves_to_the_types_of_its_contract(project: Project) -> None:
    for name, model in project.models.items():
        actual = {column: written(kind) for column, kind in columns_of(project.resolved[name])}
        if model["config"]["contract"]["enforced"]:
            assert actual == {
                column: declared(described["data_type"]) for column, described in model["columns"].items()
            }, name


def test_every_scan_of_a_partitioned_table_has_a_constant_filter(project: Project) -> None:
    unpruned = {
        (name, scan.table)
        for name, statement in project.resolved.items()
        for scan in scans_of(statement, project.partition_columns)
        if not scan.is_pruned and name not in READS_EVERYTHING
    }

    assert unpruned == set()
    assert len(project.resolved) > 50


def test_every_scan_of_a_data_test_has_a_constant_filter(project: Project) -> None:
    assert project.resolved
    scans = {
        (name, scan)
        for name, sql in project.data_tests.items()
        for scan in scans_of(project.google.resolve(sql), project.partition_columns)
    }

    assert {name for name, scan in scans if not scan.is_pruned} == set()
    assert len(scans) > 30


def test_googles_reference_implementation_gives_the_same_rows(project: Project) -> None:
    """Each model over what the embedded BigQuery holds of its inputs: a difference is the model's own."""
    assert project.resolved
    differing = {}
    for name, model in project.models.items():
        expected = _sorted(project.rows(full_name(model)))
        actual = _sorted(project.google.execute(model["compiled_code"], project.inputs(model)))
        if actual != expected:
            differing[name] = (
                [row for row in expected if row not in actual][:1],
                [row for row in actual if row not in expected][:1],
            )

    assert differing == {}


def _sorted(rows: list[Row]) -> list[str]:
    return sorted(json.dumps(comparable(row), sort_keys=True) for row in rows)


# What the proofs above would not let through.


@pytest.fixture(scope="module")
def small() -> GoogleSql:
    google = GoogleSql()
    google.declare("p.d.t", {"day": "date", "id": "string", "amount": "numeric(38, 9)"})
    return google


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select idd from `p`.`d`.`t`", "Unrecognized name: idd"),
        ("select id from `p`.`d`.`u`", "Table not found: `p.d.u`"),
        ("select id + amount from `p`.`d`.`t`", "No matching signature for operator +"),
        ("select id from `p`.`d`.`t` where day = amount", "No matching signature for operator ="),
        ("select if(id = 'a', day, amount) from `p`.`d`.`t`", "No matching signature for function IF"),
        ("select id, sum(amount) from `p`.`d`.`t`", "neither grouped nor aggregated"),
        ("select list_sort([1, 2])", "Function not found: list_sort"),
    ],
)
def test_what_is_not_googlesql_does_not_resolve(small: GoogleSql, sql: str, reason: str) -> None:
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as error:
        small.resolve(sql)

    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("where", "is_pruned"),
    [
        ("where day = date '2026-03-01'", True),
        ("where day between date '2026-03-01' and date_add(date '2026-03-01', interval 3 day)", True),
        ("where day in (date '2026-03-01', date '2026-03-02') and id = 'a'", True),
        ("where date '2026-03-01' <= day", True),
        ("", False),
        ("where id = 'a'", False),
        ("where day = date '2026-03-01' or id = 'a'", False),
        ("where date_add(day, interval 1 day) = date '2026-03-01'", False),
        ("where day = (select max(day) from `p.d.t` where day = date '2026-03-01')", False),
        ("where day = date(id)", False),
    ],
)
def test_only_a_comparison_of_the_partition_column_with_constants_prunes(
    small: GoogleSql, where: str, is_pruned: bool
) -> None:
    scans = scans_of(small.resolve(f"select id from `p`.`d`.`t` {where}"), {"p.d.t": "day"})

    assert Scan("p.d.t", is_pruned) in scans


def test_the_condition_of_an_outer_join_does_not_prune_the_side_that_it_keeps(small: GoogleSql) -> None:
    joined = """select 1 from `p.d.t` as kept left join `p.d.t` as other
        on kept.id = other.id and {0}.day = date '2026-03-01' where {1}.day = date '2026-03-01'"""

    def pruned(on: str, where: str) -> list[bool]:
        scans = scans_of(small.resolve(joined.format(on, where)), {"p.d.t": "day"})
        return [scan.is_pruned for scan in scans]

    assert pruned("other", "kept") == [True, True]
    assert pruned("kept", "other") == [False, True]


def test_arrays_and_structs_are_compared_field_by_field(small: GoogleSql) -> None:
    [(_, kind)] = columns_of(
        small.resolve("select array_agg(struct(id as offer_id, amount)) as a from `p.d.t`")
    )

    assert written(kind) == "ARRAY<STRUCT<offer_id STRING, amount NUMERIC>>"
    assert declared("array<struct<offer_id string, amount numeric(38, 9)>>") == written(kind)
    assert declared("array<struct<offer_id string, amount int64>>") != written(kind)


def test_rows_of_every_type_reach_the_reference_implementation(small: GoogleSql) -> None:
    google = GoogleSql()
    kinds = "array<struct<name string, score float64>>[]"
    google.tables["p.d.u"] = columns_of(
        small.resolve(
            f"select id, day, amount, true as flag, 1 as n, timestamp(day) as moment, {kinds} as parts, "
            "json '{}' as document from `p.d.t`"
        )
    )
    row = {
        "id": "a'\"\\", "day": "2026-03-01", "amount": "1.50", "flag": True, "n": 7,
        "moment": "2026-03-01 10:00:00+00:00", "parts": [{"name": "x", "score": 0.5}], "document": {"k": [1]},
    }  # fmt: skip

    found = google.execute("select * from `p`.`d`.`u`", {"p.d.u": [row, {}]})

    assert [comparable(each) for each in found] == [
        {
            "id": "a'\"\\", "day": "2026-03-01", "amount": "1.5", "flag": True, "n": "7",
            "moment": "2026-03-01T10:00:00Z", "parts": [{"name": "x", "score": "0.5"}],
            "document": {"k": ["1"]},
        },
        dict.fromkeys(("id", "day", "amount", "flag", "n", "moment", "document")) | {"parts": []},
    ]  # fmt: skip
    assert literal(None, google.tables["p.d.u"][0][1]) == "null"
