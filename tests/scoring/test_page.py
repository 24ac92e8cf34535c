"""The page of a model: for those who look and those who listen, without anything from outside."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from scoring import artifact
from scoring.artifact import Description
from scoring.page import page
from scoring.slices import slices_of
from scoring.stability import DayMeasures, Measure
from scoring.trial import try_model
from tests.html_page import HtmlPage, pictures
from tests.scoring.planted import customers, propensity_map, trial, uplift_map


@pytest.fixture(scope="module")
def propensity(tmp_path_factory: pytest.TempPathFactory) -> Description:
    folder = tmp_path_factory.mktemp("models")
    table = customers(2_000).table
    return artifact.read_description(try_model(table, propensity_map(), "customers.csv", folder).model)


@pytest.fixture(scope="module")
def uplift(tmp_path_factory: pytest.TempPathFactory) -> Description:
    folder = tmp_path_factory.mktemp("models")
    return artifact.read_description(try_model(trial(2_000).table, uplift_map(), "trial.csv", folder).model)


def stability(subject: str, value: float) -> Measure:
    return Measure(
        measure="population_stability", subject=subject, value=value, warn_above=0.1, critical_above=0.25,
        rows=4_000,
    )  # fmt: skip


WATCHED = [
    DayMeasures(
        date(2026, 3, 2), (stability("visits", 0.31), stability("noise", 0.01), stability("score", 0.12))
    ),
    DayMeasures(date(2026, 3, 1), (stability("visits", 0.02), stability("score", 0.01))),
]


def titles(text: str) -> list[str | None]:
    return [plot.findtext("title") for plot in pictures(text)]


def test_the_page_says_how_good_a_model_is_what_it_goes_by_and_whether_it_holds(
    propensity: Description,
) -> None:
    text = page("trial_propensity v3", propensity, WATCHED, {"owner": "growth"})

    found = HtmlPage(text)
    assert found.of("h1") == ["trial_propensity v3"]
    assert found.of("h2") == ["How good it is", "What it goes by", "Whether it still holds, on 2026-03-02"]
    assert (found.of("dt"), found.of("dd")) == (["owner"], ["growth"])
    assert titles(text) == [
        "Reliability: share of events by the probability that was predicted, by tenths of the rows",
        "Lift by decile: share of events over that of all rows, highest scores first",
        "Mean contribution to a raw score without its sign, in log odds",
        "visits: mean score, had all rows the value",
        "tenure: mean score, had all rows the value",
        "plan: mean score, had all rows the value",
        "noise: mean score, had all rows the value",
        "Population stability index against training, on 2026-03-02",
        "Population stability index of the scores against training",
    ]
    drift = pictures(text)[-2]
    levels = [group.get("class") for group in drift.iter("g") if "row" in group.get("class", "")]
    assert levels == ["row critical", "row warn", "row ok"]
    assert "logistic regression" in found.words()


def test_an_uplift_has_a_qini_curve_and_its_deciles_in_place_of_a_lift(uplift: Description) -> None:
    text = page("offer_uplift v1", uplift)

    assert [each.split(":")[0] for each in map(str, titles(text))][:3] == [
        "Reliability", "Uplift by decile", "Qini",
    ]  # fmt: skip
    assert "95% interval" in HtmlPage(text).words()
    assert HtmlPage(text).of("h2")[-1] == "Whether it still holds"
    assert "Nothing was measured yet." in HtmlPage(text).words()


def test_nothing_comes_from_outside_and_no_text_becomes_markup(propensity: Description) -> None:
    hostile = '"><script>alert(1)</script>'
    watched = [DayMeasures(date(2026, 3, 1), (stability(hostile, 0.3),))]

    text = page(hostile, propensity, watched, {hostile: hostile})

    found = HtmlPage(text)
    assert hostile in found.of("h1")
    assert "<script" not in text
    assert found.outside_references() == []
    assert "default-src 'none'" in text


def test_every_plot_and_every_table_can_be_listened_to(propensity: Description) -> None:
    text = page("p", propensity, WATCHED)

    found = HtmlPage(text)
    assert all(plot.findtext("desc") for plot in pictures(text))
    assert ("html", {"lang": "en"}) in found.tags
    assert len(found.of("caption")) == len([tag for tag, _ in found.tags if tag == "table"])
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")
    identities = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_parts_of_the_accounts_have_their_numbers_and_no_claim(propensity: Description) -> None:
    slices = slices_of({"market": ["SE", "SE", "DE"]}, np.array([1.0, 0, 0]), np.array([0.6, 0.2, 0.1]))
    known = propensity.model_copy(
        update={"insights": propensity.insights.model_copy(update={"slices": slices})}
    )

    found = HtmlPage(page("p", known))

    assert "For parts of the accounts" in found.of("h2")
    assert {"market: DE", "market: SE"} <= set(found.of("th"))
    assert "nothing here says that the model is fair" in found.words()


def test_what_was_not_measured_on_the_newest_day_is_told_as_of_its_own(propensity: Description) -> None:
    slope = stability("score", 0.3).model_copy(update={"measure": "calibration_slope", "rows": 77})

    text = page("p", propensity, [*WATCHED, DayMeasures(date(2026, 3, 3), (slope,))])

    found = HtmlPage(text)
    assert found.of("h2")[-1] == "Whether it still holds, on 2026-03-03"
    days = [cell for cell in found.of("td") if cell.startswith("2026-")]
    assert days == ["2026-03-02"] * 3 + ["2026-03-03"]


def test_the_same_model_and_measures_give_the_same_page(propensity: Description) -> None:
    assert page("p", propensity, WATCHED) == page("p", propensity, list(reversed(WATCHED)))
