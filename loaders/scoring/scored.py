"""Which trained model gave the scores of which day, as ``ops.run_ledger`` has it; and who else did.

The registry says what is to score a day. Accounts of a day are scored on the morning after: a decision that
counts for the day may come later still, and a model may have failed on that morning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from loaders.landing.contracts import Score
from loaders.landing.listing import OWN_FILES
from loaders.scoring.registry import decisions
from loaders.scoring.scores import SHADOW
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal, ops_table
from scoring.registry import ModelDecision, ModelState

NOBODY_SCORED: Final = ""
"""In the place of an artifact: a scoring of nobody, which ended the scores before it."""


@dataclass(frozen=True)
class ScoredDay:
    """Who has scored the accounts of a day, and for how many days these scores may decide."""

    artifact: str
    max_age_days: int | None = None
    """As the model was declared when it was trained; None: as long as rules take them."""


Scored = Mapping[str, Mapping[date, ScoredDay]]
"""By the name that scores land under, and by day."""


def scored_until(
    warehouse: Warehouse, day: date, since: date | None = None
) -> dict[str, dict[date, ScoredDay]]:
    """What has scored which days up to ``day``, by the ledger; of a day that was scored twice the last.

    ``since``: the first day, by default that of the history.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    settings = warehouse.settings
    ledger = ops_table(settings, "run_ledger")
    if warehouse.find_table(ledger) is None:
        return {}
    rows = warehouse.run(
        "select table_name, run_date, coalesce(content_hash, '') as artifact, "
        "cast(json_value(detail, '$.max_age_days') as int64) as max_age_days "
        f"from `{ledger}` where step = 'score' "
        f"and run_date between {literal(since or settings.history_start_date)} and {literal(day)} "
        "and json_value(detail, '$.failed') is null "
        "qualify row_number() over (partition by table_name, run_date order by finished_at desc) = 1"
    )
    found: dict[str, dict[date, ScoredDay]] = {}
    for row in rows:
        found.setdefault(row.table_name, {})[row.run_date] = ScoredDay(row.artifact, row.max_age_days)
    return found


def scored_by(warehouse: Warehouse, day: date) -> dict[str, ModelDecision]:
    """By the name that its scores have, the trained model that has scored the accounts of ``day``.

    Told is the newest decision about it that counts by the end of ``day``. A model in shadow scores under a
    name of its own. Empty where nothing was scored, or the scores came from elsewhere.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    # What scored a day was decided about before: without a decision nobody has to ask the ledger.
    known = {each.artifact: each for each in decisions(warehouse, day)}
    if not known:
        return {}
    return {
        name: known[days[day].artifact]
        for name, days in scored_until(warehouse, day, since=day).items()
        if days[day].artifact in known
    }


def shadow_days(warehouse: Warehouse, states: Mapping[str, ModelState], day: date) -> dict[str, int]:
    """By model with a candidate in shadow, on how many days up to ``day`` it has scored accounts.

    Days of the calendar on which it failed, or that had been published before it was there, are none.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    waiting = {name: each.in_shadow for name, each in states.items() if each.in_shadow is not None}
    if not waiting:
        return {}
    scored = scored_until(warehouse, day, since=min(each.day for each in waiting.values()))
    return {
        name: sum(
            on >= each.day and by.artifact == each.artifact
            for on, by in scored.get(f"{name}{SHADOW}", {}).items()
        )
        for name, each in waiting.items()
    }


def delivered_by_others(
    warehouse: Warehouse, names: Collection[str], days: Collection[date]
) -> dict[str, list[str]]:
    """By name, the files that arrived on the days with scores that the platform gives itself.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    settings = warehouse.settings
    table = warehouse.table(settings.raw_dataset, Score.table)
    if not names or not days or warehouse.find_table(table) is None:
        return {}
    rows = warehouse.run(
        f"select distinct model, landing_file from `{table}` "
        f"where arrival_date in ({', '.join(map(literal, sorted(days)))}) "
        f"and model in unnest({literal(sorted(names))}) "
        f"and not starts_with(array_reverse(split(landing_file, '/'))[offset(0)], {literal(OWN_FILES)}) "
        "order by model, landing_file"
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.model, []).append(row.landing_file)
    return found
