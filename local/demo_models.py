"""The demo's model: trained before the history's end, in shadow for as long as is declared, then in use."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from runs.steps import StepReport, run
from runs.training import declared_models, train_models
from segue.settings import Settings

MODEL: Final = "trial_propensity"
_WHO: Final = "make demo"
_DAY: Final = timedelta(days=1)


def history_with_a_model(settings: Settings, first: date, last: date, say: StepReport) -> None:
    """Build the days [first, last] as two ranges, and decide about the model at the end of each.

    The second range is as long as the model's declaration asks for days in shadow, and as what it predicts
    takes: it is judged again by outcomes that nobody knew when it was chosen. Nothing is decided by hand:
    of a much smaller company, in which who starts a trial is mostly chance, no model is good enough.

    Raises:
        SegueError: a run failed, or the model could not be trained.
    """
    declared = declared_models(settings, [MODEL])[MODEL]
    trained = max(first, last - max(declared.shadow_days, declared.target.within_days) * _DAY)
    run(settings, first, trained, say)
    _train(settings, trained, say)
    if trained < last:
        # As far back as its first day's own run would have looked for what had changed.
        days = settings.restatement_days + (last - trained).days - 1
        run(settings.model_copy(update={"restatement_days": days}), trained + _DAY, last, say)
        _train(settings, last, say)


def _train(settings: Settings, day: date, say: StepReport) -> None:
    for each in train_models(settings, day, [MODEL], _WHO):
        say("model", f"{MODEL} {each.version}: {each.decision}: {'; '.join(each.reasons)}")
