"""What a person decides about trained models: promote, retire, roll back; each with a reason and a name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from loaders.scoring.artifacts import fetched
from loaders.scoring.registry import decisions, record
from loaders.warehouse.client import warehouse_of
from runs.model_drift import against_use
from runs.training import UnknownModelError
from scoring.registry import NOTHING, DecisionKind, ModelDecision, ModelState, states
from segue.errors import SegueError
from segue.settings import Settings


class ModelDecisionError(SegueError):
    """What was asked for does not follow from what is in use; nothing was decided."""

    code = "model_decision"
    exit_code = 2
    is_final = True


def promote(
    settings: Settings,
    name: str,
    artifact: str,
    day: date,
    reason: str,
    decided_by: str,
    *,
    despite_drift: bool = False,
) -> ModelDecision:
    """Put a trained model into use from ``day`` on, whatever its minimums say; ``artifact`` may be shortened.

    What its drift on the day says against it, or that nobody can know it, is refused; or, ``despite_drift``,
    kept among the decision's reasons.

    Raises:
        UnknownModelError: no model was trained by this name, or none with this artifact.
        ModelDecisionError: it is in use already, the artifact is not clear, later days have decisions, or its
            drift is critical or not known.
        ArtifactError: its folder is not there, or a byte of it has changed.
    """
    known = _known(settings, name, day)
    found = {each.artifact: each for each in known if each.artifact and each.artifact.startswith(artifact)}
    if not found:
        raise UnknownModelError(f"{name} has no trained model {artifact}")
    if len(found) > 1:
        raise ModelDecisionError(f"{artifact} may be {' or '.join(sorted(found))}")
    (chosen,) = found.values()
    used = _state(known, name, day).in_use
    if used is not None and used.artifact == chosen.artifact:
        raise ModelDecisionError(f"{name}: {chosen.artifact} is in use already")
    # What cannot be read cannot score: better told now than tomorrow morning.
    fetched(settings, chosen)
    drift = against_use(settings, chosen, day)
    if drift and not despite_drift:
        raise ModelDecisionError(
            f"{name}: {chosen.artifact} is not put into use while {'; '.join(drift)}; whoever wants it all "
            "the same says --despite-drift, and the registry keeps it"
        )
    reasons = (reason, *(f"was put into use although {each}" for each in drift))
    return _decided(settings, chosen, "promoted", day, reasons, decided_by)


def retire(settings: Settings, name: str, day: date, reason: str, decided_by: str) -> ModelDecision:
    """Take the model in use out of it; from ``day`` on the rules do as they say of a missing score.

    Raises:
        UnknownModelError: no model was trained by this name.
        ModelDecisionError: none is in use, or later days have decisions.
    """
    used = _state(_known(settings, name, day), name, day).in_use
    if used is None:
        raise ModelDecisionError(f"{name}: none is in use")
    return _decided(settings, used, "retired", day, (reason,), decided_by)


def rollback(settings: Settings, name: str, day: date, reason: str, decided_by: str) -> ModelDecision:
    """Take the model in use out of it, and the one before it into use again.

    Raises:
        UnknownModelError: no model was trained by this name.
        ModelDecisionError: there was none before, or later days have decisions.
        ArtifactError: the folder of the one before is not there, or a byte of it has changed.
    """
    state = _state(_known(settings, name, day), name, day)
    if state.in_use is None or not state.before:
        raise ModelDecisionError(f"{name}: there is no model before the one in use; retire it instead")
    fetched(settings, state.before[-1])
    return _decided(settings, state.in_use, "rolled_back", day, (reason,), decided_by)


def _known(settings: Settings, name: str, day: date) -> list[ModelDecision]:
    """All decisions about a model, none of which may be of a later day.

    A decision between others would change what follows from those after it.
    """
    known = decisions(warehouse_of(settings), datetime.now(UTC).date(), name)
    if not known:
        raise UnknownModelError(f"no model was trained by the name {name}")
    latest = max(each.day for each in known)
    if latest > day:
        raise ModelDecisionError(f"{name}: {latest} has a decision already; allowed: that day, or later")
    return known


def _state(known: list[ModelDecision], name: str, day: date) -> ModelState:
    return states(known, day).get(name, NOTHING)


def _decided(
    settings: Settings,
    about: ModelDecision,
    kind: DecisionKind,
    day: date,
    reasons: tuple[str, ...],
    decided_by: str,
) -> ModelDecision:
    decision = replace(
        about,
        decision=kind,
        day=day,
        reasons=reasons,
        decided_by=decided_by,
        decided_at=datetime.now(UTC),
        metrics={},
    )
    record(warehouse_of(settings), [decision])
    return decision
