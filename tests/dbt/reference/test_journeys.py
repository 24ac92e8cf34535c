"""A walk over random histories, happening by happening and without SQL, finds the journeys of the mart."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import pytest

from segue.settings import Settings
from segue.window import RunWindow
from tests.dbt.compiled_project import Execution, compile_project
from tests.dbt.reference.company import Window
from tests.dbt.reference.comparison import difference, prefix
from tests.dbt.reference.funnel import conversion_totals, funnel
from tests.dbt.reference.journeys import Row, Shop, journeys, last_touches
from tests.dbt.reference.shops import BEGINS, generated_shops

EXAMPLES = int(os.environ.get("SEGUE_EXAMPLES", "2500")) // 5
SEED = int(os.environ.get("SEGUE_EXAMPLES_SEED", "1"))

KEY = ("account_id", "offer_id", "journey_number")

WINDOWS = {
    "told by the checkpoint": Window(date(2026, 3, 9), date(2026, 3, 14), date(2026, 3, 16), BEGINS.date()),
    "begins before it": Window(date(2026, 1, 5), date(2026, 3, 14), date(2026, 3, 16), BEGINS.date()),
}


def raw_rows(shops: Sequence[Shop]) -> dict[str, list[Row]]:
    """The raw tables that the shops deliver, every identifier under its shop's prefix."""
    tables: dict[str, list[Row]] = {}
    for number, shop in enumerate(shops):
        own = shop.named(prefix(number))
        for table, rows in (
            ("subscription_events", own.company.events),
            ("accounts", own.company.accounts),
            ("offer_impressions", own.impressions),
            ("offer_clicks", own.clicks),
            ("checkouts", own.checkouts),
        ):
            tables.setdefault(table, []).extend(
                asdict(row) | {"arrival_date": row.ingested_at.date()} for row in rows
            )
    return {
        table: [{"landing_file": "shop", "landing_row": n} | row for n, row in enumerate(rows)]
        for table, rows in tables.items()
    }


def by_key(rows: Sequence[Row]) -> dict[tuple[Any, ...], Row]:
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows), "two journeys have one number"
    return found


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_journeys_are_those_of_the_walk(dbt_world: Callable[..., Settings], window: Window) -> None:
    settings = dbt_world(f"walk-{window.start}", history_start_date=window.history_start)
    run = RunWindow.whole(settings, window.start, window.end, window.as_of)
    project, execution = compile_project(settings, run), Execution(settings, "shops")
    shops = generated_shops(EXAMPLES, SEED)

    execution.land(raw_rows(shops))
    execution.build(
        project, ["fct_offer_journey", "agg_conversions_daily", "agg_conversion_funnel", "fct_trial"]
    )
    flights = execution.rows(project, "fct_offer_journey")
    actual = by_key(flights)

    expected: dict[tuple[Any, ...], Row] = {}
    for number, shop in enumerate(shops):
        expected |= by_key(journeys(shop.named(prefix(number)), window))
    differing = [
        f"{key}\n  walk {expected.get(key)}\n  mart "
        f"{ {name: actual[key][name] for name in expected.get(key, actual[key])} if key in actual else None }"
        for key in sorted(expected.keys() | actual.keys())
        if key not in expected
        or key not in actual
        or any(actual[key][name] != value for name, value in expected[key].items())
    ]
    assert not differing, f"{len(differing)} of {len(expected)} differ\n" + "\n".join(differing[:3])
    ends = Counter(row["end_reason"] for row in expected.values())
    assert min(ends[reason] for reason in ("converted", "quiet", "too_old", None)) > 5
    assert max(row["journey_number"] for row in expected.values()) > 5
    for flag in ("has_early_click", "is_first_touch_conversion", "is_last_touch_conversion"):
        assert {row[flag] for row in expected.values()} == {True, False}
    credited: dict[tuple[str, datetime], str] = {}
    for number, shop in enumerate(shops):
        credited |= last_touches(shop.named(prefix(number)), window)
    trials = {
        (row["subscription_id"], row["trial_started_at"]): row["last_touch_offer_id"]
        for row in execution.rows(project, "fct_trial")
    }
    assert trials == {trial: credited.get(trial) for trial in trials}
    # Before the run's own journeys, and by both.
    began = [at.date() for (_, at), offer_id in trials.items() if offer_id]
    assert min(began) < date(2025, 12, 31) < max(began)
    assert None in trials.values()
    for mart, totals in (
        ("agg_conversions_daily", conversion_totals(flights)),
        ("agg_conversion_funnel", funnel(flights)),
    ):
        differs = difference(mart, totals, execution.rows(project, mart))
        assert not differs, differs[:3000]
