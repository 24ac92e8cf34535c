"""Where the scores of a model end that are not to decide any more, and no other scores take their place.

What a model has scored counts until the next scoring by its name. After a retirement or a rollback there is
none, nor while a model fails every morning: its scores may decide for as long as it was declared. So the
first day that does not want those scores any more lands a scoring of nobody. It is a row of raw, as all
scores are: a day that was published before the decision is built again with the scores that it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from loaders.scoring.scored import NOBODY_SCORED, Scored, ScoredDay
from loaders.scoring.scores import DayOfScores
from scoring.registry import ModelDecision, ModelState, states


def ended(decisions: Iterable[ModelDecision], days: Iterable[date], scored: Scored) -> list[DayOfScores]:
    """Of which models nobody is to be scored on which of the days, in their order: the first day of each end.

    A model that another took the place of has its scores until that one scores; one that was retired or
    rolled back has none from the decision's day on. No score is older than its model was declared to take.
    """
    known = list(decisions)
    versions = {(each.model, each.artifact): each.version for each in known}
    given = {name: dict(of_days) for name, of_days in scored.items()}
    found = []
    for day in sorted(days):
        for name, state in sorted(states(known, day).items()):
            until_now = [each for each in given.get(name, {}) if each <= day]
            if not until_now:
                continue
            last_day = max(until_now)
            last = given[name][last_day]
            if last.artifact != NOBODY_SCORED and not _may_decide(last, (day - last_day).days, state):
                found.append(DayOfScores(name, versions[name, last.artifact], day))
                given[name][day] = ScoredDay(NOBODY_SCORED)
    return found


def _may_decide(last: ScoredDay, age_days: int, state: ModelState) -> bool:
    """Scores of the model in use, and of those whose place it took, while they are young enough."""
    if last.max_age_days is not None and age_days >= last.max_age_days:
        return False
    return state.in_use is not None and last.artifact in {
        each.artifact for each in (state.in_use, *state.before)
    }
