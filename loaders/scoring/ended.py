"""Where the scores of a model end that was retired or rolled back, and no other scores take their place.

What a model has scored counts until the next scoring by its name, and after a retirement there is none. So
the first day that does not want those scores any more lands a scoring of nobody. It is a row of raw, as all
scores are: a day that was published before the decision is built again with the scores that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from loaders.scoring.scores import DayOfScores
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal, ops_table
from scoring.registry import ModelDecision, ModelState, states

NOBODY_SCORED: Final = ""
"""In the place of an artifact: a scoring of nobody, which ended the scores before it."""

Scored = Mapping[str, Mapping[date, str]]
"""By the name that scores land under and the day, the artifact that gave them."""


def ended(decisions: Iterable[ModelDecision], days: Iterable[date], scored: Scored) -> list[DayOfScores]:
    """Of which models nobody is to be scored on which of the days, in their order: the first day of each end.

    A model that another took the place of has its scores until that one scores; one that was retired or
    rolled back has none from the decision's day on.
    """
    known = list(decisions)
    versions = {(each.model, each.artifact): each.version for each in known}
    given = {name: dict(of_days) for name, of_days in scored.items()}
    found = []
    for day in sorted(days):
        for name, state in sorted(states(known, day).items()):
            until_now = [each for each in given.get(name, {}) if each <= day]
            last = given[name][max(until_now)] if until_now else NOBODY_SCORED
            if last != NOBODY_SCORED and last not in _wanted(state):
                found.append(DayOfScores(name, versions[name, last], day))
                given[name][day] = NOBODY_SCORED
    return found


def _wanted(state: ModelState) -> set[str]:
    """Models of which earlier scores may decide: that in use, and those whose place it took."""
    return set() if state.in_use is None else {each.artifact for each in (state.in_use, *state.before)}


def scored_until(warehouse: Warehouse, day: date, since: date | None = None) -> dict[str, dict[date, str]]:
    """What has scored which days up to ``day``, by the ledger; of a day that was scored twice the last.

    By the name that scores have, and by day, the digest of the trained model. ``since``: the first day, by
    default that of the history.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    settings = warehouse.settings
    rows = warehouse.run(
        "select table_name, run_date, array_agg(coalesce(content_hash, '') order by finished_at desc limit 1)"
        f"[offset(0)] as artifact from `{ops_table(settings, 'run_ledger')}` where step = 'score' "
        f"and run_date between {literal(since or settings.history_start_date)} and {literal(day)} "
        "and json_value(detail, '$.failed') is null group by table_name, run_date"
    )
    found: dict[str, dict[date, str]] = {}
    for row in rows:
        found.setdefault(row.table_name, {})[row.run_date] = row.artifact
    return found
