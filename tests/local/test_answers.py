"""docs/queries.md: what its pictures and its intervals say is what its tables say."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from local.answers.page import PAGE, PICTURES, Answer, Question, questions
from local.answers.picture import draw

QUESTIONS = list(questions(PAGE.read_text(encoding="utf-8")))

PARTS = {
    "churn": ("recovered", "mature_churns", "recovery_rate"),
    "trials": ("paid", "mature_trials", "conversion"),
    "retention": ("still_paying", "accounts", "retention"),
    "plan-moves": ("still_on_the_plan", "moved_30_days_ago", "stay_rate"),
    "click-to-paid": ("paid", "clicked", "click_to_paid"),
    "refunds": ("taken_back", "charges", "taken_back_rate"),
    "renewals": ("at_risk", "renewals", "share_at_risk"),
}
"""Question → numerator, denominator and rate."""


def test_there_are_twelve_questions_each_with_an_answer() -> None:
    assert len(QUESTIONS) == 12
    assert [question.name for question in QUESTIONS if not question.answer or not question.answer.rows] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_picture_shows_what_the_table_above_it_says(question: Question) -> None:
    drawn = (PICTURES / f"{question.name}.svg").read_text(encoding="utf-8")

    assert drawn == question.picture()
    assert f"![{question.how['title']}](images/queries/{question.name}.svg)" in PAGE.read_text()


@pytest.mark.parametrize("name", PARTS)
def test_a_rate_stands_with_its_parts_and_wilsons_interval(name: str) -> None:
    [question] = [each for each in QUESTIONS if each.name == name]
    numerator, denominator, rate = PARTS[name]
    assert question.answer is not None

    for row in question.answer.records():
        if row[denominator] == "0":
            assert row[rate] == ""
            continue
        counted = binomtest(int(row[numerator]), int(row[denominator]))
        low, high = counted.proportion_ci(method="wilson")
        shown = [float(row[column]) for column in (rate, "low", "high")]
        assert shown == pytest.approx([counted.statistic, low, high], abs=6e-4), row


def test_every_rate_of_the_page_is_one_of_these() -> None:
    with_interval = {
        question.name
        for question in QUESTIONS
        if "low" in question.answer.columns and "3.8416" in question.sql  # type: ignore[union-attr]
    }

    assert with_interval == PARTS.keys()


def test_a_table_is_read_as_it_was_written() -> None:
    answer = Answer(["market", "mrr"], [["US", "1.5"], ["DE", ""]])

    assert answer.markdown() == "| market | mrr |\n| --- | ---: |\n| US | 1.5 |\n| DE |  |\n"
    assert Answer.of(answer.markdown()) == answer


def test_a_bar_is_as_long_as_its_value() -> None:
    drawing = draw(
        [{"plan": "duo", "mrr": "100"}, {"plan": "<none>", "mrr": "50"}, {"plan": "unknown", "mrr": ""}],
        {"kind": "bars", "label": "plan", "value": "mrr", "title": "MRR"},
    )

    assert drawing.count("<rect x=") == 2
    assert 'width="460.0"' in drawing
    assert 'width="230.0"' in drawing
    assert "&lt;none&gt;" in drawing
    assert "unknown" not in drawing
