"""The page of a readout: for those who look and those who listen, without anything from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from experiments.design import Design, MetricDesign, Progress
from experiments.page import DatedReadout, page
from experiments.readout import readout
from experiments.results import Readout
from experiments.statistics.sums import Sums
from segue.pages.plots import steps
from tests.html_page import HtmlPage, pictures, svgs

START = date(2026, 3, 1)
DESIGN = Design(
    "control",
    {"control": 50, "half <price>": 50},
    (
        MetricDesign("paid", "success", minimum_effect=0.1),
        MetricDesign("refunds", "guardrail", worse="higher", margin=0.5),
    ),
    looks=(7, 14),
)


def seen(day: int, design: Design = DESIGN) -> Readout:
    """A readout after so many days at 1,000 units a day and arm: 10% pay in control, 13% with the offer."""

    def share(part: float) -> Sums:
        return Sums.of(1_000 * day, sum_y=round(1_000 * part) * day, sum_y2=round(1_000 * part) * day)

    sums = {
        arm: {"paid": share(0.1 if arm == "control" else 0.13), "refunds": share(0.02)}
        for arm in design.allocation
    }
    progress = Progress(day) if design.looks else None
    return readout(design, dict.fromkeys(design.allocation, 1_000 * day), sums, progress)


def dated(*days: int) -> list[DatedReadout]:
    return [DatedReadout(START + timedelta(days=day), seen(day)) for day in days]


def test_the_page_says_what_follows_and_why() -> None:
    found = HtmlPage(page("Half price", DESIGN, dated(7, 14), {"owner": "growth"}))

    assert found.of("h1") == ["Half price"]
    assert found.of("h2") == ["Verdict on 2026-03-15", "Units", "Metrics", "Over the days"]
    assert found.of("span") == ["ship"]
    assert set(seen(14).reasons) <= set(found.of("li"))
    assert found.of("strong") == ["ok"]
    assert (found.of("dt"), found.of("dd")) == (["owner"], ["growth"])
    for words in ("half <price> against control", "14,000", "50.00%", "+30.00%", "improved", "not worse"):
        assert words in found.words()


def test_nothing_comes_from_outside_and_no_text_becomes_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    design = replace(DESIGN, metrics=(MetricDesign(hostile, "success"),))
    sums = {arm: {hostile: Sums.of(100, sum_y=10 + place, sum_y2=10 + place)}
            for place, arm in enumerate(design.allocation)}  # fmt: skip
    days = [
        DatedReadout(
            START + timedelta(days=day),
            readout(design, dict.fromkeys(design.allocation, 100), sums, Progress(day), [hostile]),
        )
        for day in (7, 8)
    ]

    text = page(hostile, design, days, {hostile: hostile})
    found = HtmlPage(text)

    assert "<script" not in text
    assert hostile in found.of("h1")
    assert found.outside_references() == []
    assert "default-src 'none'" in text
    assert svgs(text)


def test_every_plot_has_words_for_who_cannot_see_it_and_every_table_its_headers() -> None:
    text = page("Half price", DESIGN, dated(3, 7, 14))
    found = HtmlPage(text)

    plots = pictures(text)
    # Units, the overview, and a plot for each metric of the arm.
    assert [plot.findtext("title") for plot in plots] == [
        "Units exposed so far, by arm",
        "Relative difference from control, with its interval",
        "paid: half <price> against control",
        "refunds: half <price> against control",
    ]
    assert all(plot.findtext("desc") for plot in plots)
    assert plots[0].findtext("desc") == "On 2026-03-15: control 14,000, half <price> 14,000."
    assert ("html", {"lang": "en"}) in found.tags
    tables = [tag for tag, _ in found.tags if tag == "table"]
    assert len(found.of("caption")) == len(tables)
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")
    identities = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_a_plot_shows_the_difference_both_intervals_and_what_was_asked_for() -> None:
    _, _, paid, refunds = pictures(page("p", DESIGN, dated(3, 7, 14)))

    kinds = [element.get("class") for element in paid.iter("path")]
    assert kinds == ["band always-valid", "band fixed", "line difference"]
    days = [element.findtext("title") for element in paid.iter("circle")]
    assert days == ["2026-03-04: 0.03", "2026-03-08: 0.03", "2026-03-15: 0.03"]
    labels = {element.text for element in paid.iter("text")}
    assert {"minimum effect, 0.1 of control", "4 Mar", "15 Mar"} <= labels
    assert "margin, 0.5 of control" in {element.text for element in refunds.iter("text")}
    # An interval that narrows: the first of the band's upper edge is above the last.
    upper = [float(each.split(",")[1]) for each in next(paid.iter("path")).get("d", "")[2:].split(" L ")[:3]]
    assert upper[0] < upper[1] < upper[2]


def test_an_experiment_of_one_file_has_no_days() -> None:
    design = replace(DESIGN, looks=())
    text = page("campaign", design, [DatedReadout(None, seen(14, design))])

    found = HtmlPage(text)
    assert found.of("h2") == ["Verdict", "Units", "Metrics"]
    assert [plot.findtext("title") for plot in svgs(text)] == [
        "Relative difference from control, with its interval"
    ]


def test_the_same_readouts_give_the_same_page_in_whatever_order() -> None:
    assert page("p", DESIGN, dated(14, 3, 7)) == page("p", DESIGN, dated(3, 7, 14))
    with pytest.raises(ValueError, match="needs a readout"):
        page("p", DESIGN, [])


def test_a_metric_that_says_nothing_is_a_row_and_no_picture() -> None:
    nothing = {
        arm: {name: Sums.of(100, sum_y=0, sum_y2=0) for name in ("paid", "refunds")}
        for arm in DESIGN.allocation
    }
    silent = readout(DESIGN, dict.fromkeys(DESIGN.allocation, 100), nothing, Progress(7))

    text = page("p", DESIGN, [DatedReadout(START, silent), DatedReadout(START + timedelta(days=1), silent)])

    assert "–" in HtmlPage(text).words()


def test_axes_have_round_numbers_around_what_is_shown() -> None:
    assert steps(-0.013, 0.041) == pytest.approx([-0.02, 0, 0.02, 0.04, 0.06])
    assert steps(0, 14_000) == [0, 5_000, 10_000, 15_000]
    assert steps(3, 3) == [2, 3, 4]
