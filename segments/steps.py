"""The steps of a decision, in their fixed order, and the reason code of each.

The order is the domain's: deletion or legal block, test account, consent, entitlement, global holdout,
eligibility, audience, score, content, local holdout and experiment, frequency, exclusivity, cap.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why an account does not get a rule's offer: the first step that failed; or ``SELECTED``."""

    DELETION_REQUESTED = "DELETION_REQUESTED"
    LEGAL_BLOCK = "LEGAL_BLOCK"
    TEST_ACCOUNT = "TEST_ACCOUNT"
    NO_CONSENT = "NO_CONSENT"
    WRONG_ENTITLEMENT = "WRONG_ENTITLEMENT"
    GLOBAL_HOLDOUT = "GLOBAL_HOLDOUT"
    OUTSIDE_VALIDITY = "OUTSIDE_VALIDITY"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    NOT_IN_AUDIENCE = "NOT_IN_AUDIENCE"
    NO_SCORE = "NO_SCORE"
    SCORE_TOO_LOW = "SCORE_TOO_LOW"
    CONTENT_MISSING = "CONTENT_MISSING"
    CONTENT_UNPUBLISHED = "CONTENT_UNPUBLISHED"
    CONTENT_EXPIRED = "CONTENT_EXPIRED"
    CONTENT_OUTDATED = "CONTENT_OUTDATED"
    LOCAL_HOLDOUT = "LOCAL_HOLDOUT"
    FREQUENCY_REACHED = "FREQUENCY_REACHED"
    COOLING_DOWN = "COOLING_DOWN"
    LOST_EXCLUSIVITY = "LOST_EXCLUSIVITY"
    ACCOUNT_CAP_REACHED = "ACCOUNT_CAP_REACHED"
    RULE_CAP_REACHED = "RULE_CAP_REACHED"
    SELECTED = "SELECTED"


PREDICATE_STEPS: Final = (
    Reason.DELETION_REQUESTED,
    Reason.LEGAL_BLOCK,
    Reason.TEST_ACCOUNT,
    Reason.NO_CONSENT,
    Reason.WRONG_ENTITLEMENT,
    Reason.GLOBAL_HOLDOUT,
    Reason.OUTSIDE_VALIDITY,
    Reason.NOT_ELIGIBLE,
    Reason.NOT_IN_AUDIENCE,
    Reason.NO_SCORE,
    Reason.SCORE_TOO_LOW,
)
"""Steps that look at the account's own row only; all of them are judged, whichever fails first."""

CONTENT_STEPS: Final = (
    Reason.CONTENT_MISSING,
    Reason.CONTENT_UNPUBLISHED,
    Reason.CONTENT_EXPIRED,
    Reason.CONTENT_OUTDATED,
)
"""What can be wrong with what would be shown; an account's own arm is told of first."""

CANDIDATE_STEPS: Final = (
    *CONTENT_STEPS,
    Reason.LOCAL_HOLDOUT,
    Reason.FREQUENCY_REACHED,
    Reason.COOLING_DOWN,
)
"""Steps that are judged for whoever passed all before them: what can be shown, to whom, and how often.

An offer that cannot be shown does not compete, so that it takes no other's place.
"""

COMPETITION_STEPS: Final = (
    Reason.LOST_EXCLUSIVITY,
    Reason.ACCOUNT_CAP_REACHED,
    Reason.RULE_CAP_REACHED,
)
"""Steps that depend on what the account's other offers or other accounts took before; one after the other."""

SUPPRESSING: Final = (
    Reason.DELETION_REQUESTED,
    Reason.LEGAL_BLOCK,
    Reason.NO_CONSENT,
    Reason.GLOBAL_HOLDOUT,
)
"""Reasons that tell a service to show an account nothing at all, if it has no offer."""

POINTS: Final = 10_000
"""A score of 1. Scores are whole ten-thousandths throughout, so that no engine rounds another way."""

FAILED_BITS: Final = 24
POINTS_BITS: Final = 16
"""A rule's outcome for one account is one INT64: a bit for every step that failed, above these bits the score
points, above those the number of the rule."""


def bit(step: Reason) -> int:
    """The value of a step's bit in an outcome; earlier steps have lower bits."""
    return 1 << (*PREDICATE_STEPS, *CANDIDATE_STEPS, *COMPETITION_STEPS).index(step)
