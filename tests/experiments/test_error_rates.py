"""How often a readout is wrong, over thousands of seeded experiments: as often as it says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from experiments.declaration import Experiment, Metric
from experiments.design import Design, MetricDesign, Progress, look_of
from experiments.plan import plan
from experiments.readout import nominal_level, readout
from experiments.registry import load
from experiments.statistics.estimate import Estimate, compare
from experiments.statistics.moments import Moments
from experiments.statistics.power import inflation_of_looks, look_fractions, required_units
from experiments.statistics.sequential import always_valid_half_width, critical_values
from experiments.statistics.sums import Sums

REPETITIONS = 4_000
UNITS = 600
Array = npt.NDArray[np.float64]


def shop(seed: int, effect: float = 0.0) -> tuple[Array, Array, Array]:
    """Repetitions × units: pages, visits, visits before.

    A few visit a lot: visits are log-normal, and pages follow visits. ``effect`` is a share of pages.
    """
    draw = np.random.default_rng(seed)
    habit = draw.lognormal(0.0, 0.8, (REPETITIONS, UNITS))
    before = draw.poisson(4 * habit).astype(float)
    visits = 1.0 + draw.poisson(3 * habit)
    pages = draw.poisson(2.5 * (1 + effect) * visits).astype(float)
    return pages, visits, before


CONTROL = shop(1)
SAME = shop(2)
LIFT = 0.04
BETTER = shop(3, LIFT)


def of(kind: str, units: tuple[Array, Array, Array]) -> Moments:
    pages, visits, before = units
    return {
        "mean": lambda: Moments.of_units(pages),
        "cuped mean": lambda: Moments.of_units(pages, before),
        "ratio": lambda: Moments.of_units(pages, d=visits),
        "cuped ratio": lambda: Moments.of_units(pages, before, visits),
    }[kind]()


def judged(kind: str, treatment: tuple[Array, Array, Array]) -> Estimate:
    return compare(of(kind, CONTROL), of(kind, treatment))


KINDS = ["mean", "cuped mean", "ratio", "cuped ratio"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_differs_one_in_twenty_is_taken_for_a_difference(kind: str) -> None:
    wrong = (judged(kind, SAME).p_value < 0.05).mean()

    assert 0.03 < wrong < 0.07


def test_visits_taken_for_units_are_wrong_far_more_often() -> None:
    """The trap that the delta method is for: pages per visit, as if every visit were drawn by itself."""
    visits = CONTROL[1]
    draw = np.random.default_rng(5)
    taste = draw.lognormal(0.0, 0.5, (2, REPETITIONS, UNITS))
    read = draw.poisson(2.5 * taste * np.stack([visits, SAME[1]])).astype(float)
    denominators = np.stack([visits, SAME[1]])
    ratio = read.sum(-1) / denominators.sum(-1)
    # Poisson: what the variance of a visit's pages would be at best.
    naive = (ratio / denominators.sum(-1)).sum(0)
    wrong = (np.abs(ratio[1] - ratio[0]) / np.sqrt(naive) > 1.96).mean()
    by_delta = compare(
        Moments.of_units(read[0], d=denominators[0]), Moments.of_units(read[1], d=denominators[1])
    )

    assert wrong > 0.15
    assert 0.03 < (by_delta.p_value < 0.05).mean() < 0.07


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_holds_the_planted_effect_in_nineteen_of_twenty(kind: str) -> None:
    # Pages per unit 2.5 × visits, per visit 2.5.
    mean_visits = 1 + 3 * np.exp(0.8**2 / 2)
    planted = 2.5 * LIFT * (mean_visits if "mean" in kind else 1)
    found = judged(kind, BETTER)

    covered = np.abs(found.difference - planted) < found.half_width(0.05)
    relative = np.abs(found.relative - LIFT) < stats.norm.isf(0.025) * np.sqrt(found.relative_variance)

    assert 0.94 < covered.mean() < 0.96
    assert 0.94 < relative.mean() < 0.96


def test_power_is_what_was_planned() -> None:
    for before, variance in ((None, 1.0), (0.8, 1 - 0.8**2)):
        units = required_units(variance, 0.2, (1, 1), 0.05, 0.8)
        draw = np.random.default_rng(7)
        x = draw.normal(size=(2, REPETITIONS, (units + 1) // 2))
        y = draw.normal(size=x.shape)
        if before is not None:
            y = before * x + np.sqrt(1 - before**2) * y
        y[1] += 0.2
        arms = [Moments.of_units(y[arm], None if before is None else x[arm]) for arm in (0, 1)]

        assert abs((compare(*arms).p_value < 0.05).mean() - 0.8) < 0.03


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_cuped_takes_the_square_of_the_correlation_away(correlation: float) -> None:
    draw = np.random.default_rng(11)
    x = draw.normal(50, 10, (2, 200_000))
    y = correlation * (x - 50) / 10 + np.sqrt(1 - correlation**2) * draw.normal(size=x.shape)

    found = compare(Moments.of_units(y[0], x[0]), Moments.of_units(y[1], x[1]))

    assert found.variance_reduction == pytest.approx(correlation**2, abs=0.005)


def test_a_ratios_covariate_takes_the_square_of_its_correlation_with_the_linear_form_away() -> None:
    pages, visits, before = (np.concatenate(each[:200], axis=None) for each in CONTROL)
    ratio = pages.sum() / visits.sum()
    correlation = np.corrcoef((pages - ratio * visits) / visits.mean(), before + 0.3 * pages)[0, 1]
    arms = [Moments.of_units(pages[part], (before + 0.3 * pages)[part], visits[part])
            for part in (slice(None, None, 2), slice(1, None, 2))]  # fmt: skip

    found = compare(*arms)

    assert correlation**2 > 0.01
    assert found.variance_reduction == pytest.approx(correlation**2, abs=0.005)


def test_a_guardrail_that_is_worse_by_its_margin_passes_once_in_forty() -> None:
    for kind, effect, sign, wanted in (
        # Worse by the margin itself, and not at all.
        ("cuped mean", -0.1, 1, 0.025), ("cuped ratio", -0.1, 1, 0.025), ("cuped ratio", 0.1, -1, 0.025),
    ):  # fmt: skip
        found = judged(kind, shop(17, effect))
        assert (found.p_value_not_worse(0.1, sign) < 0.025).mean() == pytest.approx(wanted, abs=0.0075)


LOOKS = np.arange(1, 8) / 7


def test_seven_looks_at_skewed_units_are_wrong_as_seldom_as_one() -> None:
    bounds = critical_values(tuple(LOOKS), 0.05)
    wrong: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in (31, 33):
        arms = shop(seed), shop(seed + 1)
        for kind in KINDS:
            crossed = np.zeros(REPETITIONS, bool)
            for look, bound in enumerate(bounds, 1):
                so_far = UNITS * look // 7
                control, same = (
                    of(kind, (pages[:, :so_far], visits[:, :so_far], before[:, :so_far]))
                    for pages, visits, before in arms
                )
                crossed |= np.abs(compare(control, same).z) > bound
            wrong[kind].append(crossed.mean())

    assert all(0.04 < np.mean(found) < 0.055 for found in wrong.values()), wrong


def looked_at(effect: float = 0.0) -> tuple[Array, Array]:
    """Looks × repetitions: z and the variance of the difference, at seven looks at skewed means."""
    draw = np.random.default_rng(13)
    each = 80
    y = draw.exponential(1.0, (2, 20_000, 7, each))
    y[1] += effect
    found = []
    sums, squares = y.sum(-1).cumsum(-1), (y * y).sum(-1).cumsum(-1)
    for look in range(7):
        n = float(each * (look + 1))
        arms = [
            Moments(
                n, sums[arm, :, look] / n, (squares[arm, :, look] - sums[arm, :, look] ** 2 / n) / (n - 1)
            )
            for arm in (0, 1)
        ]
        estimate = compare(*arms)
        found.append((estimate.z, estimate.variance))
    z, variance = (np.array(each) for each in zip(*found, strict=True))
    return z, variance


def test_seven_looks_together_are_wrong_once_in_twenty() -> None:
    z, variance = looked_at()
    bounds = np.array(critical_values(tuple(LOOKS), 0.05))[:, None]

    wrong = (np.abs(z) > bounds).any(0).mean()
    peeked = (np.abs(z) > 1.96).any(0).mean()
    half = always_valid_half_width(variance, variance * LOOKS[:, None], 0.05)
    always = (np.abs(z) * np.sqrt(variance) > half).any(0).mean()

    assert 0.045 < wrong < 0.055
    assert peeked > 0.14
    assert always < 0.05


def test_looks_at_accounts_whose_windows_are_over_are_wrong_once_in_twenty() -> None:
    """Exposures for 92 days, windows of 60: after 84 days 24 days' accounts are known, not 84 of 152."""
    declared = load().experiments["trial-length-2026"]
    days = (declared.end - declared.start).days + 1
    # The sums of a day's accounts are about normal.
    daily = np.random.default_rng(17).standard_normal((40_000, days)).cumsum(1)
    known = np.array([min(look - 60, days) for look in declared.looks])
    z = np.abs(daily[:, known - 1] / np.sqrt(known))

    def wrong(information: tuple[float, ...]) -> float:
        return float((z > np.array(critical_values(information, 0.05))).any(1).mean())

    assert 0.045 < wrong(declared.design(load().metrics).look_information) < 0.0525
    assert wrong(look_fractions(declared.looks)) > 0.053


def test_looks_keep_the_planned_power_at_a_few_units_more() -> None:
    looks = tuple(LOOKS)
    inflation = inflation_of_looks(looks, 0.05, 0.8)
    drift = (stats.norm.isf(0.025) + stats.norm.ppf(0.8)) * np.sqrt(inflation)
    # 80 units a look in either arm, each with variance 1.
    z, _ = looked_at(effect=drift * np.sqrt(2 / (7 * 80)))

    found = (z > np.array(critical_values(looks, 0.05))[:, None]).any(0).mean()

    assert 1.02 < inflation < 1.04
    assert abs(found - 0.8) < 0.03


METRIC = {
    "version": 1, "owner": "tests", "description": "…", "window_days": 7, "worse": "lower",
    "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "column": "x", "aggregate": "sum"},
}  # fmt: skip
PAID, STREAMS = {"mean": 12.0, "deviation": 30.0}, {"mean": 200.0, "deviation": 260.0}
DECLARED = {
    "id": "power", "version": 1, "owner": "tests", "hypothesis": "…", "surface": "home", "salt": "power",
    "variants": [{"name": "control", "percent": 20}, {"name": "offer", "percent": 80}],
    "control": "control",
    "metrics": [
        {"metric": "paid", "role": "success", "minimum_effect": 0.08, "baseline": PAID},
        {"metric": "streams", "role": "guardrail", "margin": 0.05, "baseline": STREAMS},
    ],
    # With a window of seven days a quarter of the accounts more each time.
    "looks": [14, 21, 28, 35], "start": "2026-03-01", "end": "2026-03-28",
}  # fmt: skip


def arriving(seed: int, units: int, looks: int, mean: float, deviation: float) -> list[Moments]:
    """An arm's moments at each look, of normal values: drawn as a mean and a sum of squares a batch."""
    draw = np.random.default_rng(seed)
    each = units // looks
    means = draw.normal(mean, deviation / np.sqrt(each), (looks, REPETITIONS))
    within = deviation**2 * draw.chisquare(each - 1, means.shape)
    found = []
    for look in range(1, looks + 1):
        n, average = float(each * look), means[:look].mean(0)
        squares = within[:look].sum(0) + each * ((means[:look] - average) ** 2).sum(0)
        found.append(Moments(n, average, squares / (n - 1)))
    return found


def test_the_units_that_a_plan_asks_for_give_the_power_that_it_promises() -> None:
    experiment = Experiment.model_validate(DECLARED)
    declared = {name: Metric.model_validate(METRIC | {"id": name}) for name in ("paid", "streams")}
    planned = plan(experiment, declared)
    design = experiment.design(declared)
    needed = {each.metric: each.units or 0 for each in planned.metrics}

    def estimates(name: str, units: int, mean: float, deviation: float, effect: float) -> list[Estimate]:
        seed = 100 * len(name)
        control = arriving(seed, units // 5, 4, mean, deviation)
        offer = arriving(seed + 1, units * 4 // 5, 4, mean * (1 + effect), deviation)
        return [compare(*pair) for pair in zip(control, offer, strict=True)]

    def found(units: dict[str, int]) -> tuple[Array, Array]:
        """Looks × repetitions: whether the effect is found, and the guardrail's margin excluded."""
        paid = estimates("paid", units["paid"], **PAID, effect=0.08)
        streams = estimates("streams", units["streams"], **STREAMS, effect=0.0)
        levels = [nominal_level(look_of(design, Progress(day)), design.alpha) for day in design.looks]
        return (
            np.array([each.p_value < level for each, level in zip(paid, levels, strict=True)]),
            np.array([each.p_value_not_worse(0.05, 1) < level / 2
                      for each, level in zip(streams, levels, strict=True)]),
        )  # fmt: skip

    improved, kept = found(needed)
    assert improved.any(0).mean() == pytest.approx(planned.power_per_test, abs=0.05)
    assert kept.any(0).mean() == pytest.approx(planned.power_per_test, abs=0.05)
    # What is shipped has both, at one look, with the units of whichever asks for more.
    improved, kept = found(dict.fromkeys(needed, planned.units or 0))
    assert (improved & kept).any(0).mean() > experiment.power - 0.05


def test_a_readout_of_several_arms_and_metrics_ships_nothing_without_an_effect_but_once_in_forty() -> None:
    """Two arms × two success metrics, at once: an improvement is one of the two directions."""
    names = ("control", "a", "b")
    design = Design(
        "control",
        dict.fromkeys(names, 1.0),
        (MetricDesign("pages", "success"), MetricDesign("visits", "success")),
    )
    arms = {name: shop(23 + place)[:2] for place, name in enumerate(names)}
    shipped = 0
    for each in range(1_000):
        sums = {
            name: {
                metric: Sums.of(UNITS, sum_y=values[each].sum(), sum_y2=(values[each] ** 2).sum())
                for metric, values in zip(("pages", "visits"), arms[name], strict=True)
            }
            for name in names
        }
        shipped += readout(design, dict.fromkeys(names, UNITS), sums).verdict == "ship"

    assert 0.01 < shipped / 1_000 < 0.05
