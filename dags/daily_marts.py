"""The day's marts: land, build in audit, validate, publish all together."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from airflow.sdk import (
    DAG,
    CronDataIntervalTimetable,
    Param,
    PokeReturnValue,
    get_current_context,
    task,
)

from runs.step_tasks import MARTS, SEGMENTS, perform_step
from runs.steps import STEPS, Step, asked_by_trigger, given
from runs.task_defaults import failures_told, task_defaults
from segue.settings import get_settings
from segue.window import RunWindow

LOOK_AGAIN_SECONDS = 120
"""A look lists the landing: 30 requests and a query."""

DOC = """
### What it does
Builds one UTC day from the files that arrived by its end: `land` → `build` → `score` → `validate` →
`publish` → `drop_audit`.
Days that late events reach are rebuilt and published with it, and so are published days whose arrivals have
been corrected. Publishing emits the asset `offer_segments`, which starts the DAG of that name. Running a day
again, in any order, is safe.

Nothing is published unless the gate has let through what this very run built: yesterday's marts and the
online generation stay. Tasks may be cleared, repeated and marked successful in any order: publication looks
itself.

`land` begins when the day's files are complete: their `_manifest.json` says so, or none has come for
`SEGUE_LANDING_QUIET_MINUTES`. Until then it is `up_for_reschedule` and its log says what it waits for;
`SEGUE_LANDING_DEADLINE_HOURS` after the day it lands what is there, or fails at what has to be there.

### When a task fails
- **`land`**: a file is missing or truncated, or its columns changed; the log names file, column and
  reason. Have the file delivered again and clear the task. Raw still holds what it held. A feed that has
  ended for good: `SEGUE_FEEDS` names those that go on.
- **`build`**: a model; the log has a line for each and names those that failed. Fix the model
  and clear the task. Every attempt builds in a dataset of its own, `audit_<day>_<time>_…`, which keeps what
  was built for `SEGUE_AUDIT_RETENTION_DAYS`.
- **`score`**: as `build`: it builds what reads scores. A trained model that is missing, late or broken does
  not fail it: the log warns, `ops.run_ledger` has a row of step `score` with the reason, and the day is
  decided by earlier scores within their age. `segue models rollback` brings back the model before.
- **`validate`**: a critical expectation; the log names model, column and number of rows, and
  `ops.validation_results` has sample keys, which name people and so are in no log. Look them up in the audit
  dataset and in `raw` (`landing_file`, `landing_row`), correct the source, clear from `land`. If the days are
  to be published as they are: trigger the DAG with `start_date`, `end_date` and `override_reason`;
  `ops.publications` keeps the reason.
- **`publish`**: another run changed the same tables at that moment. It retries by itself; clear it if it
  gave up. `unjudged`: what is in audit is not what the gate passed; clear `validate`. When it had published
  before, it finds its publication and says so.
- **`nothing_left`**: the task before was marked successful without having run. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `land` | `landing_refused`, `landing_reader_killed`, `impossible_days`, `object_store`, `object_conflict` |
| `build`, `score` | `build_failed`, `dbt_project`, `declarations`, `other_project` |
| `validate` | `validation_failed`, `not_built`, `other_project` |
| `publish` | `unjudged`, `publication_refused`, `not_built`, `other_project` |
| any | `nothing_left`, `warehouse`, `service_unavailable`, `job_adrift`, `wrong_setting`, `file_system` |

### A file that was wrong
Replace it and clear the run of its day: the published days that it reaches are rebuilt with it. Days further
back than `SEGUE_RESTATEMENT_DAYS` are named in the log of `land`; trigger the DAG with `start_date` and
`end_date` for them.

### Backfill
`airflow backfill create --dag-id daily_marts --from-date A --to-date B` builds day by day, in any order.
To rebuild a range as one (one landing, one dbt run, one publication), trigger the DAG with `start_date` and
`end_date`; a long one in chunks, after a look at what it takes: the DAG `restate_range`.
"""


settings = get_settings()

with DAG(
    dag_id="daily_marts",
    description="Land, build, validate and publish one UTC day of the subscriber and conversion marts.",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    # Airflow leaves out, without a word, what a backfill asks for before a DAG's start.
    start_date=datetime.combine(settings.history_start_date, time(), UTC),
    catchup=False,
    max_active_runs=2,
    doc_md=DOC,
    tags=["subscriptions", "marts", "daily"],
    params={
        "start_date": Param(
            None, type=["null", "string"], format="date", description="First day of a range."
        ),
        "end_date": Param(None, type=["null", "string"], format="date", description="Last day of a range."),
        "data_tests": Param(
            False, type="boolean", description="Run dbt's tests with the build: after models were changed."
        ),
        "override_reason": Param(
            None,
            type=["null", "string"],
            description="Publish even if the gate refuses the days, for this reason, which is recorded.",
        ),
    },
    default_args=task_defaults(settings),
) as dag:

    def days_asked_for() -> RunWindow:
        context = get_current_context()
        params = context["params"]
        return asked_by_trigger(
            get_settings(),
            params["start_date"],
            params["end_date"],
            # A run by hand has none, unless it was given a logical date.
            context.get("data_interval_start"),
            data_tests=params["data_tests"],
            override_reason=params["override_reason"],
        )

    def run_step(name: str, window: dict[str, Any] | None) -> dict[str, Any]:
        return perform_step(name, window, days_asked_for)

    def run_when_ready(name: str, window: dict[str, Any] | None) -> PokeReturnValue:
        with failures_told():
            step, days = given(name, window, days_asked_for)
            reasons = step.awaited(get_settings(), days, datetime.now(UTC)) if step.awaited else []
        for reason in reasons:
            print(f"{name} waits: {reason}")
        return PokeReturnValue(not reasons, None if reasons else run_step(name, window))

    def task_of(step: Step, **declared: Any) -> Any:
        """A step that may have to wait is a sensor: between two looks it has no worker and no pool's slot.

        Rescheduled rather than deferred: a trigger that fires while the deferred half is still being
        reported ends in a failed task.
        """
        if step.awaited is None:
            return task(run_step, **declared)
        return task.sensor(run_when_ready, mode="reschedule", poke_interval=LOOK_AGAIN_SECONDS, **declared)

    window: Any = None
    for each in STEPS:
        run_this = task_of(
            each,
            task_id=each.name,
            doc_md=each.doc,
            pool=each.pool or "default_pool",
            outlets=[SEGMENTS, MARTS] if each.is_publication else [],
        )
        window = run_this(each.name, window)
