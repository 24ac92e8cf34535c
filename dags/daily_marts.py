"""The day's marts: land, build in audit, validate, publish all together."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import (
    DAG,
    Asset,
    AssetAlias,
    CronDataIntervalTimetable,
    Param,
    get_current_context,
    task,
)

from segue.settings import get_settings
from segue.task_defaults import task_defaults

SEGMENTS = Asset(name="offer_segments", uri="segue://marts/offer_segments")
MARTS = AssetAlias("published_marts")
"""An event of its own for every mart that a run publishes, with its rows: for the UI."""

DOC = """
### What it does
Builds one UTC day from the files that arrived by its end: `land` → `build` → `validate` → `publish`.
Days that late events reach are rebuilt and published with it. Publishing emits the asset
`offer_segments`, which starts the DAG of that name. Running a day again, in any order, is safe.

Nothing is published unless every task succeeds: yesterday's marts and the online generation stay.

### When a task fails
- **`land`**: a file is missing or truncated, or its columns changed; the log names file, column and
  reason. Have the file delivered again and clear the task. Raw still holds what it held.
- **`build`**: a model or a data test; the log has a line for each and names those that failed. Fix the model
  and clear the task. The audit dataset `audit_<day>` keeps what was built.
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
        return window.to_dict()

    @task(doc_md="dbt, started once: every model of the run in its audit dataset, each with its data tests.")
    def build(window: dict[str, str]) -> None:
        from loaders.warehouse.build import build as build_models
        from segue.run import RunWindow

        days = RunWindow.from_dict(window)
        build_models(
            get_settings(),
            days.start_date,
            days.end_date,
            days.as_of_date,
            history=days.history,
            on_node=print,
        )

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
        outlets=[SEGMENTS, MARTS],
        doc_md="Moves all marts' partitions from audit to the published dataset at once.",
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
        events, rows = get_current_context()["outlet_events"], publication.rows_of_marts()
        events[SEGMENTS].extra = {"segment_date": window["end_date"], "rows": rows.pop(SEGMENTS.name, 0)}
        for mart, count in rows.items():
            days_of = {"start_date": window["start_date"], "end_date": window["end_date"], "rows": count}
            events[MARTS].add(Asset(name=mart, uri=f"segue://marts/{mart}"), extra=days_of)
        return publication.summary()

    landed = land()
    build(landed) >> validate(landed) >> publish(landed)
