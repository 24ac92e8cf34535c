"""Whether models still see what they learned from, after every publication."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, Param, get_current_context, task

from runs.handover import left_by
from runs.task_defaults import failures_told, task_defaults, task_told
from segue.settings import get_settings

FEATURES = Asset(name="fct_account_features", uri="segue://marts/fct_account_features")

DOC = """
### What it does
Triggered by the asset `fct_account_features`, which `daily_marts` publishes. Of every model that scores
accounts, in use or in shadow, and of a sample of its population on the newest published day: how features and
scores are spread against training, and how many accounts lack a value (`ops.model_measures`, judged by Great
Expectations like marts); and why each of these accounts has its score (`ops.score_contributions`).

What warns is a line of the log. What is critical is an alert, and no version is promoted while it lasts;
nothing is retired by itself: `segue models page NAME` shows what has changed, `segue models retire` and
`rollback` are for people.

Clearing or triggering it again is safe: a day is replaced. A day that is not the newest published one, as of
a range that is built again, is measured, and tells and ends nothing. A backfill's days are not measured one
by one: of several days the newest is.

### When a task fails
- **`choose_day`**: triggered by hand without `day`. Trigger it again with it.
- **`watch`**: BigQuery or the folder of the models did not answer, or a model's bytes have changed; the log
  names it. Nothing else depends on it: clear it.
- **`nothing_left`**: `choose_day` was marked successful without having run. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `watch` | `model_artifact`, `warehouse`, `service_unavailable`, `job_adrift`, `alert_not_sent` |
| any | `nothing_left`, `wrong_setting` |
"""

settings = get_settings()

with DAG(
    dag_id="model_watch",
    description="Measure drift of the models in use and in shadow after each publication.",
    schedule=[FEATURES],
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two at a time would replace the same day.
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "models"],
    params={
        "day": Param(None, type=["null", "string"], format="date", description="When triggered by hand."),
    },
    default_args=task_defaults(settings),
) as dag:

    @task(doc_md="The newest day of the asset events that started this run, or the parameter.")
    def choose_day() -> dict[str, str]:
        from airflow.sdk.exceptions import AirflowFailException

        context = get_current_context()
        if context["params"]["day"]:
            return {"day": context["params"]["day"]}
        published = [event.extra["end_date"] for event in context["triggering_asset_events"][FEATURES]]
        if not published:
            raise AirflowFailException("no published day: trigger with day")
        return {"day": max(published)}

    @task(doc_md="Measures the day's models, judges the measures, and tells what is critical.")
    def watch(chosen: dict[str, str] | None) -> list[str]:
        from datetime import date

        from runs.model_watch import watch as watch_day

        with failures_told():
            [found] = left_by("choose_day", "watch", [chosen])
        day = date.fromisoformat(found["day"])
        with task_told(day):
            watched = watch_day(get_settings(), day)
        summaries = [each.summary() for each in watched] or ["no model scores"]
        print("\n".join(summaries))
        return summaries

    watch(choose_day())
