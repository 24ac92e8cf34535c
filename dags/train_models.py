"""Trained models: once a week, or when somebody asks, from what is published."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule, get_current_context, task

from runs.handover import left_by
from runs.task_alerts import day_of_run
from runs.task_defaults import failures_told, task_defaults, task_told
from segue.settings import get_settings

DOC = """
### What it does
Every Monday at 10:00 UTC, when Sunday is published: `choose_models` names the models of `scoring/models`
that are due, `examples` builds what they learn from as known at the end of the day, `train` (one task a
model) grows the trees on the older days, evaluates them on the days that were held back, and decides:
refused, in shadow, or promoted. A candidate whose days in shadow are over is judged first, by outcomes that
were not known when it was chosen. `drop_examples` removes the examples; `tell` says that what was wrong with
a training before is over.

`train` evaluates and decides in one task: all of it looks at the same examples, and a model that nobody has
judged is of no use to another task. Each decision, with its reasons, is a row of `ops.model_registry`;
`segue models list` shows them. A model that is promoted scores from the next day on that has not been
published (`score` in `daily_marts`).

By hand: trigger it with `day`, the last day that may be known, and `models`; named ones are trained whether
they are due or not. Trained again on the same day from the same data, a model has the same bytes and nothing
is decided twice. A backfill trains as of the end of each of its weeks.

### When a task fails
- **`choose_models`**: a file of `scoring/models` has a mistake, or a model that was named is not declared.
- **`examples`**: the day is not published yet, or a model of dbt failed. Publish the day, clear the task.
- **`train`**: the log names the model and what is wrong with it; the others are trained all the same, and
  what is in use stays so. Clear it.
- **`nothing_left`**: the task before was marked successful without having run. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `choose_models` | `declarations`, `unknown_model` |
| `examples` | `training`, `build_failed`, `dbt_project` |
| `train` | `training`, `model_artifact`, `tree_library`, `object_store` |
| any | `nothing_left`, `warehouse`, `service_unavailable`, `job_adrift`, `wrong_setting` |
"""

settings = get_settings()

with DAG(
    dag_id="train_models",
    description="Train, evaluate and decide about the models that score accounts, week by week.",
    schedule=CronDataIntervalTimetable("0 10 * * 1", timezone="UTC"),
    start_date=datetime(2020, 1, 6, tzinfo=UTC),
    catchup=False,
    # What is decided on a day follows from what was decided before.
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "models", "weekly"],
    params={
        "day": Param(None, type=["null", "string"], format="date", description="Last day that may be known."),
        "models": Param(
            [], type="array", items={"type": "string"}, description="Names; none: those that are due."
        ),
    },
    default_args=task_defaults(settings),
) as dag:

    @task(doc_md="The day, by the parameters or the data interval, and which models are to be trained.")
    def choose_models() -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowSkipException

        from runs.training_tasks import chosen

        context = get_current_context()
        params, ended = context["params"], context.get("data_interval_end")
        last = ended or datetime.now(UTC)
        day = date.fromisoformat(params["day"]) if params["day"] else last.date() - timedelta(days=1)
        with task_told(day):
            names = chosen(get_settings(), day, params["models"])
        print(f"{day}: {', '.join(names) or 'no model is due'}")
        if not names:
            raise AirflowSkipException(f"no model is due on {day}")
        return {"day": str(day), "models": names}

    @task(doc_md="Builds what the models learn from, in a dataset of its own.")
    def examples(asked: dict[str, Any] | None) -> list[dict[str, Any]]:
        from runs.training_tasks import build_for

        with failures_told():
            [found] = left_by("choose_models", "examples", [asked])
        day = date.fromisoformat(found["day"])
        with task_told(day):
            window = build_for(get_settings(), day, found["models"])
        return [{"window": window.model_dump(mode="json"), "model": name} for name in found["models"]]

    @task(
        doc_md="Trains one model, evaluates it on the held-back days, and decides about it.",
        map_index_template="{{ task.op_kwargs['model'] }}",
    )
    def train(window: dict[str, Any], model: str) -> list[str]:
        from runs.training_tasks import train_one
        from segue.window import RunWindow

        days = RunWindow.model_validate(window)
        with task_told(days.end_date):
            decided_by = f"train_models {get_current_context()['run_id']}"
            lines = train_one(get_settings(), days, model, decided_by)
        for line in lines:
            print(line)
        return lines

    @task(doc_md="Removes the examples.", trigger_rule=TriggerRule.ALL_DONE)
    def drop_examples(built: list[dict[str, Any]] | None) -> None:
        from runs.attempts import end_attempt
        from segue.window import RunWindow

        for each in (built or [])[:1]:
            window = RunWindow.model_validate(each["window"])
            with task_told(window.end_date):
                end_attempt(get_settings(), window)

    # Also when no model is due.
    @task(doc_md="Says that what was wrong with a training is over.", trigger_rule=TriggerRule.NONE_FAILED)
    def tell() -> None:
        from runs.incidents import recovered

        day = day_of_run(dict(get_current_context()))
        with task_told(day):
            recovered(get_settings(), "trained", "what was due is trained", lambda each: each.day <= day)

    built = examples(choose_models())
    train.expand_kwargs(built) >> [drop_examples(built), tell()]
