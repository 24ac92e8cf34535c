"""The online side: when segments are published, they become a Bigtable generation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from runs.handover import left_by
from runs.step_tasks import SEGMENTS
from runs.steps import segments_online
from runs.task_defaults import failures_told, task_defaults, task_told
from segue.settings import get_settings

DOC = """
### What it does
Triggered by the asset `offer_segments`. Loads the newest published day among the triggering events into
Bigtable as one generation: `begin` takes a generation and stages the rows, `load_shard` cleans, writes and
verifies one range of accounts each, `publish` adds the shards up and moves the pointer that readers follow.
A day older than the one online is skipped: a backfill never displaces newer segments. So is a load whose day
was published anew meanwhile: that publication starts the next run.

By default only rows that differ from what is online are written; the parameter `mode` sends all (`full`), or
has BigQuery write them (`export`).

A day on which nobody has an offer is skipped while nothing is online, as it is for a company that brings
billing data only. When something is online, the run stops: trigger it with `segment_date` and `allow_empty`
if every account is to become unknown.

### When a task fails
- **`choose_day`**: triggered by hand without `segment_date`. Trigger it again with the parameter.
- **`begin`**: the day was not published, nobody has an offer on it any more, it lists accounts twice, or
  Bigtable does not answer; the log says which.
- **`load_shard`**: Bigtable refused too many rows (they are in `ops.dead_letters` with code and reason), or
  what was read back differs. Clear the shard: it is loaded again with the same timestamps. When the load's
  deadline has passed, clear `begin`.
- **`publish`**: a shard is missing or the counts do not add up: clear `begin`. `not_replicated`: a cluster of
  the Bigtable instance lags behind; clear `begin` when it has caught up.
- **`nothing_left`**: the task before was marked successful without having run. Clear it.

### What a code means
A failed task's log ends with a code; docs/runbook.md#code says what it means, what is still served, what to
do step by step and how to see that it is over.

| task | codes |
|---|---|
| `begin` | `no_table`, `not_published`, `empty_partition`, `invalid_row`, `source`, `unacknowledged` |
| `load_shard` | `refused`, `unacknowledged`, `overtaken`, `not_verified`, `source`, `ledger` |
| `publish` | `incomplete`, `changed`, `refused`, `overtaken`, `not_verified`, `not_replicated`, `ledger` |
| any | `nothing_left`, `wrong_setting` |

Readers keep the previous generation until `publish` succeeds; what a dead run left the next one removes.
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
        ),
        "mode": Param(
            None,
            type=["null", "string"],
            enum=[None, "delta", "full", "export"],
            description="What to send; without it, what SEGUE_BIGTABLE_LOAD_MODE says.",
        ),
        "allow_empty": Param(
            False, type="boolean", description="Load the day even when nobody has an offer any more."
        ),
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

    @task(doc_md="Takes or resumes a generation, gives up what dead loads left, stages the rows.")
    def begin(segment_date: str | None) -> list[dict[str, Any]]:
        from airflow.sdk.exceptions import AirflowSkipException

        from loaders.bigtable import LoadMode, LoadResult, begin_segments

        params = get_current_context()["params"]
        mode = LoadMode(params["mode"]) if params["mode"] else None
        with failures_told():
            [chosen] = left_by("choose_day", "begin", [segment_date])
        day = date.fromisoformat(chosen)
        with task_told(day):
            begun = begin_segments(get_settings(), day, mode, allow_empty=params["allow_empty"])
        if isinstance(begun, LoadResult):
            raise AirflowSkipException(begun.summary())
        load = {"generation": begun.manifest.generation_ms, "segment_date": chosen}
        return [load | {"shard": shard} for shard in begun.shards]

    @task(
        doc_md="Removes what dead loads left in one range of accounts, writes it and verifies it.",
        map_index_template="{{ shard_name }}",
    )
    def load_shard(generation: int, segment_date: str, shard: int) -> dict[str, Any]:
        from loaders.bigtable import load_segments_shard

        get_current_context()["shard_name"] = f"shard {shard}"  # type: ignore[typeddict-unknown-key]
        with task_told(date.fromisoformat(segment_date)):
            done = load_segments_shard(get_settings(), generation, shard)
        return {"generation": generation, "segment_date": segment_date, "rows": done.rows_in}

    @task(doc_md="Adds the shards up and moves the pointer.")
    def publish(shards: Iterable[dict[str, Any] | None] | None) -> str:
        from airflow.sdk.exceptions import AirflowSkipException

        from loaders.bigtable import LoadCode, LoadError, publish_segments

        with failures_told():
            [load, *_] = left_by("load_shard", "publish", shards)
        with task_told(date.fromisoformat(load["segment_date"])):
            try:
                published = publish_segments(get_settings(), load["generation"])
            except LoadError as error:
                # The publication that came in between has queued the run that loads it.
                if error.code is LoadCode.CHANGED:
                    raise AirflowSkipException(str(error)) from error
                raise
            segments_online(get_settings(), date.fromisoformat(load["segment_date"]))
            return published.summary()

    publish(load_shard.expand_kwargs(begin(choose_day())))
