"""What was decided about trained models, and what follows from it on a day: in use, in shadow, or neither."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, Literal

DecisionKind = Literal["trained", "shadow", "promoted", "refused", "retired", "rolled_back"]


@dataclass(frozen=True)
class ModelDecision:
    """One decision about one trained model; it counts from the end of ``day`` on.

    * trained: there is such a model; nothing scores with it yet.
    * shadow: it is scored beside the one in use, and no rule reads its scores.
    * promoted: it is in use, in the place of the one before; out of shadow.
    * refused: it was found not good enough, or another has taken its place in shadow; out of shadow.
    * retired: nothing is in use or in shadow from then on, and the rules do as they say of a missing score;
      what it had scored counts no more. Only when it is named is it trained again.
    * rolled_back: it is out of use, and what was in use before it is again; its scores count no more.
    """

    model: str
    version: int
    """Of its declaration."""
    artifact: str
    """The digest that names its folder."""
    artifact_uri: str
    decision: DecisionKind
    reasons: tuple[str, ...]
    day: date
    decided_at: datetime
    decided_by: str
    """A person, or the run that decided."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """As it was judged for this decision; empty where it was not."""
    data_digest: str | None = None
    """Of the examples that it was trained on."""


@dataclass(frozen=True)
class ModelState:
    """What scores accounts on a day, as the decisions up to it say."""

    in_use: ModelDecision | None = None
    """The decision that promoted it."""
    in_shadow: ModelDecision | None = None
    """The decision that put it there; a newer candidate takes an older one's place."""
    before: tuple[ModelDecision, ...] = ()
    """What was in use before and can be again, the latest last."""
    is_retired: bool = False
    """Since it was retired, nobody has had it trained and found good enough, or promoted it."""


NOTHING: Final = ModelState()


def states(decisions: Iterable[ModelDecision], day: date) -> dict[str, ModelState]:
    """By model, what the decisions that count by the end of ``day`` have led to."""
    found: dict[str, ModelState] = {}
    counting = (each for each in decisions if each.day <= day)
    for each in sorted(counting, key=lambda decision: (decision.day, decision.decided_at)):
        found[each.model] = _after(found.get(each.model, NOTHING), each)
    return found


def _after(state: ModelState, decision: ModelDecision) -> ModelState:
    shadow = state.in_shadow
    left = None if shadow is not None and shadow.artifact == decision.artifact else shadow
    used = state.in_use
    match decision.decision:
        case "shadow":
            # Found better once more while it is in shadow, it has been there since the first time.
            if shadow is not None and left is None:
                return state
            return replace(state, in_shadow=decision, is_retired=False)
        case "promoted":
            if used is not None and used.artifact == decision.artifact:
                return replace(state, in_shadow=left)
            before = state.before if used is None else (*state.before, used)
            return ModelState(decision, left, before)
        case "refused":
            return replace(state, in_shadow=left)
        case "retired":
            before = state.before if used is None else (*state.before, used)
            return ModelState(None, None, before, is_retired=True)
        case "rolled_back":
            if used is None or used.artifact != decision.artifact:
                return state
            return ModelState(state.before[-1] if state.before else None, left, state.before[:-1])
        case "trained":
            return state
