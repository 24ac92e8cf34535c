"""What the demo shows at its end: marts, experiments, an offer plan, one account explained and looked up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loaders.bigtable import list_generations
from loaders.warehouse.client import warehouse_of
from local import platform
from local.company.trials import TRIED
from local.demo_models import MODEL
from runs.experiment_readouts import NothingToReadError, read_experiment
from segue.settings import Settings
from serving.configured import open_service_client

_RULE = "trial_for_engaged_free"
"""Goes by the demo's model."""
_WORDS = {
    *("day", "generation", "movement", "first paid in", "in", "month complete"),
    *("experiment", "verdict", "because"),
}
"""Columns that are read, not compared."""


def show(console: Console, embedded: platform.Platform, since: date, last: date) -> None:
    """The published days [since, last], what moved revenue on the last one, and one account's offers."""
    settings = embedded.settings
    console.print(_published(settings, since, last))
    console.print(_movements(settings, last))
    console.print(_cohorts(settings, last))
    console.print(_trials(settings, last))
    tried = _tried(settings)
    if tried.rows:  # A company of few days tries nothing.
        console.print(tried)
        _command(console, embedded, "experiments", "readout", TRIED[0].id)
    _command(console, embedded, "segments", "plan")
    scored = _an_account_with_a_score(settings, last)
    if scored is not None:  # Of a small company no model is good enough.
        _command(console, embedded, "segments", "explain", scored)
    account = _an_account_with_offers(settings, last)
    _command(console, embedded, "segments", "explain", account)
    with open_service_client(settings) as service:
        answer = service.lookup(account)
    console.print(f"[bold]$ uv run segue lookup {account} --service --json[/bold]")
    console.print_json(json.dumps(answer.to_dict(), default=str))


def _command(console: Console, embedded: platform.Platform, *arguments: str) -> None:
    """A command of ``segue`` with what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    console.print(f"[bold]$ uv run segue {' '.join(arguments)}[/bold]")
    environment = os.environ | {"SEGUE_ENV_FILE": str(embedded.env_file), "COLUMNS": str(console.width)}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "segue"), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    console.print(done.stdout, markup=False, highlight=False, end="")


def _published(settings: Settings, since: date, last: date) -> Table:
    generations = {
        row.manifest.segment_date: f"{row.manifest.generation_ms} {row.manifest.state.value}"
        for row in reversed(list_generations(settings))
    }
    table = _table(
        "Published", "day", "rows", "active", "MRR (USD)", "expectations", "warnings", "generation"
    )
    for row in _rows(settings, _published_sql(settings, since, last)):
        table.add_row(
            str(row.day),
            f"{row.row_count:,}",
            f"{row.active:,}",
            f"{row.mrr:,.2f}",
            f"{row.held} of {row.expectations}",
            str(row.warnings),
            generations.get(row.day, "–"),
        )
    return table


def _movements(settings: Settings, day: date) -> Table:
    """From one close to the next: what the movements add up to is the difference, to the cent."""
    before = day - timedelta(days=1)
    table = _table(f"Why MRR moved on {day}", "movement", "accounts", "MRR (USD)")
    [close] = _rows(
        settings,
        f"select sum(if(snapshot_date = date '{before}', mrr_usd_amount, 0)) as opening, "
        f"sum(if(snapshot_date = date '{day}', mrr_usd_amount, 0)) as closing "
        f"from `{settings.project_id}.marts.agg_subscribers_daily` "
        f"where snapshot_date between date '{before}' and date '{day}'",
    )
    table.add_row(f"close of {before}", "", f"{close.opening:,.2f}")
    total = close.opening
    for row in _rows(
        settings,
        f"select movement, sum(accounts) as accounts, sum(mrr_usd_amount) as mrr "
        f"from `{settings.project_id}.marts.agg_mrr_movements_daily` "
        f"where snapshot_date = date '{day}' group by movement having mrr <> 0 order by mrr desc",
    ):
        table.add_row(row.movement, f"{row.accounts:,}", f"{row.mrr:+,.2f}")
        total += row.mrr
    agrees = "" if total == close.closing else f" (movements give {total:,.2f})"
    table.add_row(f"close of {day}", "", f"{close.closing:,.2f}{agrees}")
    return table


def _cohorts(settings: Settings, day: date) -> Table:
    table = _table("Who still pays", "first paid in", "accounts", "in", "still paying", "month complete")
    for row in _rows(
        settings,
        f"select cohort_month, activity_month, is_complete, sum(cohort_accounts) as accounts, "
        f"sum(retained_accounts) as retained from `{settings.project_id}.marts.agg_retention_cohorts` "
        f"where activity_month between date_sub(date_trunc(date '{day}', month), interval 2 month) "
        f"and date '{day}' and cohort_month >= date_sub(date_trunc(date '{day}', month), interval 2 month) "
        "group by 1, 2, 3 order by 1, 2",
    ):
        table.add_row(
            f"{row.cohort_month:%Y-%m}",
            f"{row.accounts:,}",
            f"{row.activity_month:%Y-%m}",
            f"{row.retained / row.accounts:.1%}",
            "yes" if row.is_complete else "not yet",
        )
    return table


def _trials(settings: Settings, day: date) -> Table:
    table = _table("Trials of the last 90 days", "started", "converted", "pending", "abandoned")
    [row] = _rows(
        settings,
        "select coalesce(sum(started), 0) as started, coalesce(sum(converted), 0) as converted, "
        "coalesce(sum(pending), 0) as pending, coalesce(sum(abandoned), 0) as abandoned "
        f"from `{settings.project_id}.marts.agg_trial_outcomes` "
        f"where trial_start_date between date_sub(date '{day}', interval 89 day) and date '{day}'",
    )
    table.add_row(*(f"{count:,}" for count in (row.started, row.converted, row.pending, row.abandoned)))
    return table


def _tried(settings: Settings) -> Table:
    """What the company tried on its surfaces, and what came of it."""
    table = _table("What was tried", "experiment", "units", "verdict", "because")
    for tried in TRIED:
        with suppress(NothingToReadError):
            found = read_experiment(settings, tried.id).readout
            table.add_row(tried.id, f"{found.units:,}", found.verdict, found.reasons[0])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column in _WORDS else "right")
    return table


def _rows(settings: Settings, sql: str) -> Iterable[Any]:
    rows: Iterable[Any] = warehouse_of(settings).run(sql)
    return rows


def _published_sql(settings: Settings, since: date, last: date) -> str:
    def table(name: str) -> str:
        return f"`{settings.project_id}.{name}`"

    days = f"between date '{since}' and date '{last}'"
    return f"""
with publications as (
    select partition_date as day, mart, row_count,
        row_number() over (partition by partition_date, mart order by published_at desc) as age
    from {table("ops.publications")}
    where run_date {days} and partition_date {days}
), row_counts as (
    select day, sum(row_count) as row_count from publications where age = 1 group by day
), subscribers as (
    select snapshot_date as day, sum(active_subscriptions) as active, sum(mrr_usd_amount) as mrr
    from {table("marts.agg_subscribers_daily")} where snapshot_date {days} group by snapshot_date
), validations as (
    select run_date as day, validation_id, count(*) as expectations, countif(success) as held,
        countif(not success and severity <> 'critical') as warnings, max(validated_at) as validated_at
    from {table("ops.validation_results")} where run_date {days} group by run_date, validation_id
), last_validations as (
    select * from validations where true
    qualify row_number() over (partition by day order by validated_at desc) = 1
)
select day, row_count, active, mrr, expectations, held, warnings
from row_counts inner join subscribers using (day) left join last_validations using (day)
order by day"""


def _an_account_with_offers(settings: Settings, day: date) -> str:
    [row] = _rows(
        settings,
        f"select account_id from `{settings.project_id}.marts.offer_segments` "
        f"where segment_date = date '{day}' and array_length(offers) > 0 "
        "order by array_length(offers) > 1 desc, account_id limit 1",
    )
    return str(row.account_id)


def _an_account_with_a_score(settings: Settings, day: date) -> str | None:
    """The one of which the demo's model expects most, of those that have the offer of its rule."""
    sql = f"""
with scored as (
    select account_id, given.score_points
    from `{settings.project_id}.marts.fct_account_features`, unnest(model_scores) as given
    where feature_date = date '{day}' and given.model = '{MODEL}' and given.scored_date = date '{day}'
), placed as (
    select account_id
    from `{settings.project_id}.marts.offer_segments`, unnest(offers) as offer
    where segment_date = date '{day}' and offer.rule_id = '{_RULE}'
)
select account_id
from scored left join placed using (account_id)
order by placed.account_id is not null desc, score_points desc, account_id limit 1"""
    return next((str(row.account_id) for row in _rows(settings, sql)), None)
