"""Whether a day is there by its deadlines, and as days usually are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from airflow.sdk import (
    DAG,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    SyncCallback,
    get_current_context,
    task,
)

from runs.deadlines import marts_due, segments_due
from runs.task_defaults import task_defaults, task_told
from segue.settings import get_settings

LOOK_AGAIN_SECONDS = 300
GIVE_UP = timedelta(hours=23)
"""The day after has a watch of its own; a publication closes incidents whenever it comes."""

DOC = """
### What it does
Looks at one UTC day from its end on, and touches nothing: `marts_published` waits until a run has published
it, `segments_online` until readers see its segments; `feeds` says which feed has brought nothing for longer
than it ever has lately, `volumes` whether feeds and marts have as many rows as the same weekday of the last
eight weeks; `tell` says that a look that had failed is made up for. What is wrong becomes an incident in
`ops.incidents` and is told by every channel that the settings name (docs/operate.md, *Alerts*), one time; a
recovery closes it, and is told too.

It is a DAG of its own because it asks what is there, not what ran: a deadline of `daily_marts` would be
missed by every backfill, and one of `offer_segments` does not exist while nothing is published.
Looked at again, a day that is not the newest any more ends nothing that was found later.

### Deadlines
The marts of a day are due `SEGUE_MARTS_DEADLINE_HOURS` after its end (6: 06:00 UTC), its segments
`SEGUE_ONLINE_DEADLINE_HOURS` (6.5). At each the scheduler has a worker look, unless this run has ended. Where
marts come too late for that, `segments_online` tells once their segments take longer than the time between
both deadlines.

### When a task fails
- **`marts_published`**, **`segments_online`**: the day was not there in 23 hours, or nobody answered. The
  deadlines have told of it; nothing has to be done here.
- **`feeds`**, **`volumes`**: BigQuery did not answer, or a channel did not take an alert. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `volumes` | `alert_not_sent`, `warehouse`, `service_unavailable`, `job_adrift` |
| any | `wrong_setting` |
"""

settings = get_settings()


def _deadline(name: str, hours: float, callback: SyncCallback) -> DeadlineAlert:
    """So many hours after the end of the run's day; the logical date is the day's beginning."""
    return DeadlineAlert(
        name=name,
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=timedelta(days=1, hours=hours),
        callback=callback,
    )


with DAG(
    dag_id="day_watch",
    description="Tell when a day's marts or segments are late, a feed is stale, or a volume is unusual.",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime.fromisoformat("2020-01-01T00:00:00+00:00"),
    catchup=False,
    # A day that is late must not keep the next one from being watched.
    max_active_runs=3,
    doc_md=DOC,
    tags=["subscriptions", "alerts", "daily"],
    deadline=[
        # In a worker, which has the settings and may wait for a channel; a triggerer must not block.
        _deadline("marts published", settings.marts_deadline_hours, SyncCallback(marts_due)),
        _deadline("segments online", settings.online_deadline_hours, SyncCallback(segments_due)),
    ],
    default_args=task_defaults(settings),
) as dag:

    def watched_day() -> date:
        start: datetime = get_current_context()["data_interval_start"]
        return start.date()

    waiting = {
        "mode": "reschedule",
        "poke_interval": LOOK_AGAIN_SECONDS,
        "timeout": GIVE_UP.total_seconds(),
        # What it waits for has incidents of its own.
        "on_failure_callback": None,
    }

    @task.sensor(doc_md="Waits until a run has published the day's marts.", **waiting)
    def marts_published() -> bool:
        from runs.deadlines import is_published

        with task_told(watched_day()):
            return is_published(get_settings(), watched_day())

    @task.sensor(doc_md="Waits until readers see the day's segments, or a later day's.", **waiting)
    def segments_online() -> bool:
        from runs.deadlines import look_for_segments

        with task_told(watched_day()):
            return look_for_segments(get_settings(), watched_day(), datetime.now(UTC))

    @task(doc_md="Whether every feed still delivers as often as it has.")
    def feeds() -> list[str]:
        from runs.day_watch import watch_feeds

        with task_told(watched_day()):
            lines = watch_feeds(get_settings(), watched_day()).lines()
        print(*lines, sep="\n")
        return lines

    @task(doc_md="Whether feeds and marts have as many rows as days of this weekday have.")
    def volumes() -> list[str]:
        from runs.day_watch import watch_volumes

        with task_told(watched_day()):
            lines = watch_volumes(get_settings(), watched_day()).lines()
        print(*lines, sep="\n")
        return lines

    @task(doc_md="When all was looked at: says that looks which had failed are made up for.")
    def tell() -> None:
        from runs.incidents import recovered

        day = watched_day()
        with task_told(day):
            recovered(get_settings(), "watched", f"{day} was watched", lambda each: each.day <= day)

    published = marts_published()
    published >> segments_online()
    published >> [feeds(), volumes()] >> tell()
