"""The day's marts: land, build in audit, validate, publish all together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, get_current_context, task
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import DbtResourceType, ExecutionMode, InvocationMode, LoadMode, TestBehavior

from loaders.warehouse.dbt_producer import RebuildingProducer
from segue.settings import get_settings
from segue.task_defaults import task_defaults

if TYPE_CHECKING:
    from cosmos.dbt.graph import DbtNode

WINDOW_VARIABLES = (
    "start_date", "end_date", "as_of_date", "events_from_date", "versions_from_date", "audit_dataset",
)  # fmt: skip
"""What ``land`` decides and dbt is told."""

SEGMENTS = Asset(name="offer_segments", uri="segue://marts/offer_segments")

DOC = """
### What it does
Builds one UTC day from the files that arrived by its end: `land` → `build` → `validate` → `publish`.
Days that late events reach are rebuilt and published with it. Publishing emits the asset
`offer_segments`, which starts the DAG of that name. Running a day again, in any order, is safe.

Nothing is published unless every task succeeds: yesterday's marts and the online generation stay.

### When a task fails
- **`land`**: a file is missing or truncated, or its columns changed; the log names file, column and
  reason. Have the file delivered again and clear the task. Raw still holds what it held.
- **`build.*`**: a model or a data test; the log of `build.dbt_producer_watcher` names it. Fix the model
  and clear the task group. The audit dataset `audit_<day>` keeps what was built.
- **`validate`**: a critical expectation; the log names model, column, number of rows and sample keys.
  Look the keys up in the audit dataset and in `raw` (`landing_file`, `landing_row`), correct the source,
  clear from `land`.
- **`publish`**: another run changed the same tables at that moment. It retries by itself; clear it if it
  gave up.

### Backfill
`airflow backfill create --dag-id daily_marts --from-date A --to-date B` builds day by day, in any order.
To rebuild a long range as one (one landing, one dbt run, one publication), trigger the DAG with
`start_date` and `end_date`.
"""


def _window(key: str) -> str:
    """Template of one value of the window that ``land`` decided."""
    return f"{{{{ ti.xcom_pull(task_ids='land')['{key}'] }}}}"


def _only_published(node: DbtNode, **kwargs: Any) -> Any:
    """A task for every mart that is published by day; one for each staging view would crowd the graph."""
    from cosmos.airflow.graph import create_airflow_task, create_task_metadata

    if node.config.get("meta", {}).get("published") != "days":
        return None
    metadata = create_task_metadata(
        node=node,
        execution_mode=kwargs["execution_mode"],
        args=kwargs["task_args"],
        dbt_dag_task_group_identifier="",
        render_config=RenderConfig(test_behavior=kwargs["test_behavior"]),
    )
    return create_airflow_task(metadata, kwargs["dag"], kwargs["task_group"])


def _not_shown(**_: Any) -> None:
    """No task: seeds are built with everything else."""


settings = get_settings()

with DAG(
    dag_id="daily_marts",
    description="Land, build, validate and publish one UTC day of the subscriber and conversion marts.",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    doc_md=DOC,
    tags=["subscriptions", "marts", "daily"],
    params={
        "start_date": Param(
            None, type=["null", "string"], format="date", description="First day of a range."
        ),
        "end_date": Param(None, type=["null", "string"], format="date", description="Last day of a range."),
    },
    default_args=task_defaults(settings),
) as dag:

    @task(doc_md="Lands the arrival day (and earlier ones that are missing) and decides which days to build.")
    def land() -> dict[str, str]:
        from datetime import date

        from segue import run

        context = get_current_context()
        params = context["params"]
        if params["start_date"] and params["end_date"]:
            first, last = date.fromisoformat(params["start_date"]), date.fromisoformat(params["end_date"])
        else:
            first = last = context["data_interval_start"].date()
        window = run.land(get_settings(), first, last)
        return window.to_dict() | {"audit_dataset": get_settings().audit_dataset(window.end_date)}

    build = DbtTaskGroup(
        group_id="build",
        project_config=ProjectConfig(
            dbt_project_path=settings.dbt_project_dir,
            manifest_path=settings.dbt_manifest,
            install_dbt_deps=False,
        ),
        profile_config=ProfileConfig(
            profile_name="segue",
            target_name=settings.dbt_target,
            profiles_yml_filepath=settings.dbt_project_dir / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.WATCHER, invocation_mode=InvocationMode.DBT_RUNNER
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.AFTER_EACH,
            emit_datasets=False,
            node_converters={DbtResourceType.MODEL: _only_published, DbtResourceType.SEED: _not_shown},
        ),
        operator_args={
            "poke_interval": 1,
            # A deferred sensor that resumes while its first half is still being reported is failed by the
            # scheduler; these wait for seconds only.
            "deferrable": False,
            "dbt_cmd_flags": ["--exclude-resource-type", "unit_test"],
            "vars": {key: _window(key) for key in WINDOW_VARIABLES}
            | {
                "history_start_date": str(settings.history_start_date),
                "raw_dataset": settings.raw_dataset,
                "history_dataset": settings.history_dataset,
            },
        },
    )

    dag.get_task("build.dbt_producer_watcher").__class__ = RebuildingProducer

    @task(doc_md="Great Expectations over the partitions in audit; a critical failure ends the run here.")
    def validate(window: dict[str, str]) -> dict[str, int]:
        from airflow.sdk.exceptions import AirflowFailException

        from expectations.gate import ValidationFailedError
        from expectations.gate import validate as run_gate
        from segue.run import RunWindow

        days = RunWindow.from_dict(window)
        try:
            result = run_gate(get_settings(), days.start_date, days.end_date, days.as_of_date)
        except ValidationFailedError as error:
            raise AirflowFailException(str(error)) from error
        return {"expectations": len(result.outcomes), "warnings": len(result.warnings)}

    @task(
        outlets=[SEGMENTS], doc_md="Moves all marts' partitions from audit to the published dataset at once."
    )
    def publish(window: dict[str, str]) -> str:
        from loaders.warehouse.publish import drop_audit
        from loaders.warehouse.publish import publish as publish_marts
        from segue.run import RunWindow

        days = RunWindow.from_dict(window)
        publication = publish_marts(
            get_settings(), days.start_date, days.end_date, days.as_of_date, history=days.history
        )
        drop_audit(get_settings(), days.end_date)
        get_current_context()["outlet_events"][SEGMENTS].extra = {"segment_date": window["end_date"]}
        return publication.summary()

    landed = land()
    landed >> build >> validate(landed) >> publish(landed)
