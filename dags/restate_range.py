"""A long range of days, built again in chunks: one dbt run and one publication each."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task, task_group

from runs.step_tasks import MARTS, SEGMENTS, perform_step
from runs.steps import STEPS, asked
from runs.task_defaults import task_defaults, task_told
from segue.settings import get_settings

DOC = """
### What it does
Builds the days from `from_date` to `to_date` again, in chunks of `chunk_days`: each chunk is landed, built by
one dbt run, judged and published by itself, in whichever order Airflow takes them. `plan` says before
anything starts which days, how many partitions of which marts, how many bytes, and what is not built again
or not as far back; with `dry_run` that is all. Days that have not arrived whole, as today, are refused.

A chunk is one index of the mapped tasks, named by its days: *Grid* shows how far it is, the run's tab *Segue
day* how long each step took. One that failed is cleared, with what
follows it; the others are not touched. A partition that was published from newer knowledge meanwhile is left
alone. Segments that are online stay: an older day never displaces a newer one.

What may be built again, how far back, and why no further: docs/operate.md, *Build a range again*.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `plan` | `impossible_days`, `object_store` |
| any | `nothing_left`, `landing_refused`, `build_failed`, `validation_failed` |
| any | `warehouse`, `service_unavailable`, `wrong_setting` |
"""

CHUNK_DAYS = 31
"""A month: one dbt run of it takes little longer than one of a day."""
CHUNK_LABEL = "{{ task.op_kwargs['days']['start_date'] }}..{{ task.op_kwargs['days']['end_date'] }}"
"""How the UI names a chunk's tasks."""

settings = get_settings()

with DAG(
    dag_id="restate_range",
    description="Build a long range of days again, chunk by chunk, after saying what that will take.",
    schedule=None,
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "marts", "by hand"],
    params={
        "from_date": Param(type="string", format="date", description="First day."),
        "to_date": Param(type="string", format="date", description="Last day."),
        "chunk_days": Param(
            CHUNK_DAYS, type="integer", minimum=1, maximum=366, description="Days of one dbt run."
        ),
        "dry_run": Param(True, type="boolean", description="Only say what it would do."),
        "data_tests": Param(
            False, type="boolean", description="Run dbt's tests with the build: after models were changed."
        ),
    },
    default_args=task_defaults(settings),
) as dag:
    # Whoever asks for a range is there to read why it is refused: nothing has broken that nobody sees.
    @task(doc_md="Says which days, partitions and bytes, and what the chunks are.", on_failure_callback=None)
    def plan() -> list[dict[str, str]]:
        from airflow.sdk.exceptions import AirflowSkipException

        from runs.restate_range import plan_range

        params = get_current_context()["params"]
        first, last = (date.fromisoformat(params[name]) for name in ("from_date", "to_date"))
        with task_told(last):
            planned = plan_range(get_settings(), first, last, params["chunk_days"])
        print(*planned.lines(), sep="\n")
        if params["dry_run"]:
            raise AirflowSkipException("a dry run: nothing is built")
        return [chunk.to_dict() for chunk in planned.chunks]

    def run_step(name: str, days: dict[str, str], window: dict[str, Any] | None) -> dict[str, Any]:
        first, last = (date.fromisoformat(days[end]) for end in ("start_date", "end_date"))
        data_tests = get_current_context()["params"]["data_tests"]
        return perform_step(name, window, lambda: asked(get_settings(), first, last, data_tests=data_tests))

    @task_group(tooltip="One chunk: a dbt run, and a publication.")
    def chunk(days: dict[str, str]) -> None:
        window: Any = None
        for step in STEPS:
            run_this = task(
                run_step,
                task_id=step.name,
                doc_md=step.doc,
                pool=step.pool or "default_pool",
                outlets=[SEGMENTS, MARTS] if step.is_publication else [],
                # Also while it runs: of what a task would set itself the UI learns at its end.
                map_index_template=CHUNK_LABEL,
                # Days of the morning's run must not wait for all chunks.
                max_active_tis_per_dagrun=1,
            )
            window = run_this(name=step.name, days=days, window=window)

    @task(doc_md="When every chunk is published: says that what was wrong before is over.")
    def tell() -> None:
        from runs.restate_range import tell_published

        context = get_current_context()
        first, last = (date.fromisoformat(context["params"][name]) for name in ("from_date", "to_date"))
        with task_told(last):
            tell_published(get_settings(), first, last, context["dag_run"].run_after)

    chunk.expand(days=plan()) >> tell()
