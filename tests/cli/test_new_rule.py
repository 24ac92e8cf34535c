"""A rule from questions: what is written passes the lint and is what editors accept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from cli.segments import app
from segments.artifacts import SCHEMA_FILE
from segments.new_rule import AnswerError, condition, ramp
from segments.rule import Rule
from segments.source import RULES_DIR, load_rules, parse

ANSWERS = """\
weekend_listener
growth
Free listeners: nearly there.
trial-30-days-weekend
not_entitled
not has_ever_paid
streams_28d between 50, 199

streams_28d 50 200
acquisition




"""
TUTORIAL_ANSWERS = """\
weekend_listener
growth
Free listeners who are nearly there.
trial-30-days
not_entitled
not has_ever_paid
streams_28d between 50, 199

streams_28d 50 200
acquisition




"""
"""What docs/segments.md answers."""
WRITTEN = """\
# yaml-language-server: $schema=../rule.schema.json
id: weekend_listener
version: 1
owner: growth
status: active
description: 'Free listeners: nearly there.'
offer_id: trial-30-days-weekend
reason_code: WEEKEND_LISTENER
priority: 35
exclusivity_group: acquisition
entitlement: not_entitled
audience:
  all:
    - {feature: has_ever_paid, equals: false}
    - {feature: streams_28d, between: [50, 199]}
score:
  heuristic:
    - {feature: streams_28d, start: 50, end: 200, weight: 100}
content: {entry: trial-30-days-weekend, fallback_locale: en-US}
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's rules, to which ``new`` writes; whoever did the tutorial may have its rule."""
    for path in RULES_DIR.glob("*.yml"):
        if path.stem != "weekend_listener":
            (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr("segments.source.RULES_DIR", tmp_path)
    return tmp_path


@pytest.fixture
def new(rules: Path) -> Callable[..., Result]:
    """``segue segments new …`` in that folder."""
    assert rules.exists()
    return lambda *arguments, answers="": CliRunner().invoke(app, ["new", *arguments], input=answers)


def test_a_rule_is_written_from_questions(new: Callable[..., Result], rules: Path) -> None:
    done = new(answers=ANSWERS)

    assert done.exit_code == 0, done.output
    file = rules / "weekend_listener.yml"
    assert file.read_text() == WRITTEN
    assert done.output.splitlines()[-2:] == [
        f"wrote {file}",
        "next: segue segments compile, then segue segments plan",
    ]
    schema = json.loads(SCHEMA_FILE.read_text())
    Draft202012Validator(schema).validate(yaml.safe_load(file.read_text()))
    assert parse(file, Rule) in load_rules(rules).rules


OPTIONS = (
    "weekend_listener", "--owner", "growth", "--description", "Free listeners: nearly there.",
    "--offer", "trial-30-days-weekend", "--entitlement", "not_entitled", "--who", "not has_ever_paid",
    "--who", "streams_28d between 50, 199", "--first", "streams_28d 50 200", "--group", "acquisition",
)  # fmt: skip


def test_options_answer_what_would_be_asked(new: Callable[..., Result], rules: Path) -> None:
    done = new(*OPTIONS, "--no-input")

    assert (done.exit_code, done.output.splitlines()[0]) == (0, f"wrote {rules / 'weekend_listener.yml'}")
    assert (rules / "weekend_listener.yml").read_text() == WRITTEN


def test_a_wrong_answer_is_asked_for_again(new: Callable[..., Result]) -> None:
    wrong = ANSWERS.replace("weekend_listener\n", "Weekend\nwinback_recent\nweekend_listener\n", 1)
    wrong = wrong.replace("not has_ever_paid\n", "paid\n?\nstreams_28d about 7\nnot has_ever_paid\n")

    done = new(answers=wrong)

    assert done.exit_code == 0, done.output
    errors = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert errors[0].startswith("Error: String should match pattern")
    assert errors[1] == "Error: there is a rule winback_recent already"
    assert errors[2] == "Error: paid is no feature; did you mean is_paid?"
    assert errors[3].startswith("Error: market (text); locale (text); birth_year_band (text); created_date")
    assert errors[4].startswith("Error: streams_28d takes one of equals, not_equals, in, not_in, less_than")


@pytest.mark.parametrize(
    ("leave_out", "message"),
    [
        (("--owner", "growth"), "--owner is missing"),
        (("--first", "streams_28d 50 200"), "--first is missing"),
    ],
)
def test_without_questions_what_is_missing_fails(
    new: Callable[..., Result], rules: Path, leave_out: tuple[str, str], message: str
) -> None:
    kept = list(OPTIONS)
    place = kept.index(leave_out[0])
    del kept[place : place + 2]

    done = new(*kept, "--no-input")

    assert (done.exit_code, str(done.exception)) == (1, message)
    assert isinstance(done.exception, AnswerError)
    assert not (rules / "weekend_listener.yml").exists()


def test_what_the_lint_refuses_is_written_and_told(new: Callable[..., Result], rules: Path) -> None:
    done = new(*OPTIONS, "--who", "plan_kind = premium", "--no-input")

    assert done.exit_code == 2
    assert done.output.splitlines()[1].startswith(
        f"error: {rules / 'weekend_listener.yml'}:16: audience.all[2]"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has_ever_paid", {"feature": "has_ever_paid", "equals": True}),
        ("not has_ever_paid", {"feature": "has_ever_paid", "equals": False}),
        ("streams_28d >= 200", {"feature": "streams_28d", "at_least": 200}),
        ("streams_28d between 50, 199", {"feature": "streams_28d", "between": [50, 199]}),
        ("market in SE, NO", {"feature": "market", "in": ["SE", "NO"]}),
        ("not plan_kind = duo", {"not": {"feature": "plan_kind", "equals": "duo"}}),
        ("last_ended_date >= day-30", {"feature": "last_ended_date", "at_least": "day - 30"}),
        (
            "price_raise_date between day - 14, day + 30",
            {"feature": "price_raise_date", "between": ["day - 14", "day + 30"]},
        ),
        ("days_since_lapse is_null true", {"feature": "days_since_lapse", "is_null": True}),
    ],
)
def test_a_condition_is_said_in_a_line(text: str, expected: dict[str, object]) -> None:
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("streams_28d > many", "streams_28d is compared with a whole number; found many"),
        ("streams_28d = 1, 2", "equals takes one value; found 2"),
        (
            "has_ever_paid at_least 3",
            "has_ever_paid (flag) takes exactly one of equals, is_null; found at_least",
        ),
        ("last_ended_date > 2026-02-30", "2026-02-30 is no date"),
        ("", "nothing is no feature; allowed: market, locale"),
    ],
)
def test_a_condition_that_cannot_be_asked_says_what_can(text: str, message: str) -> None:
    with pytest.raises(AnswerError) as error:
        condition(text)

    assert str(error.value).startswith(message)


def test_a_score_is_a_number_and_its_range() -> None:
    assert ramp("days_since_lapse 60 7") == {
        "feature": "days_since_lapse", "start": 60, "end": 7, "weight": 100,
    }  # fmt: skip
    with pytest.raises(AnswerError, match="a score is a feature and two numbers, such as streams_28d 0 1000"):
        ramp("days_since_lapse")
    with pytest.raises(AnswerError, match="market is no number; allowed: tenure_days"):
        ramp("market 0 1")
