"""A dbt practitioner's first hour: plain commands from ``dbt/``; an env file says where the platform is.

The commands are those of docs/dbt.md. Each costs a start of dbt, so each proves what it can, and only the
first has a shell and a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders.warehouse.client import warehouse_of
from runs.dbt import same_flags
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Warehouse
from tests.dbt.march import AS_OF

PAGE = (PROJECT_ROOT / "docs" / "dbt.md").read_text()
COMMANDS = re.findall(r"^\$ (.*\bdbt .+?)(?: +#.*)?$", PAGE, flags=re.MULTILINE)
QUERIES = "".join((PROJECT_ROOT / "docs" / page).read_text() for page in ("queries.md", "queries-by-mart.md"))
LAST_DAY = date(2026, 3, 5)

Json = dict[str, Any]
Dbt = Callable[[str], str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt leaves its artefacts."""
    return tmp_path_factory.mktemp("practitioner")


@pytest.fixture(scope="module")
def env_file(march: Warehouse, target: Path) -> Path:
    """What the platform writes for whoever works beside it."""
    file = target / "segue.env"
    file.write_text(
        f"SEGUE_PROJECT_ID={march.settings.project_id}\n"
        f"SEGUE_BIGQUERY_ENDPOINT={march.settings.bigquery_endpoint}\n"
    )
    return file


def environment_of(target: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target / "logs"),
        "SEGUE_DBT_DAY": LAST_DAY.isoformat(),
    }


@pytest.fixture(scope="module")
def shell(env_file: Path, target: Path) -> Dbt:
    """Runs a command of the page as a shell beside the platform would; returns what it prints."""

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"set -a; . {env_file}; set +a; {command}"],
            cwd=PROJECT_ROOT / "dbt",
            env=environment_of(target),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture
def dbt(env_file: Path, target: Path, whole_build: str, monkeypatch: pytest.MonkeyPatch) -> Dbt:
    """The same on the whole build, without the seconds that a shell's dbt takes to be loaded."""
    from dbt.cli.main import dbtRunner

    def run(command: str) -> str:
        name, *arguments = shlex.split(command)
        assert name == "dbt"
        variables = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        variables |= environment_of(target) | {"SEGUE_AUDIT_DATASET": whole_build}
        for other in [each for each in os.environ if each.startswith("SEGUE_") and each not in variables]:
            monkeypatch.delenv(other)
        for each, value in variables.items():
            monkeypatch.setenv(each, value)
        monkeypatch.chdir(PROJECT_ROOT / "dbt")
        with redirect_stdout(StringIO()) as printed, same_flags():
            done = dbtRunner().invoke(arguments)
        assert done.success, f"{done.exception}\n{printed.getvalue()[-3000:]}"
        return printed.getvalue()

    return run


@pytest.fixture(scope="module")
def whole_build(march: Warehouse) -> str:
    """The dataset in which every model was built."""
    return march.settings.audit_dataset(LAST_DAY)


@pytest.fixture(scope="module")
def manifest(parsed_project: Path) -> Json:
    """The project, parsed without credentials."""
    content: Json = json.loads(parsed_project.read_text())
    return content


def the_page_says(command: str) -> str:
    assert command in COMMANDS, f"docs/dbt.md has no line `$ {command}`"
    return command


def marts(manifest: Json) -> dict[str, Json]:
    """Nodes of the marts that analysts read, by unique id."""
    return {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["meta"].get("published") in ("days", "whole")
    }


def test_a_mart_is_built_with_all_that_it_reads_and_described_in_a_dataset_of_ones_own(
    shell: Dbt, march: Warehouse, whole_build: str, manifest: Json
) -> None:
    printed = shell(the_page_says("dbt build --select +fct_subscriber_daily"))

    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", printed)
    # The day that SEGUE_DBT_DAY names, as the run knew it that built all five.
    day = f"snapshot_date = '{LAST_DAY}'"
    assert march.rows("audit.fct_subscriber_daily", "account_id, movement", "1") == march.rows(
        f"{whole_build}.fct_subscriber_daily", "account_id, movement", "1", day
    )
    built = warehouse_of(march.settings).columns(f"{march.settings.project_id}.audit.fct_subscriber_daily")
    declared = manifest["nodes"]["model.segue.fct_subscriber_daily"]["columns"]
    assert {each.name: each.description for each in built} == {
        name: column["description"] for name, column in declared.items()
    }


def test_every_test_passes_on_a_whole_build(dbt: Dbt) -> None:
    printed = dbt(the_page_says("dbt test"))

    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", printed)


def test_the_catalog_has_every_published_mart_with_its_columns_and_rows(
    dbt: Dbt, march: Warehouse, manifest: Json, whole_build: str, target: Path
) -> None:
    printed = dbt(the_page_says("dbt docs generate"))

    assert "Encountered an error" not in printed
    catalog = json.loads((target / "catalog.json").read_text())
    assert catalog["errors"] is None
    counted = march.query(
        " union all ".join(
            f"select '{key}' as mart, count(*) as row_count from {whole_build}.{node['name']}"
            for key, node in marts(manifest).items()
        )
    )
    rows = {key: catalog["nodes"][key]["stats"]["num_rows"]["value"] for key in marts(manifest)}
    assert rows == {row.mart: row.row_count for row in counted}
    for key, node in marts(manifest).items():
        # A field of a struct is listed by its path.
        columns = {name for name in catalog["nodes"][key]["columns"] if "." not in name}
        assert columns == set(node["columns"]), key
    assert catalog["sources"].keys() >= {
        key for key in manifest["sources"] if ".history." not in key and ".published." not in key
    }


def test_a_selector_lists_the_marts(dbt: Dbt, manifest: Json) -> None:
    listed = dbt(the_page_says("dbt ls --selector marts --resource-type model"))

    names = {line.rsplit(".", 1)[-1] for line in listed.splitlines() if line.startswith("segue.marts.")}
    assert names == {node["name"] for node in marts(manifest).values()}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("dbt show --select fct_subscriber_daily --limit 3", "| snapshot_date |"),
        (
            'dbt show --inline "select max(arrival_date) as landed_until '
            "from {{ source('identity', 'accounts') }}\"",
            "landed_until",
        ),
        ("dbt compile --select fct_subscriber_daily", "select"),
        (
            "dbt ls --select +exposure:offer_lookup --resource-type model",
            "segue.marts.segments.offer_segments",
        ),
        ("dbt ls --select fct_account_features+ --resource-type exposure", "exposure:segue.segment_plan"),
    ],
)
def test_what_is_asked_in_passing_is_answered(dbt: Dbt, command: str, says: str) -> None:
    assert says in dbt(the_page_says(command))


def test_rows_are_shown_for_days_given_as_yaml_dates(dbt: Dbt) -> None:
    command = the_page_says("dbt show --select int_subscription_versions --vars '{as_of_date: 2026-11-20}'")

    shown = dbt(command.replace("2026-11-20", AS_OF))

    # No order is asked for, so any five rows of the table may be shown.
    days = re.findall(r"^\| (\d{4}-\d{2}-\d{2}) \|", shown, flags=re.MULTILINE)
    assert len(days) == 5
    assert all(day.startswith("2026-03-") for day in days)


def test_exposures_read_marts(manifest: Json) -> None:
    exposures = manifest["exposures"].values()

    assert {exposure["name"] for exposure in exposures} == {
        "bigtable_load", "offer_lookup", "segment_plan", "experiment_readout", "example_queries",
    }  # fmt: skip
    for exposure in exposures:
        assert exposure["depends_on"]["nodes"], exposure["name"]
        assert set(exposure["depends_on"]["nodes"]) <= marts(manifest).keys(), exposure["name"]


def test_the_example_queries_are_exposed_with_the_marts_that_they_read(manifest: Json) -> None:
    exposure = manifest["exposures"]["exposure.segue.example_queries"]

    assert {key.rsplit(".", 1)[-1] for key in exposure["depends_on"]["nodes"]} == set(
        re.findall(r"marts\.(\w+)", QUERIES)
    ) - {"experiment_readout", "INFORMATION_SCHEMA"}, "those are no models: readouts come after publications"


def test_everything_has_an_owner(manifest: Json) -> None:
    for kind in ("nodes", "sources", "exposures", "metrics", "semantic_models"):
        for key, node in manifest[kind].items():
            if node["resource_type"] in ("test", "operation"):
                continue
            config = node.get("config", {})
            assert config.get("group") or node.get("owner") or config.get("meta", {}).get("owner"), key


def test_only_marts_are_open_to_everybody(manifest: Json) -> None:
    open_models = {
        key
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["access"] == "public"
    }

    assert open_models == set(marts(manifest))


def test_a_description_that_repeats_is_written_once() -> None:
    """From three times on; fewer are easier to read where they stand."""
    written: dict[str, list[str]] = {}
    for file in (PROJECT_ROOT / "dbt").rglob("*.yml"):
        content = yaml.safe_load(file.read_text()) if "target" not in file.parts else None
        for model in [*(content or {}).get("models", []), *(content or {}).get("seeds", [])]:
            if not isinstance(model, dict):
                continue
            for column in model.get("columns", []):
                text = column.get("description", "").strip()
                if not text.startswith("{{ doc("):
                    written.setdefault(text, []).append(f"{model['name']}.{column['name']}")

    assert {text: columns for text, columns in written.items() if len(columns) > 2} == {}
