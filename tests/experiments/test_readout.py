"""What follows from an experiment's sums: the ship rule, at the looks that were planned."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest

from experiments.design import Design, MetricDesign, Progress
from experiments.readout import readout
from experiments.results import Readout
from experiments.statistics.sums import Sums

PAID = MetricDesign("paid", "success")
STREAMS = MetricDesign("streams", "guardrail", margin=0.02)
REFUNDS = MetricDesign("refunds", "deterioration", worse="higher")
DESIGN = Design("control", {"control": 50, "offer": 50}, (PAID, STREAMS, REFUNDS))


def share(n: int, yes: int) -> Sums:
    """A metric of 0 and 1."""
    return Sums.of(n, sum_y=yes, sum_y2=yes)


def amount(n: int, mean: float, deviation: float) -> Sums:
    """A metric with a mean and a standard deviation (n in the denominator)."""
    total = Fraction(mean) * n
    return Sums.of(n, sum_y=total, sum_y2=n * (Fraction(deviation) ** 2 + Fraction(mean) ** 2))


CONTROL = {"paid": share(10_000, 1_000), "streams": amount(10_000, 100, 50), "refunds": share(10_000, 50)}
OFFER = {"paid": share(10_000, 1_200), "streams": amount(10_000, 100, 50), "refunds": share(10_000, 50)}


def read(offer: dict[str, Sums], design: Design = DESIGN, progress: Progress | None = None) -> Readout:
    return readout(
        design, {"control": 10_000, "offer": 10_000}, {"control": CONTROL, "offer": offer}, progress
    )


def test_a_success_metric_that_improved_with_guardrails_kept_is_shipped() -> None:
    found = read(OFFER)

    assert found.verdict == "ship"
    assert found.reasons == [
        "offer: paid improved: +20.00% [+10.49%, +29.51%], p < 0.0001",
        "offer: streams is shown to be less than 2% worse: +0.00% [-1.39%, +1.39%], p = 1.0000",
        "offer: refunds is not seen to be worse: +0.00% [-39.11%, +39.11%], p = 1.0000",
    ]


def test_nothing_is_shipped_without_an_improvement_however_safe_it_is() -> None:
    found = read(OFFER | {"paid": share(10_000, 1_010)})

    assert found.verdict == "do not ship"
    assert "paid is not shown to have improved" in found.reasons[0]
    assert "so many units would have shown an effect of 11.9%" in found.reasons[0]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ({"refunds": share(10_000, 90)}, "refunds got worse: +80.00%"),
        ({"streams": amount(10_000, 95, 50)}, "streams got worse: -5.00%"),
        # Neither shown to be worse nor shown not to be: unknown is not good enough.
        ({"streams": amount(10_000, 99, 50)}, "streams is not shown to be less than 2% worse"),
    ],
)
def test_an_improvement_does_not_pay_for_harm(harm: dict[str, Sums], reason: str) -> None:
    found = read(OFFER | harm)

    assert found.verdict == "do not ship"
    assert any(reason in each for each in found.reasons)


def test_a_guardrail_may_be_worse_within_its_margin() -> None:
    design = replace(DESIGN, metrics=(PAID, replace(STREAMS, margin=0.05)))

    found = read(OFFER | {"streams": amount(10_000, 98, 50)}, design)

    metric = found.arms["offer"].metrics["streams"]
    assert (found.verdict, metric.status) == ("ship", "not worse")
    assert metric.p_value is not None
    assert metric.p_value < 0.05


def test_a_metric_of_which_less_is_better_improves_downwards() -> None:
    design = replace(DESIGN, metrics=(replace(PAID, worse="higher"),))

    assert read(OFFER, design).arms["offer"].metrics["paid"].status == "worse"
    assert read(OFFER | {"paid": share(10_000, 800)}, design).verdict == "ship"


def test_units_that_are_missing_from_an_arm_block_whatever_the_metrics_say() -> None:
    found = readout(DESIGN, {"control": 10_000, "offer": 9_400}, {"control": CONTROL, "offer": OFFER})

    assert (found.verdict, found.arms["offer"].verdict) == ("blocked", "blocked")
    assert found.sample_ratio.verdict == "block"
    assert found.reasons[0].startswith(
        "the arms do not have the units they were meant to have "
        "(control 10,000 of 9,700, offer 9,400 of 9,700; p = 1.6e-05)"
    )


def test_five_arms_need_more_proof_than_one() -> None:
    """1,095 of 10,000 against 1,000 is p = 0.029: enough for one arm, too weak among five."""
    arms = {f"offer_{number}": 20 for number in range(1, 6)}
    design = Design("control", {"control": 20, **arms}, (PAID,))
    sums = {"control": {"paid": share(10_000, 1_000)}} | {
        arm: {"paid": share(10_000, 1_095 if arm == "offer_1" else 1_000)} for arm in arms
    }
    alone = replace(design, allocation={"control": 20, "offer_1": 20})

    together = readout(design, dict.fromkeys(design.allocation, 10_000), sums)
    single = readout(alone, dict.fromkeys(alone.allocation, 10_000), sums)

    assert (single.verdict, together.verdict) == ("ship", "do not ship")
    metric = together.arms["offer_1"].metrics["paid"]
    assert metric.p_value == single.arms["offer_1"].metrics["paid"].p_value
    assert metric.p_value_adjusted == pytest.approx(5 * (metric.p_value or 0))


LOOKED_AT = replace(DESIGN, looks=(7, 14, 21, 28), metrics=(replace(PAID, minimum_effect=0.1),))


def test_an_early_look_asks_for_more_than_the_last_one() -> None:
    """z = 4.5 is within the first look's bound of 4.33, z = 2.7 is not within the second's of 2.96."""
    weaker = OFFER | {"paid": share(10_000, 1_118)}

    assert read(OFFER, LOOKED_AT, Progress(7)).verdict == "ship"
    assert [read(weaker, LOOKED_AT, Progress(day)).verdict for day in (14, 21, 28)] == [
        "keep running", "ship", "ship",
    ]  # fmt: skip
    first, last = (read(weaker, LOOKED_AT, Progress(day)).arms["offer"].metrics["paid"] for day in (7, 28))
    assert first.interval is not None
    assert last.interval is not None
    assert first.interval[0] < 0 < last.interval[0]
    assert first.p_value == last.p_value
    assert first.fixed_interval == last.fixed_interval
    assert first.fixed_interval is not None
    assert first.interval[0] < first.fixed_interval[0] < first.fixed_interval[1] < first.interval[1]


def test_between_looks_nothing_is_decided_and_the_interval_holds_whenever_one_looks() -> None:
    found = read(OFFER, LOOKED_AT, Progress(10))

    metric = found.arms["offer"].metrics["paid"]
    assert (found.verdict, found.is_planned_look, metric.status) == ("keep running", False, "unclear")
    assert metric.interval == metric.always_valid_interval
    assert "this is not one of the planned looks: it is not decided today" in found.reasons


def test_harm_stops_an_experiment_before_its_end() -> None:
    worse = OFFER | {"paid": share(10_000, 800)}

    assert [read(worse, LOOKED_AT, Progress(day)).verdict for day in (7, 28)] == ["stop", "do not ship"]


def test_the_days_that_are_left_follow_from_the_pace_so_far() -> None:
    """An effect of 10% of 0.1 needs 14,128 an arm, 2.2% more for four looks; 10,000 came in 7 days."""
    found = read(OFFER | {"paid": share(10_000, 1_000)}, LOOKED_AT, Progress(7))

    required = found.arms["offer"].metrics["paid"].required_units
    assert required == pytest.approx(2 * 14_128 * 1.022, rel=5e-3)
    assert (found.required_units, found.days_left) == (required, 4)
    assert found.reasons[-1] == (
        f"20,000 of the {required:,} units that are needed have come: about 4 days more at the pace so far, "
        "their windows included"
    )


def test_units_whose_windows_are_open_are_waited_for() -> None:
    """Of 40,000 a half is measured after twenty days: their variance is that of 20,000."""
    halves = {"control": 20_000, "offer": 20_000}
    sums = {"control": CONTROL, "offer": OFFER | {"paid": share(10_000, 1_000)}}

    found = readout(LOOKED_AT, halves, sums, Progress(21))
    whole = read(OFFER | {"paid": share(10_000, 1_000)}, LOOKED_AT, Progress(21))

    required = found.required_units
    assert required == whole.required_units
    assert required is not None
    assert 20_000 < required < 40_000
    assert found.days_left == math.ceil((required - 20_000) * 21 / 40_000)
    assert found.reasons[-1] == (
        f"the {required:,} units that were asked for have come: about {found.days_left} days more "
        "until their windows are over"
    )


def test_where_no_more_units_come_no_days_are_promised() -> None:
    nothing_yet = OFFER | {"paid": share(10_000, 1_000)}

    found = read(nothing_yet, LOOKED_AT, Progress(14, is_exposing=False))

    assert found.days_left is None
    assert found.reasons[-1].endswith("units that are needed have come, and no more will")
    coarse = replace(LOOKED_AT, metrics=(replace(PAID, minimum_effect=0.5),))
    done = read(nothing_yet, coarse, Progress(14, is_exposing=False))
    assert (done.days_left, done.reasons[-1]) == (
        0, f"the {done.required_units:,} units that were asked for have come",
    )  # fmt: skip


def test_what_others_are_given_are_the_numbers_of_each_arm_and_the_reasons() -> None:
    found = read(OFFER | {"streams": Sums.of(10_000, sum_y=0, sum_y2=0)}).to_dict()

    assert set(found) == {"units", "sample_ratio", "arms", "verdict", "reasons"}
    assert found["units"] == 20_000
    assert found["sample_ratio"] == {"p_value": 1.0, "verdict": "ok"}
    assert set(found["arms"]) == {"offer"}
    assert set(found["arms"]["offer"]) == {"units", "metrics"}
    paid = found["arms"]["offer"]["metrics"]["paid"]
    assert set(paid) == {
        "control", "treatment", "difference", "interval", "p_value", "relative", "variance_reduction",
    }  # fmt: skip
    assert (paid["control"], paid["treatment"], paid["variance_reduction"]) == (0.1, 0.12, None)
    assert found["arms"]["offer"]["metrics"]["streams"]["relative"] == -1.0


def test_a_metric_that_nobody_counted_is_named() -> None:
    with pytest.raises(ValueError, match="no sums of offer: paid"):
        read({"streams": amount(10, 1, 1), "refunds": share(10, 1)})


def test_a_metric_that_is_the_same_for_everybody_says_nothing() -> None:
    nothing = {name: Sums.of(10_000, sum_y=0, sum_y2=0) for name in CONTROL}

    found = readout(DESIGN, {"control": 10_000, "offer": 10_000}, {"control": nothing, "offer": nothing})

    assert found.verdict == "do not ship"
    assert found.reasons[0] == "offer: paid does not vary, or has too few units to say anything"
    assert found.to_dict()["arms"]["offer"]["metrics"]["paid"]["p_value"] is None
