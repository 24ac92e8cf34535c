"""The dbt project compiled once, and its models executed as often as wanted, each time in fresh datasets.

Starting dbt costs seconds; a chain of compiled statements costs as much as the warehouse takes for it.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import bigquery_schema, raw_arrow_schema
from loaders.warehouse.client import warehouse_of
from runs.dbt import dbt_artefacts, dbt_environment, dbt_vars, same_flags
from runs.placement import placed_manifest
from segue.settings import Settings
from segue.window import RunWindow

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

Row = dict[str, Any]


class CompileError(RuntimeError):
    """dbt could not compile the project."""


@dataclass(frozen=True)
class CompiledProject:
    """Manifest and compiled SQL of the project for one run."""

    settings: Settings
    manifest: dict[str, Any]
    audit_dataset: str

    @cached_property
    def models(self) -> dict[str, Row]:
        """The models that were compiled, by name, each after the models that it reads."""
        nodes = {
            key: n
            for key, n in self.manifest["nodes"].items()
            if n["resource_type"] == "model" and n.get("compiled_code")
        }
        ordered: dict[str, Row] = {}

        def visit(key: str) -> None:
            node = nodes.get(key)
            if node is not None and node["name"] not in ordered:
                for needed in node["depends_on"]["nodes"]:
                    visit(needed)
                ordered[node["name"]] = node

        for key in nodes:
            visit(key)
        return ordered

    @cached_property
    def seeds(self) -> dict[str, Row]:
        """Seeds by name."""
        return {n["name"]: n for n in self.manifest["nodes"].values() if n["resource_type"] == "seed"}

    @cached_property
    def sources(self) -> dict[str, Row]:
        """Source tables by their unique id."""
        return dict(self.manifest["sources"])

    def chain(self, wanted: Iterable[str]) -> list[Row]:
        """The wanted models and all that they read, in the order in which they can be built."""
        needed: set[str] = set()
        queue = [self.models[name]["unique_id"] for name in wanted]
        while queue:
            key = queue.pop()
            if key not in needed:
                needed.add(key)
                queue += self.manifest["parent_map"].get(key, [])
        return [node for node in self.models.values() if node["unique_id"] in needed]


def compile_project(
    settings: Settings,
    window: RunWindow,
    select: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
) -> CompiledProject:
    """Compile every model of a run, or ``select``, with ``variables`` beside the run's.

    Raises:
        CompileError: dbt refuses the project.
    """
    from dbt.cli.main import dbtRunner

    target = settings.state_dir / "compiled" / window.audit_dataset
    arguments = [
        *("compile", "--quiet", "--no-write-json", "--target", "embedded", "--target-path", str(target)),
        *("--project-dir", str(settings.dbt_project_dir), "--profiles-dir", str(settings.dbt_project_dir)),
        *("--log-path", str(target)),
        *("--vars", json.dumps(dbt_vars(settings, window) | dict(variables or {}))),
        # Its tests, of which there are many more, are nobody's question here.
        *("--select", *(select or ["resource_type:model"])),
    ]
    manifest = placed_manifest(settings, window.audit_dataset)
    with mock.patch.dict(os.environ, dbt_environment(settings)), same_flags():
        result = dbtRunner(manifest).invoke(arguments)
    if not result.success:
        raise CompileError(f"dbt compile: {result.exception or result.result}")
    return CompiledProject(settings, _as_written(manifest), window.audit_dataset)


def built_project(settings: Settings, audit_dataset: str) -> CompiledProject:
    """The project as a run of this process has built it there: its SQL is what dbt left of the build."""
    compiled = dbt_artefacts(settings) / audit_dataset / "compiled" / "segue"
    manifest = _as_written(placed_manifest(settings, audit_dataset))
    for node in manifest["nodes"].values():
        file = compiled / node["original_file_path"]
        if node["resource_type"] == "model" and file.exists():
            node["compiled_code"] = file.read_text()
    return CompiledProject(settings, manifest, audit_dataset)


def _as_written(manifest: Manifest) -> dict[str, Any]:
    """Models, seeds and sources as dbt's file has them, of which they are a small part."""
    manifest.build_parent_and_child_maps()
    nodes = {key: n for key, n in manifest.nodes.items() if n.resource_type in ("model", "seed")}
    return {
        "nodes": {key: node.to_dict(omit_none=False) for key, node in nodes.items()},
        "sources": {key: source.to_dict(omit_none=False) for key, source in manifest.sources.items()},
        "parent_map": manifest.parent_map,
    }


class Execution:
    """One build of a compiled project in datasets of its own, whose names end in ``label``."""

    def __init__(self, settings: Settings, label: str) -> None:
        self._settings = settings
        self._warehouse = warehouse_of(settings)
        self._label = label

    def dataset(self, dataset: str) -> str:
        """The name of this execution's copy of a dataset."""
        return f"{dataset}_{self._label}"

    def land(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Create the raw tables with these rows; columns that a row lacks are null."""
        raw = self.dataset(self._settings.raw_dataset)
        self._warehouse.ensure_dataset(raw)
        for table, contract in CONTRACTS.items():
            table_id = f"{self._settings.project_id}.{raw}.{table}"
            self._warehouse.ensure_table(table_id, bigquery_schema(contract), partition_field="arrival_date")
            if not tables.get(table):
                continue
            # The contract says what must not be null; the raw table, which rows get past here, does not.
            schema = pa.schema([pa.field(f.name, f.type) for f in raw_arrow_schema(contract)])
            file = f"{raw}_{table}.parquet"
            columns = {name: [row.get(name) for row in tables[table]] for name in schema.names}
            pq.write_table(
                pa.table(columns, schema=schema), Path(self._settings.landing_files_root) / file
            )  # fmt: skip
            self._warehouse.client.load_table_from_uri(
                f"{self._settings.landing_uri}/{file}",
                table_id,
                job_config=bigquery.LoadJobConfig(
                    source_format=bigquery.SourceFormat.PARQUET, write_disposition="WRITE_APPEND"
                ),
            ).result()

    def build(self, project: CompiledProject, wanted: Iterable[str]) -> None:
        """Build the seeds, the wanted models and all that they read.

        Raises:
            WarehouseError: a statement failed.
        """
        audit = self.dataset(project.audit_dataset)
        self._warehouse.ensure_dataset(audit)
        statements = [_seed_statement(node) for node in project.seeds.values()]
        for node in project.chain(wanted):
            statements += _model_statements(node)
        for statement in statements:
            self._warehouse.run(self._renamed(statement, project))

    def _renamed(self, statement: str, project: CompiledProject) -> str:
        for dataset in (project.audit_dataset, self._settings.raw_dataset, self._settings.history_dataset):
            statement = statement.replace(f"`.`{dataset}`.`", f"`.`{self.dataset(dataset)}`.`")
        return statement

    def rows(self, project: CompiledProject, model: str) -> list[Row]:
        """All rows of a table that was built."""
        dataset = self.dataset(project.audit_dataset)
        batches = warehouse_of(self._settings).read_arrow(f"{self._settings.project_id}.{dataset}.{model}")
        return [row for batch in batches for row in batch.to_pylist()]

    def drop(self) -> None:
        """Remove the datasets of this execution."""
        for dataset in self._warehouse.datasets():
            if dataset.endswith(f"_{self._label}"):
                self._warehouse.drop_dataset(dataset)


def _model_statements(node: Row) -> list[str]:
    name, query = node["relation_name"], node["compiled_code"]
    if node["config"]["materialized"] == "view":
        return [f"create view {name} as\n{query}"]
    if not node["config"]["contract"]["enforced"]:
        return [f"create table {name} as\n{query}"]
    # As the project does: the contract's columns decide the types.
    columns = ", ".join(f"{c['name']} {c['data_type']}" for c in node["columns"].values())
    names = ", ".join(node["columns"])
    return [
        f"create table {name} ({columns})",
        f"insert into {name} ({names})\nselect {names} from (\n{query}\n)",
    ]


def _seed_statement(node: Row) -> str:
    file = Path(node["root_path"]) / node["original_file_path"]
    kinds = node["config"]["column_types"]
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    selects = [
        "select " + ", ".join(f"cast('{value}' as {kinds[name]}) as {name}" for name, value in row.items())
        for row in rows
    ]
    return f"create table {node['relation_name']} as\n" + "\nunion all ".join(selects)
