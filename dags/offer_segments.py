"""The online side: when segments are published, they become a Bigtable generation."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Asset, Param, get_current_context, task

from segue.settings import get_settings
from segue.task_defaults import task_defaults

SEGMENTS = Asset(name="offer_segments", uri="segue://marts/offer_segments")

DOC = """
### What it does
Triggered by the asset `offer_segments`. Loads the newest published day among the triggering events into
Bigtable as one generation, verifies it, and only then moves the pointer that readers follow. A day older than
the one online is skipped: a backfill never displaces newer segments.

### When a task fails
- **`choose_day`**: triggered by hand without `segment_date`. Trigger it again with the parameter.
- **`load`**: Bigtable refused rows, or what was read back differs; the log names codes and counts. Clear the
  task: readers keep the previous generation, and the aborted one is cleaned first.

`segue generations list` shows what is online; `segue generations rollback G` goes back in one write.
"""

settings = get_settings()

with DAG(
    dag_id="offer_segments",
    description="Load a published day's offer segments into Bigtable and switch readers to it.",
    schedule=[SEGMENTS],
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "segments", "online"],
    params={
        "segment_date": Param(
            None, type=["null", "string"], format="date", description="Day to load, when triggered by hand."
        )
    },
    default_args=task_defaults(settings),
) as dag:

    @task(doc_md="The newest day among the asset events that started this run, or the parameter.")
    def choose_day() -> str:
        from airflow.sdk.exceptions import AirflowFailException

        context = get_current_context()
        asked = context["params"]["segment_date"]
        published = [event.extra["segment_date"] for event in context["triggering_asset_events"][SEGMENTS]]
        days = [asked] if asked else published
        if not days:
            raise AirflowFailException("no published day: trigger with the parameter segment_date")
        return max(days)

    @task(doc_md="Bulk-loads the generation, verifies it, moves the pointer.")
    def load(segment_date: str) -> str:
        from datetime import date

        from loaders.bigtable import load_segments

        return load_segments(get_settings(), date.fromisoformat(segment_date)).summary()

    load(choose_day())
