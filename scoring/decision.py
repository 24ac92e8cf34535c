"""What becomes of a trained model: into use, into shadow first, or refused; with its reasons in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scoring.contest import Contest
from scoring.declaration import ModelDeclaration
from scoring.evaluation import Evaluation
from scoring.leaks import Leak

IN_USE: Final = "the model in use"
IN_SHADOW: Final = "the candidate in shadow"


@dataclass(frozen=True)
class Verdict:
    """What was decided, and why: of a refusal all that speaks against the model, else what speaks for it."""

    decision: Literal["shadow", "promoted", "refused"]
    reasons: tuple[str, ...]


def decide(
    model: ModelDeclaration,
    found: Evaluation,
    events: int,
    leaks: Sequence[Leak],
    contests: Sequence[Contest],
    shadow_days: int | None = None,
) -> Verdict:
    """Judge a candidate by its declaration's minimums and by whom it has to be better than.

    ``events``: of its examples those with the event. ``contests``: one with each rival, baselines as well as
    models. ``shadow_days``: for how many days it has been in shadow; None: it is new.
    """
    against = [*_too_little(model, found, events), *_leaking(leaks), *_too_bad(model, found)]
    against += [f"is not better than {_worded(each)}" for each in contests if not each.is_won]
    if against:
        return Verdict("refused", tuple(against))
    reasons = [_quality(found), *(f"is better than {_worded(each)}" for each in contests)]
    if IN_USE not in {each.against for each in contests}:
        reasons.append("no model is in use that it could be compared with")
    if shadow_days is None:
        if model.shadow_days == 0:
            return Verdict("promoted", tuple(reasons))
        return Verdict(
            "shadow", (*reasons, f"{model.shadow_days} days in shadow are asked before it is used")
        )
    decision: Literal["promoted", "shadow"] = "promoted" if shadow_days >= model.shadow_days else "shadow"
    return Verdict(decision, (*reasons, days_in_shadow(model, shadow_days)))


def blocked(verdict: Verdict, drift: Sequence[str]) -> Verdict:
    """The verdict, but that a model is in shadow for as long as ``drift`` keeps it from being used.

    Nothing of it speaks against the model itself.
    """
    if verdict.decision != "promoted" or not drift:
        return verdict
    return Verdict("shadow", (*verdict.reasons, *(f"is not used while {each}" for each in drift)))


def days_in_shadow(model: ModelDeclaration, days: int) -> str:
    """For how many days a candidate has been in shadow, of those that are asked."""
    return f"was in shadow for {days} days, of {model.shadow_days} asked"


def _too_little(model: ModelDeclaration, found: Evaluation, events: int) -> Iterator[str]:
    asked = model.minimum
    if found.rows < asked.rows:
        yield f"has {found.rows:,} examples; {asked.rows:,} are asked"
    if events < asked.events:
        yield f"has {events:,} examples with the event; {asked.events:,} are asked"


def _leaking(leaks: Sequence[Leak]) -> Iterator[str]:
    for leak in leaks:
        yield f"{leak.feature} alone has an AUC of {leak.auc:.4f}: it must have been known after the event"


def _too_bad(model: ModelDeclaration, found: Evaluation) -> Iterator[str]:
    auc, qini = model.minimum.auc, model.minimum.qini
    if auc is not None and found.quality.auc < auc:
        yield f"has an AUC of {found.quality.auc:.3f} on the held-back days; {auc:.3f} is asked"
    if qini is not None and found.uplift is not None and found.uplift.interval[0] <= qini:
        low, high = found.uplift.interval
        yield (
            f"has a Qini of {found.uplift.qini:.4f} [{low:.4f}, {high:.4f}] on the held-back days; "
            f"all of the interval is asked to be above {qini:.4f}"
        )


def _quality(found: Evaluation) -> str:
    if found.uplift is not None:
        low, high = found.uplift.interval
        measured = f"Qini of {found.uplift.qini:.4f} [{low:.4f}, {high:.4f}]"
    else:
        measured = f"AUC of {found.quality.auc:.3f}"
    return (
        f"has a{'n' if measured.startswith('A') else ''} {measured} on {found.held_out:,} held-back examples"
    )


def _worded(each: Contest) -> str:
    """The rival, and by how much: what it takes away from log loss, or adds to the Qini."""
    low, high = each.interval
    name = each.measure.replace("log_loss", "log loss").replace("qini", "Qini")
    return (
        f"{each.against} beyond noise: {name} {each.candidate:.4f} against {each.other:.4f}, "
        f"by {each.gain:+.4f} [{low:+.4f}, {high:+.4f}]"
    )
