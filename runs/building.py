"""The steps that build: all at once, or first what trained models score by and then what reads scores."""

from __future__ import annotations

from runs import lineage
from runs.outcome import StepOutcome
from runs.step_jobs import jobs_of
from runs.step_record import models_kept
from segue.settings import Settings
from segue.window import RunWindow


def build(settings: Settings, window: RunWindow) -> StepOutcome:
    """Build every model of the run in an audit dataset of this attempt's own.

    Where a trained model has to score a day first, or its scores end, all that does not read scores: the
    rest is left to ``score``.

    Raises:
        BuildError: a model failed.
        WarehouseError: it cannot be read which models are in use.
    """
    from runs.attempts import begin_attempt
    from runs.dbt import build as build_models
    from runs.erased import keeping_nobody_erased
    from runs.scores import READ_SCORES, awaits_scores

    attempt = begin_attempt(settings, window)
    attempt = attempt.model_copy(update={"awaits_scores": awaits_scores(settings, attempt)})
    # What is left out by name comes instead of what dbt leaves out by itself.
    left = [f"{READ_SCORES}+", "tag:training"] if attempt.awaits_scores else []
    with keeping_nobody_erased(settings, attempt), models_kept(settings, attempt) as on_node:
        build_models(settings, attempt, exclude=left, on_node=on_node)
    lineage.tell(settings, attempt.end_date, lambda: lineage.of_models(settings, attempt))
    return StepOutcome(attempt, f"{attempt} in {attempt.audit_dataset}")


@jobs_of("score")
def score(settings: Settings, window: RunWindow) -> StepOutcome:
    """Score the days by the models in use, and build what ``build`` has left to it.

    A model that is missing, late or broken is a warning: the days are decided by earlier scores, within the
    age that the rules take, or without.

    Raises:
        BuildError: a model of dbt failed.
        OtherProjectError: the dbt project has changed since the build.
        WarehouseError: it cannot be read which models are in use.
    """
    from runs.attempts import continue_attempt
    from runs.dbt import build as build_models
    from runs.erased import keeping_nobody_erased
    from runs.scores import READ_SCORES, score_days

    if not window.awaits_scores:
        return StepOutcome(window, "no trained model has a day to score")
    continue_attempt(settings, window)
    with keeping_nobody_erased(settings, window), models_kept(settings, window) as on_node:
        scored = score_days(settings, window)
        build_models(settings, window, [f"{READ_SCORES}+"], on_node=on_node)
    lineage.tell(settings, window.end_date, lambda: lineage.of_models(settings, window))
    return StepOutcome(window, "; ".join(scored.lines) or "nothing was scored", warnings=scored.warnings)
