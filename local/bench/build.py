"""What a day of the subscriber marts costs, against building everything anew and against building a range.

A generated company of each size is landed once. Then, all on one emulator and in one run:

- *rebuild*: its whole window as one range, with the subscription history from raw;
- *increment*: the last day, of which the arrivals of 1% of all subscriptions are kept, with the history of
  the day before as published, and with the days that those arrivals reach back to, as a daily run builds it;
- *widest*: the same with all the days that late events may reach, whether one does or not;
- *single days*: some days of the last month, each as a daily run builds it, extrapolated to the window.

Landing, validation and publication are not in these times. ``floor`` is the same increment for a company of
almost nobody: what dbt and the engine take to look at every statement, which no amount of data changes.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import structlog

from loaders.landing.contracts import CONTRACTS, EVENT_TABLES
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from local.bench.bigquery import empty_bigquery
from local.company import CompanySpec, generate
from runs.dbt import build, ensure_parsed
from runs.history import code_version, history_window
from runs.history_models import history_models
from runs.publish import publish
from runs.published import published_marts
from segue.settings import Settings
from segue.window import HistoryWindow, RunWindow

END: Final = date(2026, 6, 28)
"""Late in a month: the single days before it lie in the same month, whose history the rebuild has built."""
TOUCHED_SHARE: Final = 0.01
_DAY: Final = timedelta(days=1)
_FLOOR_ACCOUNTS: Final = 50
_SELECTED: Final = (
    "fct_subscription_event", "fct_subscription_daily", "fct_subscriber_daily", "agg_subscribers_daily",
    "agg_mrr_movements_daily", "agg_retention_cohorts", "agg_trial_outcomes", "fct_churn", "fct_trial",
    "agg_retention_days",
    "dim_account", "dim_plan",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Seconds of one company's builds; single days and increments are medians."""

    accounts: int
    days: int
    subscriptions: int
    touched_share: float
    reached_days: int
    """Days that the increment builds: the last one, and those that its late events belong to."""
    rebuild_seconds: float
    increment_seconds: float
    widest_seconds: float
    single_day_seconds: float


@dataclass(frozen=True)
class Ratios:
    """One size, in the terms of the aims; *net* leaves the floor out of both sides."""

    accounts: int
    increment_share: float
    net_increment_share: float
    widest_share: float
    range_share: float


@dataclass(frozen=True)
class BuildReport:
    """What was measured, and what the aims are about."""

    days: int
    floor_seconds: float
    sizes: list[Size]
    ratios: list[Ratios]
    growth: list[float]
    """By what the increment grows from each size to the next."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_build(
    settings: Settings,
    accounts: Sequence[int],
    days: int = 90,
    rounds: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Measure each size on an emulator of its own; ``rounds`` increments and as many single days."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    floor = _measure(settings, _FLOOR_ACCOUNTS, days, rounds, say).increment_seconds
    sizes = [_measure(settings, count, days, rounds, say) for count in accounts]
    return report_of(days, floor, sizes)


def report_of(days: int, floor: float, sizes: list[Size]) -> BuildReport:
    """The ratios of what was measured."""
    ratios = [
        Ratios(
            size.accounts,
            round(size.increment_seconds / size.rebuild_seconds, 3),
            round((size.increment_seconds - floor) / (size.rebuild_seconds - floor), 3),
            round(size.widest_seconds / size.rebuild_seconds, 3),
            round(size.rebuild_seconds / (days * size.single_day_seconds), 3),
        )
        for size in sizes
    ]
    growth = [
        round(larger.increment_seconds / smaller.increment_seconds, 2)
        for smaller, larger in itertools.pairwise(sizes)
    ]
    return BuildReport(days, round(floor, 1), sizes, ratios, growth)


def _measure(settings: Settings, accounts: int, days: int, rounds: int, say: Callable[[str], None]) -> Size:
    spec = CompanySpec(accounts=accounts, days=days, seed=11, end_date=END)
    yesterday = END - _DAY
    with empty_bigquery(settings) as emulator:
        world = emulator.model_copy(update={"history_start_date": spec.first_day})
        ensure_parsed(world)
        tables = _tables(world.dbt_manifest)
        _land(world, spec, tables, say)
        rebuild = _timed(world, spec.first_day, yesterday, yesterday, None)
        say(f"{accounts:,} accounts: {days - 1} days rebuilt in {rebuild:.1f} s")
        _publish_history(world, spec.first_day, yesterday)
        _touch_few(world)
        first, widest_first = _reached(world, END, tables), END - _DAY * world.restatement_days
        increments, widest, singles = [], [], []
        for turn in range(rounds):
            # Always an empty dataset, as every run of a day begins with one.
            history = history_window(world, END)
            increments.append(_timed(world, first, END, END, history, f"audit_increment_{turn}"))
            widest.append(_timed(world, widest_first, END, END, history, f"audit_widest_{turn}"))
            single = yesterday - turn * 5 * _DAY
            reached = _reached(world, single, tables)
            singles.append(_timed(world, reached, single, single, _from(world, single), f"audit_day_{turn}"))
        days_built = (END - first).days + 1
        say(f"{accounts:,} accounts: an increment of {days_built} days in {median(increments):.1f} s")
        say(f"{accounts:,} accounts: the widest increment in {median(widest):.1f} s")
        say(f"{accounts:,} accounts: a single day in {median(singles):.1f} s")
        subscriptions, touched = _touched(world, "audit_increment_0")
    return Size(
        accounts, days, subscriptions, round(touched / subscriptions, 4), days_built,
        round(rebuild, 1), round(median(increments), 1), round(median(widest), 1), round(median(singles), 1),
    )  # fmt: skip


def _land(world: Settings, spec: CompanySpec, tables: Sequence[str], say: Callable[[str], None]) -> None:
    """The tables that the subscriber marts are made from, all days at once."""
    folder = world.state_dir
    landing = folder / "gcs" / world.landing_uri.removeprefix("gs://")
    rows = sum(generate(spec, folder / "company", landing=landing).rows.values())
    say(f"{spec.accounts:,} accounts, {spec.days} days, {rows:,} rows in landing")
    every = [spec.first_day + _DAY * n for n in range(spec.days)]
    land_days(world, every, tables)


def _tables(manifest: Path) -> list[str]:
    """Raw tables that the selected models descend from."""
    content = json.loads(manifest.read_text())
    names = {key: node["name"] for part in ("nodes", "sources") for key, node in content[part].items()}
    queue = [key for key, name in names.items() if key.startswith("model.") and name in _SELECTED]
    seen: set[str] = set()
    while queue:
        key = queue.pop()
        if key not in seen:
            seen.add(key)
            queue += content["parent_map"].get(key, [])
    return sorted({names[key] for key in seen if key.startswith("source.")} & set(CONTRACTS))


def _touch_few(world: Settings) -> None:
    """Leave of the last day's arrivals those of about ``TOUCHED_SHARE`` of all subscriptions."""
    whole_day = "audit_whole_day"
    _timed(world, END, END, END, history_window(world, END), whole_day, ["int_subscription_events"])
    subscriptions, touched = _touched(world, whole_day)
    kept = round(10_000 * min(1.0, TOUCHED_SHARE * subscriptions / max(touched, 1)))
    warehouse = warehouse_of(world)
    for table in EVENT_TABLES:
        warehouse.run(
            f"delete from `{world.project_id}.{world.raw_dataset}.{table}` "
            f"where arrival_date = date '{END}' and mod(landing_row * 7919, 10000) >= {kept}",
        )


def _publish_history(world: Settings, first: date, last: date) -> None:
    """Only what later builds read of earlier ones; the marts of the days before are not among it."""
    history = [mart for mart in published_marts(world.dbt_manifest) if mart.kind == "arrivals"]
    publish(world, _window(world, first, last, last, _from(world, world.history_start_date)), history)


def _reached(world: Settings, day: date, tables: Sequence[str]) -> date:
    """The earliest day that what raw holds of an arrival day belongs to, at most the restated days back."""
    parts = [
        f"select min(cast({contract.event_time} as date)) as day "
        f"from `{world.project_id}.{world.raw_dataset}.{name}` where arrival_date = date '{day}'"
        for name, contract in CONTRACTS.items()
        if contract.event_time and name in tables
    ]
    [row] = warehouse_of(world).run(f"select min(day) as day from ({' union all '.join(parts)})")
    return max(day - _DAY * world.restatement_days, min(day, row.day or day))


def _from(world: Settings, day: date) -> HistoryWindow:
    """The history from an arrival day on, on top of what is published of the days before."""
    return HistoryWindow(
        first_days={model.name: day for model in history_models(world.dbt_manifest)},
        raw_read_at=datetime.now(UTC),
        code_version=code_version(world.dbt_manifest),
    )


def _window(
    world: Settings, first: date, last: date, as_of: date, history: HistoryWindow | None
) -> RunWindow:
    whole = RunWindow.whole(world, first, last, as_of)
    return whole.model_copy(update={"history": history}) if history else whole


def _timed(
    world: Settings,
    first: date,
    last: date,
    as_of: date,
    history: HistoryWindow | None,
    audit_dataset: str | None = None,
    selected: Sequence[str] = _SELECTED,
) -> float:
    window = _window(world, first, last, as_of, history)
    if audit_dataset:
        window = window.model_copy(update={"audit_dataset": audit_dataset})
    started = time.perf_counter()
    build(world, window, [f"+{model}" for model in selected])
    return time.perf_counter() - started


def _touched(world: Settings, audit_dataset: str) -> tuple[int, int]:
    """Subscriptions in all, and those of which something arrived on the last day, by a build of it."""
    project = world.project_id
    [row] = warehouse_of(world).run(
        f"""
        select count(distinct subscription_id) as subscriptions,
            count(distinct if(arrived_today, subscription_id, null)) as touched
        from (
            select subscription_id, false as arrived_today from `{project}.history.int_subscription_events`
            where arrival_date <= date '{END}'
            union all
            select subscription_id, true from `{project}.{audit_dataset}.int_subscription_events`
            where arrival_date = date '{END}'
        )""",
    )
    return int(row.subscriptions), int(row.touched)
