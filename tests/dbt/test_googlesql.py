"""It is BigQuery's SQL: Google's own analyzer resolves every compiled model against the declared sources."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import bigquery_schema
from loaders.warehouse.build import dbt_environment, dbt_vars
from segue.settings import Settings
from tests.dbt.conftest import Warehouse, day

Columns = list[tuple[str, Any]]

KINDS = {
    "STRING": "TYPE_STRING", "BOOL": "TYPE_BOOL", "INT64": "TYPE_INT64", "NUMERIC": "TYPE_NUMERIC",
    "DATE": "TYPE_DATE", "TIMESTAMP": "TYPE_TIMESTAMP", "JSON": "TYPE_JSON",
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(world: Callable[..., Settings]) -> Path:
    """dbt's target folder with the compiled SQL of every model and the manifest."""
    from dbt.cli.main import dbtRunner

    settings = Warehouse(world("googlesql")).settings
    target = settings.state_dir / "compiled"
    march = day("2026-03-01"), day("2026-03-31")
    arguments = [
        *("compile", "--quiet", "--target", "embedded", "--target-path", str(target)),
        *("--project-dir", str(settings.dbt_project_dir), "--profiles-dir", str(settings.dbt_project_dir)),
        *("--log-path", str(target), "--vars", json.dumps(dbt_vars(settings, *march, march[1]))),
    ]
    with mock.patch.dict(os.environ, dbt_environment(settings)):
        result = dbtRunner().invoke(arguments)
    assert result.success, result.exception
    return target


class Resolver:
    """Resolves statements against the tables it has been told of."""

    def __init__(self) -> None:
        from zetasql.api import TypeFactory
        from zetasql.types import AnalyzerOptions, LanguageOptions, TypeKind

        self._kinds = {name: getattr(TypeKind, kind) for name, kind in KINDS.items()}
        self._names = {int(kind): name for name, kind in self._kinds.items()}
        self._language = LanguageOptions.maximum_features()
        self._options = AnalyzerOptions()
        self._options.language_options = self._language
        self._simple = TypeFactory.create_simple_type
        self.tables: dict[str, Columns] = {}

    def declare_source(self, table: str, contract: str) -> None:
        """A raw table with the columns of its landing contract."""
        fields = bigquery_schema(CONTRACTS[contract])
        self.tables[table] = [(f.name, self._simple(self._kinds[f.field_type])) for f in fields]

    def declare(self, table: str, kinds: dict[str, str]) -> None:
        """A table with columns of these types."""
        names = {name: kind.upper().split("(")[0] for name, kind in kinds.items()}
        self.tables[table] = [(name, self._simple(self._kinds[kind])) for name, kind in names.items()]

    def resolve(self, sql: str) -> Columns:
        """Output columns of a query in GoogleSQL's types; unknown names and mismatched types raise."""
        from zetasql.api import Analyzer, CatalogBuilder, TableBuilder
        from zetasql.types import ResolvedQueryStmt, ZetaSQLBuiltinFunctionOptions

        # A catalog knows a table by one name; dbt quotes its three parts apart.
        sql = re.sub(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`", r"`\1.\2.\3`", sql)
        catalog = CatalogBuilder("warehouse")
        for name, columns in self.tables.items():
            if name in sql:
                table = TableBuilder(name)
                for column, kind in columns:
                    table.add_column(column, kind)
                catalog.add_table(table.build())
        catalog.with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language_options=self._language))
        statement = Analyzer(options=self._options, catalog=catalog.build()).analyze_statement(sql)
        if type(statement).__name__ != "ResolvedQueryStmt":
            statement = statement.as_type(ResolvedQueryStmt)
        return [(column.name, column.column.type) for column in statement.output_column_list]

    def kind(self, resolved: Any) -> str:
        """A resolved type's name; what is not simple (arrays) by its own."""
        return self._names.get(int(resolved.type_kind), "OTHER")


def full_name(node: dict[str, Any]) -> str:
    return f"{node['database']}.{node['schema']}.{node.get('alias') or node['identifier']}"


def models_in_order(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Models, each after the models that it reads."""
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    ordered: dict[str, dict[str, Any]] = {}

    def visit(key: str) -> None:
        if key in models and key not in ordered:
            for needed in models[key]["depends_on"]["nodes"]:
                visit(needed)
            ordered[key] = models[key]

    for key in models:
        visit(key)
    return list(ordered.values())


def test_every_model_resolves_and_the_marts_have_the_types_of_their_contracts(compiled: Path) -> None:
    manifest = json.loads((compiled / "manifest.json").read_text())
    resolver = Resolver()
    for source in manifest["sources"].values():
        if source["source_name"] != "history":
            resolver.declare_source(full_name(source), source["name"])
            continue
        # What earlier runs published has the columns of its model's contract.
        model = manifest["nodes"][f"model.segue.{source['name']}"]
        kinds = {name: column["data_type"] for name, column in model["columns"].items()}
        resolver.declare(full_name(source), kinds)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "seed":
            resolver.declare(full_name(node), node["config"]["column_types"])

    resolved: dict[str, Columns] = {}
    for model in models_in_order(manifest):
        sql = (compiled / "compiled" / "segue" / model["original_file_path"]).read_text()
        resolved[model["name"]] = resolver.tables[full_name(model)] = resolver.resolve(sql)

    for model in models_in_order(manifest):
        if not model["config"]["contract"]["enforced"]:
            continue
        declared = {
            name: column["data_type"].upper().split("(")[0] for name, column in model["columns"].items()
        }
        simple = {name: kind for name, kind in declared.items() if kind in KINDS}
        actual = {name: resolver.kind(kind) for name, kind in resolved[model["name"]]}
        assert set(actual) == set(declared), model["name"]
        assert {name: actual[name] for name in simple} == simple, model["name"]


def test_an_unknown_column_does_not_resolve() -> None:
    resolver = Resolver()
    resolver.declare_source("p.raw.plans", "plans")

    assert [name for name, _ in resolver.resolve("select plan_id from `p`.`raw`.`plans`")] == ["plan_id"]
    with pytest.raises(Exception, match="plan_idd"):
        resolver.resolve("select plan_idd from `p`.`raw`.`plans`")
