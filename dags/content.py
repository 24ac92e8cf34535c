"""Offers' content: what changed in the content management systems becomes landing files, every hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from runs.task_defaults import task_defaults, task_told
from segue.settings import get_settings

DOC = """
### What it does
Pulls every configured content management system once an hour: entries that were published, changed or removed
since the last pull become a landing file of `content_entries`; then the cursor moves. `daily_marts` lands the
files with the rest of their day. Running it again, or killing it anywhere, changes nothing.

### When a task fails
- **HTTP 401/403**: the token is wrong, expired or a preview token. Correct the setting and clear the task.
- **HTTP 429/5xx, cut off**: the system was busy for longer than all attempts; the retry or the next hour
  catches up, nothing is missed.
- **entries have vanished at once**: most of what is known is gone. A wrong environment or a token that lost a
  right looks like this. If it is meant: `segue content pull --allow-deletions`.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `pull` | `content`, `object_store`, `object_conflict` |
| any | `wrong_setting` |

A cursor that the system has forgotten needs nobody: everything is pulled, and what is gone is found.
"""

settings = get_settings()

with DAG(
    dag_id="content",
    description="Pull offers' content from the content management systems into landing files.",
    schedule=CronTriggerTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two pulls at a time would start from the same cursor.
    max_active_runs=1,
    doc_md=DOC,
    tags=["subscriptions", "content", "hourly"],
    default_args=task_defaults(settings) | {"execution_timeout": timedelta(minutes=30)},
) as dag:

    @task(doc_md="Names of the systems that the settings point at.")
    def configured() -> list[str]:
        from loaders.cms.sources import configured_sources

        with task_told(datetime.now(UTC).date()):
            return configured_sources(get_settings())

    @task(map_index_template="{{ task.op_kwargs['source'] }}", doc_md="Lands what changed in one system.")
    def pull(source: str) -> dict[str, object]:
        from loaders.cms.pull import pull_content
        from loaders.cms.sources import open_source

        # The day that what is pulled arrives on.
        with task_told(datetime.now(UTC).date()), open_source(get_settings(), source) as system:
            return pull_content(get_settings(), system).to_dict()

    @task(doc_md="When every system was pulled: says that what was wrong before is over.")
    def tell(pulled: Iterable[dict[str, object]]) -> int:
        from runs.incidents import recovered

        with task_told(datetime.now(UTC).date()):
            recovered(get_settings(), "content", "every system was pulled")
            return sum(1 for _ in pulled)

    tell(pull.expand(source=configured()))
