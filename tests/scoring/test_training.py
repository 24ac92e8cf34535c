"""Declared models on examples whose truth is known: found, and refused where there is nothing to find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from scoring import artifact
from scoring.decision import IN_USE
from scoring.model import Model
from scoring.page import page
from scoring.training import Judgement, Lesson
from segments.rule import Rule
from segments.source import load_rules
from segue.outside_file import OutsideFileError
from tests.scoring.planted import Planted
from tests.scoring.planted_examples import AS_OF, GROUPS, listeners, propensity, trial, uplift

RULES: tuple[Rule, ...] = load_rules().rules


@pytest.fixture(scope="module")
def planted() -> Planted:
    return listeners(3_000)


@pytest.fixture(scope="module")
def lesson(planted: Planted) -> Lesson:
    return Lesson(propensity(), planted.table, RULES)


@pytest.fixture(scope="module")
def model(lesson: Lesson) -> Model:
    return lesson.train()


@pytest.fixture(scope="module")
def judged(lesson: Lesson, model: Model) -> Judgement:
    return lesson.judge(model, {})


def test_a_propensity_is_found_as_well_as_its_truth_can_be(
    planted: Planted, lesson: Lesson, judged: Judgement
) -> None:
    held_out = lesson.examples.held_out
    best = roc_auc_score(lesson.examples.outcomes[held_out], planted.truth[held_out])

    assert best - 0.02 < judged.evaluation.quality.auc <= best + 0.005
    assert judged.evaluation.calibration is not None
    assert 0.9 <= judged.evaluation.calibration.slope <= 1.1


def test_later_days_judge_and_other_accounts_say_when_to_stop(planted: Planted, lesson: Lesson) -> None:
    days = [each.isoformat() for each in planted.table["feature_date"].to_pylist()]
    accounts = planted.table["account_id"].to_pylist()

    def parts(cells: list[str]) -> dict[str, set[str]]:
        return {
            part: {cell for cell, is_in in zip(cells, getattr(lesson.examples, part), strict=True) if is_in}
            for part in ("learning", "stopping", "held_out")
        }

    earlier = {"2026-01-13", "2026-01-20", "2026-01-27", "2026-02-03", "2026-02-10", "2026-02-17"}
    assert parts(days) == {
        "learning": earlier, "stopping": earlier, "held_out": {"2026-03-10", "2026-03-17"},
    }  # fmt: skip
    of = parts(accounts)
    assert not of["learning"] & of["stopping"]
    assert len(of["stopping"]) / len(of["held_out"]) == pytest.approx(0.2, abs=0.02)


def test_a_good_model_goes_into_shadow_with_its_reasons(judged: Judgement) -> None:
    assert judged.verdict.decision == "shadow"
    assert [reason.split(" beyond noise")[0] for reason in judged.verdict.reasons] == [
        f"has an AUC of {judged.evaluation.quality.auc:.3f} on 6,000 held-back examples",
        "is better than prevalence",
        "is better than heuristic of trial_for_engaged_free",
        "no model is in use that it could be compared with",
        "7 days in shadow are asked before it is used",
    ]


def test_a_rules_heuristic_is_a_rival_of_models_that_go_by_other_columns(planted: Planted) -> None:
    few = Lesson(propensity(features=["tenure_days"]), planted.table, RULES)

    judged = few.judge(few.train(), {})

    assert any(
        each.startswith("is not better than heuristic of trial_for_engaged_free beyond noise")
        for each in judged.verdict.reasons
    )
    with pytest.raises(OutsideFileError) as error:
        Lesson(propensity(features=["tenure_days"]), planted.table.drop_columns(["skips_blocked_28d"]), RULES)
    assert str(error.value) == ("heuristic of trial_for_engaged_free: column skips_blocked_28d is not there")


def test_a_model_of_another_kind_is_no_rival_that_can_be_beaten(
    tried: Planted, lesson: Lesson, model: Model
) -> None:
    of_offer = Lesson(uplift(), tried.table, RULES)

    verdict = of_offer.judge(of_offer.train(), {IN_USE: model}).verdict

    assert verdict.decision == "refused"
    assert verdict.reasons[0] == (
        "cannot be compared with the model in use: examples of trial_offer_uplift: "
        "a propensity says nothing of them"
    )
    with pytest.raises(OutsideFileError, match="an uplift says nothing of them"):
        lesson.matured(of_offer.train())


def test_after_its_days_in_shadow_it_is_promoted(lesson: Lesson, model: Model) -> None:
    assert lesson.judge(model, {}, shadow_days=6).verdict.decision == "shadow"
    assert lesson.judge(model, {}, shadow_days=7).verdict.decision == "promoted"


def test_shuffled_labels_are_refused(planted: Planted) -> None:
    shuffled = np.random.default_rng(3).permutation(planted.table.column("outcome").to_numpy(False))
    lesson = Lesson(propensity(), replaced(planted.table, "outcome", pa.array(shuffled)), RULES)

    verdict = lesson.judge(lesson.train(), {}).verdict

    assert verdict.decision == "refused"
    assert any(reason.startswith("is not better than prevalence") for reason in verdict.reasons)
    assert any("0.600 is asked" in reason for reason in verdict.reasons)


def test_a_feature_that_was_known_afterwards_is_refused(planted: Planted) -> None:
    random = np.random.default_rng(4)
    outcomes = planted.table.column("outcome").to_numpy(False)
    # Minutes of the trial itself, in all but two rows of a hundred.
    leaked = np.where(random.random(len(outcomes)) < 0.002, 1 - outcomes, outcomes) * 50_000
    lesson = Lesson(propensity(), replaced(planted.table, "ad_ms_28d", pa.array(leaked)), RULES)

    verdict = lesson.judge(lesson.train(), {}).verdict

    assert verdict.decision == "refused"
    assert verdict.reasons[0].startswith("ad_ms_28d alone has an AUC of 0.99")


def test_the_same_model_does_not_take_its_own_place(lesson: Lesson, model: Model) -> None:
    verdict = lesson.judge(model, {IN_USE: model}).verdict

    assert verdict.decision == "refused"
    assert verdict.reasons[0].startswith("is not better than the model in use beyond noise: log loss ")
    assert verdict.reasons[0].endswith("by +0.0000 [+0.0000, +0.0000]")


def test_a_model_takes_no_place_of_one_that_it_cannot_be_compared_with(
    planted: Planted, model: Model
) -> None:
    few = Lesson(propensity(features=["streams_28d"]), planted.table.drop_columns(["market"]), RULES)

    verdict = few.judge(few.train(), {IN_USE: model}).verdict

    assert verdict.decision == "refused"
    assert verdict.reasons[0] == (
        "cannot be compared with the model in use: examples of trial_propensity: column market is not there"
    )


def test_a_better_model_takes_the_place_of_a_worse_one(
    planted: Planted, lesson: Lesson, model: Model
) -> None:
    # Half of what decides is not known to the one in use.
    worse = Lesson(propensity(features=["streams_28d"]), planted.table, RULES)

    judged = lesson.judge(model, {IN_USE: worse.train()})

    assert judged.verdict.decision == "shadow"
    assert any(each.against == IN_USE and each.is_won for each in judged.contests)


def test_too_few_examples_are_refused_in_words(model: Model, planted: Planted) -> None:
    asked = propensity(minimum={"rows": 1_000_000, "events": 100_000, "auc": 0.6})

    verdict = Lesson(asked, planted.table, RULES).judge(model, {}).verdict

    assert verdict.decision == "refused"
    assert verdict.reasons[0] == "has 24,000 examples; 1,000,000 are asked"
    assert verdict.reasons[1].endswith("examples with the event; 100,000 are asked")
    with pytest.raises(OutsideFileError, match="the held-back days: 40 rows"):
        Lesson(asked, listeners(20).table, RULES)


def test_examples_that_were_drawn_count_for_those_that_were_not(planted: Planted) -> None:
    """A tenth of the negatives, weighed tenfold, teaches the same probabilities as all of them."""
    table = planted.table
    random = np.random.default_rng(6)
    is_drawn = random.random(table.num_rows) < 0.3
    is_whole = np.asarray(pc.or_(table["outcome"], table["is_held_back"]))
    drawn = replaced(table, "weight", pa.array(np.where(is_whole, 1.0, 1 / 0.3))).filter(
        pa.array(is_whole | is_drawn)
    )

    lesson = Lesson(propensity(), drawn, RULES)
    judged = lesson.judge(lesson.train(), {})

    assert judged.evaluation.calibration is not None
    assert 0.9 <= judged.evaluation.calibration.slope <= 1.1
    assert abs(judged.evaluation.calibration.intercept) < 0.1
    assert judged.verdict.decision == "shadow"


def test_a_date_is_the_days_since_then(planted: Planted) -> None:
    table = planted.table.append_column(
        "price_raise_date",
        pc.subtract(planted.table["feature_date"], pa.scalar(3 * 86_400, pa.duration("s"))),
    )
    dates = table["price_raise_date"].cast(pa.date32())
    table = replaced(table, "price_raise_date", dates)

    lesson = Lesson(propensity(features=["streams_28d", "price_raise_date"]), table, RULES)

    assert set(lesson.examples.matrix[:, 1]) == {3.0}


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("is_held_back", "the held-back days: 6,000 rows, 0 of them positive"),
        ("is_learned", "the days to learn from: 18,000 rows, 0 of them positive"),
        ("everywhere", "the days to learn from: 18,000 rows, 0 of them positive"),
    ],
)
def test_days_on_which_nothing_happens_teach_and_judge_nothing(
    planted: Planted, where: str, what: str
) -> None:
    is_held_back = np.asarray(planted.table["is_held_back"])
    silent = {
        "is_held_back": is_held_back,
        "is_learned": ~is_held_back,
        "everywhere": np.ones(len(is_held_back), bool),
    }[where]
    outcomes = planted.table["outcome"].to_numpy(False) & ~silent

    with pytest.raises(OutsideFileError) as error:
        Lesson(propensity(), replaced(planted.table, "outcome", pa.array(outcomes)), RULES)

    assert str(error.value) == (
        f"examples of trial_propensity: {what}; each outcome is needed 20 times at least"
    )


def test_features_of_which_nothing_is_known_decide_nothing_and_stop_nothing(
    planted: Planted, tmp_path: Path
) -> None:
    rows = planted.table.num_rows
    table = replaced(planted.table, "ad_ms_28d", pa.nulls(rows, pa.int64()))
    table = replaced(table, "market", pa.nulls(rows, pa.string()))
    lesson = Lesson(propensity(), table, RULES)

    model = lesson.train()
    judged = lesson.judge(model, {})
    kept = artifact.read_description(lesson.keep(tmp_path, model, judged, AS_OF))

    assert judged.verdict.decision == "shadow"
    importance = {each.feature: each.contribution for each in kept.insights.importance}
    assert (importance["ad_ms_28d"], importance["market"]) == (0, 0)
    assert "<h2" in page("trial_propensity v1", kept)


def test_namibia_is_a_market_of_its_own() -> None:
    """What an outside file writes where it has no value, NA, is a market of our own tables."""
    table = listeners(400).table
    markets = pc.replace_substring(table["market"], "US", "NA")
    is_null = pa.array(np.arange(table.num_rows) == 0)
    markets = pc.if_else(is_null, pa.scalar(None, pa.string()), markets.combine_chunks())

    examples = Lesson(propensity(), replaced(table, "market", markets), RULES).examples

    assert examples.features[-1].categories == ("DE", "NA", "SE")
    assert np.isnan(examples.matrix[:, -1]).sum() == 1


def test_the_same_examples_give_the_same_bytes_in_whatever_order(planted: Planted, tmp_path: Path) -> None:
    few = planted.table.filter(pc.less(planted.table["account_id"], "a000800"))
    shuffled = few.take(pa.array(np.random.default_rng(8).permutation(few.num_rows)))
    paths = []
    for table in (few, shuffled):
        lesson = Lesson(propensity(), table, RULES)
        model = lesson.train()
        paths.append(lesson.keep(tmp_path, model, lesson.judge(model, {}), AS_OF))

    assert paths[0] == paths[1]
    kept = artifact.read_description(paths[0])
    assert kept.declared["name"] == "trial_propensity"
    assert kept.window == {
        "as_of": "2026-03-31",
        "learned_from": "2026-01-13",
        "learned_to": "2026-02-17",
        "held_back_from": "2026-03-10",
        "held_back_to": "2026-03-17",
    }
    assert {each.by for each in kept.insights.slices} == {"market", "age band", "tenure"}


@pytest.fixture(scope="module")
def tried() -> Planted:
    return trial(24_000)


def test_an_uplift_ranks_whom_an_offer_helps_and_earns_what_the_truth_would(tried: Planted) -> None:
    lesson = Lesson(uplift(), tried.table, RULES)
    model = lesson.train()

    judged = lesson.judge(model, {})

    assert judged.verdict.decision == "shadow"
    assert judged.evaluation.uplift is not None
    assert judged.evaluation.uplift.interval[0] > 0
    held_out = lesson.examples.held_out
    scores, truth = model.scores(lesson.examples.matrix[held_out]), tried.truth[held_out]
    means = [scores[np.isclose(truth, effect)].mean() for effect in GROUPS.values()]
    assert means == sorted(means, reverse=True)
    top = len(scores) * 3 // 10
    earned = truth[np.argsort(-scores, kind="stable")[:top]].sum()
    assert earned >= 0.9 * np.sort(truth)[::-1][:top].sum()


def test_an_offer_that_changes_nothing_has_no_uplift_model(tried: Planted) -> None:
    arms = np.random.default_rng(9).permutation(tried.table["is_treated"].to_numpy(False))
    # Whoever was treated is not who the outcomes say, so that no order is better than another.
    lesson = Lesson(uplift(), replaced(tried.table, "is_treated", pa.array(arms)), RULES)

    verdict = lesson.judge(lesson.train(), {}).verdict

    assert verdict.decision == "refused"
    assert any("all of the interval is asked to be above 0.0000" in reason for reason in verdict.reasons)


def replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)
