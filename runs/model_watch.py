"""Whether the models that score a day still see what they learned from, and why a sample has its scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import structlog

from loaders.scoring.artifacts import fetched
from loaders.scoring.measures import newest_measures, replace_contributions
from loaders.scoring.registry import states_on
from loaders.scoring.scored import scored_by
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import Incident
from loaders.warehouse.ledger_time import reading_time
from loaders.warehouse.publications import newest_published
from runs.incidents import close_incidents, first_named, raise_incidents, still_served
from runs.model_drift import measure_drift
from scoring.artifact import ArtifactError
from scoring.contributions import reasons_of
from scoring.registry import ModelDecision, ModelState
from scoring.stability import Measure, blocking_reasons, outdated
from segue.settings import Settings

log = structlog.get_logger(__name__)

EXPLAINED_ACCOUNTS: Final = 500
"""Of these accounts of the sample it is kept why they have their scores."""
_FEATURES: Final = "fct_account_features"


@dataclass(frozen=True)
class Watched:
    """What was seen of one trained model on a day."""

    decision: ModelDecision
    owner: str
    measures: tuple[Measure, ...]
    outdated: tuple[str, ...] = ()
    """That its training is too old, in words."""

    def summary(self) -> str:
        """One line for a log."""
        levels = [each.level for each in self.measures]
        return (
            f"{self.decision.model} v{self.decision.version}: {len(levels)} measures, "
            f"{levels.count('warn')} warn, {levels.count('critical')} critical"
        )


def watch(settings: Settings, day: date) -> list[Watched]:
    """Measure the models in use and in shadow on a published day, and judge what was measured.

    Doing it again gives the same measures, and no alert a second time. Why accounts have their scores is kept
    of the models that gave them: one that was promoted since for this day has given none.

    Raises:
        ArtifactError: names the models that cannot be read; all others are measured.
        AlertNotSentError: somebody could not be told; the next try tells.
        WarehouseError, ObjectStoreError: something does not answer.
    """
    warehouse = warehouse_of(settings)
    scored = {each.artifact for each in scored_by(warehouse, day).values()}
    found, unread = [], {}
    for decision in scoring_on(states_on(warehouse, day).values()):
        try:
            found.append(_watched(settings, decision, day, gave_scores=decision.artifact in scored))
        except ArtifactError as error:
            unread[cause_of(decision)] = str(error)
    if found:
        _judge(settings, found, day)
    _tell(settings, found, day, unread)
    if unread:
        raise ArtifactError("\n".join(unread.values()))
    return found


def cause_of(decision: ModelDecision) -> str:
    """Of the incident that a critical measure of a model is, or a training that is too old."""
    return f"model_drift:{decision.model}:v{decision.version}"


def _tell(settings: Settings, watched: Sequence[Watched], day: date, unread: Collection[str]) -> None:
    """What is critical is an incident of the model, until it is so no more or the model does not score.

    Also what its last training has measured, whether what it said came true; and that it is too old. Of a day
    that is not the newest published one nobody is told: what is built again says nothing about today. Of
    models that could not be read, whose causes are ``unread``, nothing new is known, and the look itself has
    failed.
    """
    warehouse = warehouse_of(settings)
    newest = newest_published(warehouse, _FEATURES)
    is_newest = newest is None or newest <= day
    critical = {
        cause_of(each.decision): (each, reasons)
        for each in watched
        if is_newest
        and (
            reasons := [
                *blocking_reasons(newest_measures(warehouse, each.decision.artifact, day)),
                *each.outdated,
            ]
        )
    }
    incidents = [
        Incident(
            day=day,
            cause=cause,
            what=first_named(reasons),
            since=datetime.now(UTC),
            ends_with="measured",
            runbook="model_drift",
            owner=each.owner,
            severity="warning",
            still_served=still_served(settings),
            spans_days=True,
        )
        for cause, (each, reasons) in critical.items()
    ]
    raise_incidents(settings, incidents)
    open_still = {*critical, *unread}
    close_incidents(
        settings,
        "measured",
        f"as measured on {day}",
        lambda each: is_over(each, day, open_still, is_newest=is_newest) and (each.spans_days or not unread),
    )


def is_over(incident: Incident, day: date, critical: Collection[str], *, is_newest: bool) -> bool:
    """Whether a look at ``day`` ends an incident: drift by the newest day, a failed look by a later one."""
    if incident.spans_days:
        return is_newest and incident.cause not in critical
    return incident.day <= day


def scoring_on(states: Iterable[ModelState]) -> Iterator[ModelDecision]:
    """What is in use, and what is in shadow."""
    for state in states:
        yield from (each for each in (state.in_use, state.in_shadow) if each is not None)


def _judge(settings: Settings, watched: Sequence[Watched], day: date) -> None:
    """Hold what is known of the models against its levels, with Great Expectations; failures are logged."""
    from expectations.model_measures import validate_measures

    result = validate_measures(settings, day, [each.decision.artifact for each in watched])
    for each in (*result.failures, *result.warnings):
        log.warning("expectation_not_met", detail=each.describe())


def _watched(settings: Settings, decision: ModelDecision, day: date, *, gave_scores: bool) -> Watched:
    read_at = reading_time(warehouse_of(settings))
    trained = fetched(settings, decision)
    seen = measure_drift(settings, decision, trained, day)
    if seen.measures and gave_scores:
        accounts = seen.accounts[:EXPLAINED_ACCOUNTS].to_pylist()
        reasons = reasons_of(trained.model, seen.matrix[:EXPLAINED_ACCOUNTS])
        replace_contributions(
            warehouse_of(settings), decision, day, zip(accounts, reasons, strict=True), read_at
        )
    too_old = outdated(trained.declaration, trained.description.window, day)
    return Watched(decision, trained.declaration.owner, seen.measures, tuple(too_old))
