"""What experiments have shown, after every publication."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, Param, get_current_context, task

from runs.handover import left_by
from runs.task_defaults import failures_told, task_defaults, task_told
from segue.settings import get_settings

SUMS = Asset(name="agg_experiment_daily", uri="segue://marts/agg_experiment_daily")

DOC = """
### What it does
Triggered by the asset `agg_experiment_daily`, which `daily_marts` publishes. Reads every running experiment
and holdout for the published days, and for those after them, whose readouts add up the same sums, and writes
`marts.experiment_readout`: a few hundred rows, however many accounts there are.

An experiment that must stop (a guardrail is breached, something got worse, the arms do not have the
accounts they were meant to have, or were logged otherwise than drawn) is an incident: a row of
`ops.incidents`, told by every channel that the settings name (docs/operate.md, *Alerts*). Each cause is told
once, also on retries, clears and backfills; it is over when the experiment exposes nobody any more.

Clearing or triggering it again is safe: a day is replaced whole, from the sums that are published then.

### When a task fails
- **`choose_days`**: triggered by hand without `start_date` and `end_date`. Trigger it again with both.
- **`read`**: BigQuery did not answer, or a file of `experiments/` has a mistake; the log names it. Clear it.
  `alert_not_sent`: a channel did not take an alert; the next try tells what it did not.
- **`nothing_left`**: `choose_days` was marked successful without having run. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `read` | `alert_not_sent`, `declarations`, `warehouse`, `service_unavailable`, `job_adrift` |
| any | `nothing_left`, `wrong_setting` |
"""

settings = get_settings()

with DAG(
    dag_id="experiments",
    description="Read running experiments and holdouts after each publication; alert when one must stop.",
    schedule=[SUMS],
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two at a time would replace the same days, and tell of one cause twice.
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "experiments"],
    params={
        "start_date": Param(
            None, type=["null", "string"], format="date", description="First day, when triggered by hand."
        ),
        "end_date": Param(
            None, type=["null", "string"], format="date", description="Last day, when triggered by hand."
        ),
    },
    default_args=task_defaults(settings),
) as dag:

    @task(doc_md="The days of the asset events that started this run, or the parameters.")
    def choose_days() -> dict[str, str]:
        from airflow.sdk.exceptions import AirflowFailException

        context = get_current_context()
        params = context["params"]
        if params["start_date"] and params["end_date"]:
            return {"start_date": params["start_date"], "end_date": params["end_date"]}
        published = [event.extra for event in context["triggering_asset_events"][SUMS]]
        if not published:
            raise AirflowFailException("no published days: trigger with start_date and end_date")
        return {
            "start_date": min(days["start_date"] for days in published),
            "end_date": max(days["end_date"] for days in published),
        }

    @task(doc_md="Writes the readouts of the days and of those after them, and tells what nobody was told.")
    def read(days: dict[str, str] | None) -> str:
        from datetime import date

        from runs.experiment_readouts import write_readouts
        from runs.incidents import recovered

        with failures_told():
            [chosen] = left_by("choose_days", "read", [days])
        first, last = (date.fromisoformat(chosen[name]) for name in ("start_date", "end_date"))
        with task_told(last):
            written = write_readouts(get_settings(), first, last)
            recovered(get_settings(), "readouts", f"readouts of {first}..{last} were written")
        for alert in written.alerts:
            print(f"{alert.experiment_id} must stop: {alert.cause}: {alert.detail}")
        print(written.summary())
        return written.summary()

    read(choose_days())
