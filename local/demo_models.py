"""The demo's model: trained on the company's history, put into use, and from then on scored every day."""

from __future__ import annotations

from datetime import date
from typing import Final

from runs.model_decisions import promote
from runs.steps import StepReport
from runs.training import train_models
from segue.settings import Settings

MODEL: Final = "trial_propensity"
_WHO: Final = "make demo"


def train_and_use(settings: Settings, day: date, say: StepReport) -> None:
    """Train the model as of ``day`` and put it into use, whatever was decided.

    A model that is good enough would be in shadow for days first; and of a smaller company, in which who
    starts a trial is mostly chance, none is. The demo shows what follows from one in use all the same.

    Raises:
        SegueError: it could not be trained, or the decision not be written.
    """
    found = train_models(settings, day, [MODEL], _WHO)
    for each in found:
        say("model", f"{MODEL} {each.version}: {each.decision}: {'; '.join(each.reasons)}")
    artifacts = [each.artifact for each in found if each.artifact]
    if artifacts and all(each.decision != "promoted" for each in found):
        reason = "to show a model in use at once, whatever was decided"
        promote(settings, MODEL, artifacts[0], day, reason, _WHO, despite_drift=True)
        say("model", f"{MODEL}: promoted by hand: {reason}")
