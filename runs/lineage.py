"""What was made of what, told to an OpenLineage receiver: what landed, models, what was published and loaded.

Audit datasets have one name, whatever the attempt, so that a catalogue has each table once. In an Airflow
task the parent is the task's own run, which Airflow's provider tells of. A receiver that does not answer
costs seconds, never a step's success. https://openlineage.io/docs/spec/naming
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlparse

import structlog

from segue.settings import Settings
from segue.window import RunWindow

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.facet_v2 import parent_run

    from runs.published import PublishedMart

log = structlog.get_logger(__name__)

_WAREHOUSE: Final = "bigquery"
_JOBS: Final = "segue"
_SECONDS: Final = 3.0

Origins = Mapping[str, list[list[str]]]
"""Column → [namespace, name, column] of each that it comes from."""


@dataclass(frozen=True)
class Made:
    """A table that a job has made, and of what.

    ``columns`` are its own, with what each comes from; ``inputs`` are (namespace, name) of what was read.
    """

    job: str
    namespace: str
    name: str
    columns: Origins
    inputs: tuple[tuple[str, str], ...]


def of_landing(settings: Settings, tables: Iterable[str]) -> list[Made]:
    """Raw tables: each column of the contract is that of the files; where a row came from, landing adds."""
    from loaders.landing.contracts import CONTRACTS
    from loaders.landing.schema import bigquery_schema

    where = urlparse(settings.landing_uri)
    namespace, prefix = f"{where.scheme}://{where.netloc}" if where.netloc else "file", where.path.strip("/")
    made = []
    for table in sorted(set(tables)):
        files = "/".join(filter(None, [prefix, table]))
        delivered = CONTRACTS[table].model_fields
        columns = {
            field.name: [[namespace, files, field.name]] if field.name in delivered else []
            for field in bigquery_schema(CONTRACTS[table])
        }
        raw = f"{settings.project_id}.{settings.raw_dataset}.{table}"
        made.append(Made(f"land.{table}", _WAREHOUSE, raw, columns, ((namespace, files),)))
    return made


def of_models(settings: Settings, window: RunWindow) -> list[Made]:
    """Models, as the SQL that the run executed makes them.

    The lineage of a project's columns is found out once, and kept as long as the project is the same. Where
    scores come between, a run builds in two parts, each with a lineage of its own.
    """
    files = _compiled(settings, window)
    parts = sha256("\n".join([window.project_digest or "", *files]).encode()).hexdigest()
    kept = settings.state_dir / "lineage" / f"{parts}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole = kept.with_suffix(f".{window.audit_dataset}")
        whole.write_text(json.dumps(_models(settings, window, files)))
        whole.replace(kept)
    return [
        Made(f"build.{name}", _WAREHOUSE, table, columns, tuple((_WAREHOUSE, each) for each in inputs))
        for name, table, columns, inputs in json.loads(kept.read_text())
    ]


def of_publication(settings: Settings, marts: Iterable[PublishedMart]) -> list[Made]:
    """Marts, of the audit dataset's tables."""
    made = []
    for mart in marts:
        audit = f"{settings.project_id}.{settings.audit_dataset_prefix}.{mart.name}"
        columns = {name: [[_WAREHOUSE, audit, name]] for name in mart.columns}
        table = f"{settings.project_id}.{mart.dataset(settings)}.{mart.name}"
        made.append(Made(f"publish.{mart.name}", _WAREHOUSE, table, columns, ((_WAREHOUSE, audit),)))
    return made


def of_load(settings: Settings) -> list[Made]:
    """The Bigtable table, of the published segments: the row key, and each field of the message in a cell.

    Raises:
        WarehouseError: BigQuery does not say which columns the segments have.
    """
    from loaders.bigtable.payload import column_of, fields_of
    from loaders.bigtable.rows import MESSAGE, ROW_KEY, TAIL_FIELDS
    from loaders.bigtable.source import SEGMENTS_TABLE
    from loaders.warehouse.client import warehouse_of
    from segue_client.bigtable.schema import OFFERS_FAMILY, OFFERS_QUALIFIER

    segments = f"{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}"
    found = warehouse_of(settings).find_table(segments)
    available = [field.name for field in found.schema] if found else []
    cell = f"{OFFERS_FAMILY}:{OFFERS_QUALIFIER.decode()}"
    of_field = {
        field.name: column_of(field, available) if field.name not in TAIL_FIELDS else None
        for field in fields_of(MESSAGE)
    }
    # Of the two that say where a cell comes from, the generation is the load's own number.
    of_field["segment_date"] = "segment_date"
    origins = {ROW_KEY: "account_id"} | {f"{cell}.{name}": column for name, column in of_field.items()}
    columns = {name: [[_WAREHOUSE, segments, column]] if column else [] for name, column in origins.items()}
    namespace = f"bigtable://{settings.project_id}/{settings.bigtable_instance}"
    return [Made("load", namespace, settings.bigtable_table, columns, ((_WAREHOUSE, segments),))]


def tell(settings: Settings, day: date, made: Callable[[], Iterable[Made]]) -> None:
    """Send what was made, on a run's last day, to ``SEGUE_OPENLINEAGE_URL``, if there is one."""
    if settings.openlineage_url is None:
        return
    told = 0
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        transport = HttpTransport(HttpConfig(settings.openlineage_url, timeout=_SECONDS, retry={"total": 1}))
        client = OpenLineageClient(transport=transport)
        parent, now = _parent(), datetime.now(UTC)
        for each in made():
            client.emit(_event(each, day, parent, now))
            told += 1
    except Exception as error:
        # Whatever it is, the step has done what it is there for.
        log.warning("lineage_not_told", told=told, cause=f"{type(error).__name__}: {error}"[:200])
    else:
        log.info("lineage_told", events=told)


def _compiled(settings: Settings, window: RunWindow) -> dict[str, Path]:
    """The SQL files that dbt has executed here for the run, by the model's id."""
    from runs.dbt import dbt_artefacts

    folder = dbt_artefacts(settings) / window.audit_dataset / "compiled"
    nodes = json.loads(settings.dbt_manifest.read_text())["nodes"]
    files = {
        key: folder / node["package_name"] / node["original_file_path"]
        for key, node in nodes.items()
        if node["resource_type"] == "model"
    }
    return {key: file for key, file in sorted(files.items()) if file.exists()}


def _models(
    settings: Settings, window: RunWindow, files: Mapping[str, Path]
) -> list[tuple[str, str, Origins, list[str]]]:
    from loaders.landing.contracts import CONTRACTS
    from loaders.landing.schema import bigquery_schema
    from runs.column_lineage import column_lineage

    manifest = json.loads(settings.dbt_manifest.read_text())
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    declared = {node["name"]: list(node["columns"]) for node in nodes.values()}
    project, audit = settings.project_id, f"{settings.project_id}.{settings.audit_dataset_prefix}"
    tables: dict[str, list[str]] = {
        f"{project}.{settings.raw_dataset}.{name}": [field.name for field in bigquery_schema(contract)]
        for name, contract in CONTRACTS.items()
    }
    datasets = (settings.history_dataset, settings.marts_dataset, settings.audit_dataset_prefix)
    for name, columns in declared.items():
        tables |= {f"{project}.{each}.{name}": columns for each in datasets if columns}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "seed":
            tables[f"{audit}.{node['name']}"] = list(node["columns"])
    order = TopologicalSorter(
        {key: [each for each in node["depends_on"]["nodes"] if each in nodes] for key, node in nodes.items()}
    )
    statements = []
    for key in order.static_order():
        if key in files:
            sql = (
                files[key]
                .read_text()
                .replace(f"`{window.audit_dataset}`", f"`{settings.audit_dataset_prefix}`")
            )
            statements.append((f"{audit}.{nodes[key]['name']}", sql))
    found = column_lineage(statements, tables)
    return [
        (
            table.rpartition(".")[2],
            table,
            {
                column: [[_WAREHOUSE, *source] for source in sorted(found_sources)]
                for column, found_sources in found.get(table, {}).items()
            },
            sorted({source for sources in found.get(table, {}).values() for source, _ in sources}),
        )
        for table, _ in statements
    ]


def _event(made: Made, day: date, parent: parent_run.ParentRunFacet, now: datetime) -> RunEvent:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import (
        column_lineage_dataset,
        job_type_job,
        nominal_time_run,
        schema_dataset,
    )
    from openlineage.client.uuid import generate_static_uuid

    run_id = generate_static_uuid(now, f"{parent.run.runId} {made.job}".encode())
    fields = {
        name: column_lineage_dataset.Fields(
            [column_lineage_dataset.InputField(each[0], each[1], each[2]) for each in origins]
        )
        for name, origins in made.columns.items()
        if origins
    }
    output = OutputDataset(
        made.namespace,
        made.name,
        facets={
            "schema": schema_dataset.SchemaDatasetFacet(
                [schema_dataset.SchemaDatasetFacetFields(name) for name in made.columns]
            ),
            "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields),
        },
    )
    return RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=now.isoformat(),
        run=Run(
            str(run_id),
            facets={
                "parent": parent,
                "nominalTime": nominal_time_run.NominalTimeRunFacet(f"{day}T00:00:00Z"),
            },
        ),
        job=Job(
            _JOBS,
            made.job,
            facets={"jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="SEGUE")},
        ),
        inputs=[InputDataset(*each) for each in made.inputs],
        outputs=[output],
        producer=f"https://pypi.org/project/segue/{version('segue')}",
    )


def _parent() -> parent_run.ParentRunFacet:
    """The Airflow task that this is in, below its DAG's run; a step by hand is told as a run of its own."""
    from openlineage.client.facet_v2 import parent_run
    from openlineage.client.uuid import generate_static_uuid

    told: dict[str, Any] = structlog.contextvars.get_contextvars()
    try:
        from airflow.providers.openlineage.plugins import macros
        from airflow.sdk import get_current_context

        task: Any = get_current_context()["ti"]
        run, job = macros.lineage_run_id(task), macros.lineage_job_name(task)
        namespace = macros.lineage_job_namespace()
        root = parent_run.Root(
            parent_run.RootRun(macros.lineage_root_run_id(task)),
            parent_run.RootJob(macros.lineage_root_job_namespace(task), macros.lineage_root_job_name(task)),
        )
    except (ImportError, RuntimeError):
        run_id, step = told.get("run_id", ""), told.get("step", "")
        run = str(generate_static_uuid(datetime.fromtimestamp(0, UTC), f"{run_id} {step}".encode()))
        job, namespace, root = f"run.{step}", _JOBS, None
    return parent_run.ParentRunFacet(parent_run.Run(run), parent_run.Job(namespace, job), root)
