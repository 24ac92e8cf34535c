"""Who is better on the same rows, beyond noise: of two that are equally good, hardly ever either."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.special import expit

from scoring.contest import contest
from scoring.evaluation import Prediction
from scoring.propensity import quality_of
from scoring.training import first_unseen
from scoring.uplift import areas_of

REPETITIONS = 200


def says(scores: np.ndarray) -> Prediction:
    return Prediction(scores, scores)


def test_log_loss_is_that_of_the_textbook_and_less_is_a_gain() -> None:
    random = np.random.default_rng(1)
    truth = random.random(2_000)
    outcomes = (random.random(2_000) < truth).astype(float)
    even = np.full(2_000, 0.5)

    found = contest("chance", says(truth), says(even), outcomes)

    assert found.candidate == pytest.approx(quality_of(outcomes, truth).log_loss)
    assert found.other == pytest.approx(np.log(2))
    assert found.gain == pytest.approx(found.other - found.candidate)
    assert found.interval[0] < found.gain < found.interval[1]
    assert found.is_won
    assert not contest("the truth", says(even), says(truth), outcomes).is_won


def test_uplifts_are_judged_by_qini() -> None:
    random = np.random.default_rng(2)
    effect = random.choice([0.3, -0.2], 3_000)
    is_treated = random.random(3_000) < 0.5
    outcomes = (random.random(3_000) < 0.4 + effect * is_treated).astype(float)

    found = contest("chance", says(effect), says(random.random(3_000)), outcomes, is_treated)

    assert found.measure == "qini"
    assert found.candidate == areas_of(effect, outcomes, is_treated).qini
    assert found.is_won


def test_of_two_that_are_equally_good_a_candidate_wins_one_time_in_forty() -> None:
    wins = 0
    for seed in range(REPETITIONS):
        random = np.random.default_rng(seed)
        odds = random.normal(-1, 1, 1_500)
        outcomes = (random.random(1_500) < expit(odds)).astype(float)
        candidate, champion = (says(expit(odds + random.normal(0, 0.3, 1_500))) for _ in range(2))
        wins += contest("the model in use", candidate, champion, outcomes).is_won

    assert wins <= 0.05 * REPETITIONS


def test_days_of_one_account_are_no_independent_evidence() -> None:
    """Thirty rows an account that say the same: drawn one by one, noise would win three times in ten."""
    wins = {"by account": 0, "by row": 0}
    for seed in range(REPETITIONS):
        random = np.random.default_rng(seed)
        units = np.repeat(np.arange(60), 30)
        odds = random.normal(-1, 1, 60)
        outcomes = (random.random(60) < expit(odds)).astype(float)[units]
        candidate, champion = (says(expit(odds + random.normal(0, 0.5, 60))[units]) for _ in range(2))
        wins["by account"] += contest("x", candidate, champion, outcomes, units=units).is_won
        wins["by row"] += contest("x", candidate, champion, outcomes).is_won

    assert wins["by account"] <= 0.05 * REPETITIONS < 0.2 * REPETITIONS < wins["by row"]


MONDAY, WEEK = date(2026, 1, 5), timedelta(days=7)
WITHIN_DAYS = 14
ACCOUNTS = 400


def is_anybody_promoted_in_half_a_year(seed: int, *, by_later_outcomes: bool) -> bool:
    """Each week's new candidate is as good as the model in use, and no better.

    Every Monday is a feature day; the two newest are held back. What happens to an account in a week is an
    outcome of both feature days before it. Who has won once is judged again: by all that is held back a week
    later, or ``by_later_outcomes`` alone.
    """
    random = np.random.default_rng(seed)
    odds = random.normal(-1.5, 1, ACCOUNTS)
    happens = random.random((30, ACCOUNTS)) < expit(odds)
    days = [MONDAY + WEEK * each for each in range(27)]
    champion, chosen = odds + random.normal(0, 0.5, ACCOUNTS), None
    for week in range(1, 27):
        candidate = odds + random.normal(0, 0.5, ACCOUNTS)
        held_back = {days[each]: happens[each + 1] | happens[each + 2] for each in (week - 1, week)}
        if chosen is not None:
            mine, judged_to = chosen
            first = first_unseen(judged_to, WITHIN_DAYS) if by_later_outcomes else MONDAY
            later = {day: outcomes for day, outcomes in held_back.items() if day >= first}
            if later:
                if is_better(mine, champion, list(later.values())):
                    return True
                chosen = None
        rivals = [champion, *([chosen[0]] if chosen else [])]
        if all(is_better(candidate, rival, list(held_back.values())) for rival in rivals):
            chosen = (candidate, days[week])
    return False


def is_better(candidate: np.ndarray, rival: np.ndarray, outcomes: list[np.ndarray]) -> bool:
    """Each predicts the same of an account whatever the day, twice a week's odds."""
    units = np.tile(np.arange(ACCOUNTS), len(outcomes))
    mine, its = (says(1 - (1 - expit(each[units])) ** 2) for each in (candidate, rival))
    return contest("it", mine, its, np.concatenate(outcomes).astype(float), units=units).is_won


def test_a_candidate_a_week_is_not_tried_until_one_of_them_is_lucky() -> None:
    """A candidate a week that is no better, for half a year: hardly ever is any of them put into use.

    Judged again by outcomes that it was chosen by, one in many would be.
    """
    honest = [is_anybody_promoted_in_half_a_year(seed, by_later_outcomes=True) for seed in range(REPETITIONS)]
    few = [is_anybody_promoted_in_half_a_year(seed, by_later_outcomes=False) for seed in range(60)]

    assert sum(honest) <= 0.05 * len(honest)
    assert sum(few) > 0.05 * len(few)


def test_an_offer_without_an_effect_promotes_no_order_of_it() -> None:
    wins = 0
    for seed in range(REPETITIONS):
        random = np.random.default_rng(seed)
        outcomes = (random.random(300) < 0.3).astype(float)
        is_treated = random.random(300) < 0.5
        candidate, champion = (says(random.normal(size=300)) for _ in range(2))
        wins += contest("the model in use", candidate, champion, outcomes, is_treated).is_won

    assert wins <= 0.05 * REPETITIONS
