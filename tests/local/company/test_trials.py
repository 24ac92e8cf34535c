"""The company's experiments: each readout of the truth says what was planted.

At the demo's size an arm has some 140 units. Left to chance, 15% against 35% would be found in 97 of 100
companies, and 30% against 10% in 99; the effects are exact, so that they are found in all.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from experiments.declaration import Experiment
from experiments.design import Progress
from experiments.readout import readout
from experiments.registry import load
from experiments.results import Readout
from experiments.statistics.sums import Sums
from local.company import CompanySpec
from local.company.trials import METRIC, WINDOW_DAYS, declared
from tests.local.company.conftest import Company

WINNING, NEUTRAL, HARMFUL, BROKEN, PEEKED = (
    "paywall-yearly-price",
    "home-quieter-banner",
    "checkout-address-first",
    "email-animated-header",
    "paywall-countdown",
)
FIRST, LAST = 0, -1


def read(company: Company, name: str, look: int) -> Readout:
    """What the truth of the company says of an experiment at one of its planned looks."""
    experiment = declared(company.spec)[name]
    day = experiment.looks[look]
    counted = company.rows(f"""
        select variant, count(*), sum(is_subscribing::int) filter (is_complete), count(*) filter (is_complete)
        from (
            select *, exposed_at::date + {WINDOW_DAYS} < date '{experiment.start}' + {day} as is_complete
            from experiment_units where is_reported and experiment_id = '{name}'
                and exposed_at::date < date '{experiment.start}' + {day}
        ) group by 1""")
    sums = {arm: {METRIC: Sums.of(n, sum_y=y, sum_y2=y)} for arm, _, y, n in counted}
    units = {arm: exposed for arm, exposed, _, _ in counted}
    return readout(experiment.design(load().metrics), units, sums, Progress(day))


@pytest.mark.parametrize(
    ("name", "verdict", "status"),
    [
        (WINNING, "ship", "improved"),
        (NEUTRAL, "do not ship", "unclear"),
        (HARMFUL, "do not ship", "worse"),
        (BROKEN, "blocked", "unclear"),
        (PEEKED, "do not ship", "unclear"),
    ],
)
def test_the_last_readout_says_what_was_planted(
    large_company: Company, name: str, verdict: str, status: str
) -> None:
    found = read(large_company, name, LAST)

    assert found.verdict == verdict
    assert found.arms["treatment"].metrics[METRIC].status == status
    assert found.sample_ratio.verdict == ("block" if name == BROKEN else "ok")


def test_harm_stops_an_experiment_before_its_last_look(large_company: Company) -> None:
    assert "stop" in {read(large_company, HARMFUL, look).verdict for look in (0, 1)}


def test_who_peeks_would_have_shipped_what_the_planned_looks_keep_running(large_company: Company) -> None:
    found = read(large_company, PEEKED, FIRST)
    metric = found.arms["treatment"].metrics[METRIC]

    assert metric.p_value is not None
    assert metric.p_value < 0.05
    assert metric.difference is not None
    assert metric.difference > 0
    assert found.verdict == "keep running"


def test_the_manifest_knows_the_units_and_who_subscribes(large_company: Company) -> None:
    counted = Counter(
        (experiment, arm)
        for experiment, arm in large_company.rows("select experiment_id, variant from experiment_units")
    )
    known = {
        (experiment, arm): amounts["units"]
        for experiment, arms in large_company.manifest.experiments.items()
        for arm, amounts in arms.items()
    }

    assert known == counted
    assert min(known.values()) > 100


def test_exposures_are_logged_as_they_were_but_for_the_units_that_are_lost(large_company: Company) -> None:
    """By the surface, once, before anything that follows from them."""
    logged = large_company.rows("""
        select distinct on (impression_id) experiment_id, account_id, variant, occurred_at,
            is_shown, rule_id is null
        from offer_impressions
        where experiment_id not in ('trial-length-2026', 'annual-discount-2026')
            and impression_id not like '%-%'
        """)

    assert {(row[:4]) for row in logged} == set(
        large_company.rows(
            "select experiment_id, account_id, variant, exposed_at from experiment_units where is_reported"
        )
    )
    assert {row[4:] for row in logged} == {(True, True)}


def test_what_experiments_bring_follows_what_they_showed(large_company: Company) -> None:
    assert (
        large_company.value("""
        select count(*) from checkouts
        inner join offer_clicks as click using (click_id)
        inner join offer_impressions as impression on click.impression_id = impression.impression_id
        inner join experiment_units as unit on impression.account_id = unit.account_id
            and impression.experiment_id = unit.experiment_id
        where result = 'completed' and impression.impression_id not like '%-%'
            and (not is_subscribing or checkouts.occurred_at < exposed_at)""")
        == 0
    )


@pytest.mark.parametrize("days", [18, 21, 30, 45, 63, 90, 365])
def test_exposures_and_looks_lie_within_the_companys_window(days: int) -> None:
    spec = CompanySpec(100, days, 1, date(2026, 11, 25))
    experiments: dict[str, Experiment] = declared(spec)

    assert len(experiments) == 5
    for each in experiments.values():
        assert spec.first_day < each.start <= each.end
        assert (spec.end_date - each.start).days + 1 >= each.looks[LAST]


def test_the_companys_declarations_are_the_codes_and_its_own(large_company: Company) -> None:
    found = load(large_company.folder / "experiments")

    assert found.experiments == load().experiments | declared(large_company.spec)
    assert found.metrics == load().metrics


def test_a_short_window_has_no_experiments() -> None:
    assert declared(CompanySpec(100, 14, 1, date(2026, 11, 25))) == {}
