"""Scores that accounts hold: the newest that had arrived, of whom is still of the model's population."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from loaders.scoring.scores import NOBODY
from segue.settings import Settings
from segue.window import RunWindow
from tests.dbt.compiled_project import Execution, compile_project
from tests.dbt.reference.company import AccountVersion, Window
from tests.dbt.reference.days import days_between
from tests.dbt.reference.scores import Delivered, Held, held

MODEL = "int_account_scores"
WINDOW = Window(
    start=date(2026, 3, 1), end=date(2026, 3, 14), as_of=date(2026, 3, 16), history_start=date(2026, 1, 12)
)
DAY = timedelta(days=1)


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def march(day: int) -> date:
    return date(2026, 3, day)


def version(account: str, arrived: date, merged_into: str | None = None) -> AccountVersion:
    return AccountVersion(account, "SE", at(arrived), at(arrived - 30 * DAY), merged_into=merged_into)


def own(model: str, day: date, **scores: str) -> Iterator[Delivered]:
    """The platform's scoring of a day, made on the morning after; of nobody where there are none."""
    ends = datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=UTC)
    for account, score in (scores or {NOBODY: "0"}).items():
        yield Delivered(model, account, Decimal(score), ends, ends, is_own=True)


def outside(model: str, account: str, score: str, scored: datetime, arrived: datetime) -> Delivered:
    return Delivered(model, account, Decimal(score), scored, arrived, is_own=False)


LITERAL = [
    # On the fourth `leaver` has left, on the fifth the model failed, on the sixth it is retired.
    *own("churn", march(3), stayer="0.1", leaver="0.2"),
    *own("churn", march(4), stayer="0.3"),
    *own("churn", march(6)),
    # Somebody else's, of the third: it came on the fifth, and was corrected on the seventh.
    outside("winback", "stayer", "0.5", at(march(3)), at(march(5))),
    outside("winback", "stayer", "0.7", at(march(3)), at(march(7))),
]
VERSIONS = [version("stayer", march(1) - 40 * DAY), version("leaver", march(1))]


def drawn(seed: int = 7) -> tuple[list[Delivered], list[AccountVersion]]:
    """Thirty accounts, some of which become others; scores of our own, of others, late and corrected ones."""
    draw = Random(seed)
    names = [f"r{each:02d}" for each in range(30)]
    days = list(days_between(WINDOW.start - 35 * DAY, WINDOW.as_of))
    versions = [version(name, draw.choice(days)) for name in names[:28]]
    versions += [version(draw.choice(names), draw.choice(days), draw.choice(names)) for _ in range(8)]
    scores: list[Delivered] = []
    for model in ("first", "second"):
        for day in days:
            chance = draw.random()
            if chance < 0.5:
                population = draw.sample(names, draw.choice([0, 10, 20]))
                scores += own(model, day, **{name: f"0.{draw.randint(0, 9999):04d}" for name in population})
    for _ in range(150):
        scored = at(draw.choice(days), draw.choice([0, 5, 23]))
        arrived = scored + timedelta(days=draw.choice([0, 0, 1, 4, 20]), hours=draw.choice([0, 1]))
        score, name = f"0.{draw.randint(0, 9999):04d}", draw.choice(names)
        scores.append(outside(draw.choice(["second", "third"]), name, score, scored, arrived))
        if draw.random() < 0.3:
            later = arrived + timedelta(days=draw.choice([0, 2]), minutes=5)
            scores.append(outside(scores[-1].model, name, f"0.{draw.randint(0, 9999):04d}", scored, later))
    return scores, versions


@pytest.fixture(scope="module")
def built(dbt_world: Callable[..., Settings]) -> set[Held]:
    """The literal accounts and the drawn ones, as the warehouse has them."""
    settings = dbt_world("account-scores", history_start_date=WINDOW.history_start)
    window = RunWindow.whole(settings, WINDOW.start, WINDOW.end, WINDOW.as_of)
    project = compile_project(settings, window, [f"+{MODEL}"])
    execution = Execution(settings, "scores")
    scores, versions = drawn()
    execution.land(
        {
            "accounts": [
                {"landing_file": "accounts", "landing_row": place, "arrival_date": each.arrival_date}
                | asdict(each)
                for place, each in enumerate([*VERSIONS, *versions])
            ],
            "scores": [
                {
                    "landing_file": f"scores/{'segue_' if each.is_own else ''}{each.model}",
                    "landing_row": place,
                }
                | {"arrival_date": each.arrival_date}
                | asdict(each)
                for place, each in enumerate([*LITERAL, *scores])
            ],
        }
    )
    execution.build(project, [MODEL])
    return {
        (row["feature_date"], row["account_id"], each["model"], each["score_points"], each["scored_date"])
        for row in execution.rows(project, MODEL)
        for each in row["model_scores"]
    }


def of(built: set[Held], model: str, account: str) -> dict[int, tuple[int, int]]:
    """By day of March, the points and the day of which they are."""
    return {
        day.day: (points, scored.day)
        for day, holder, name, points, scored in sorted(built)
        if (name, holder) == (model, account)
    }


def test_every_score_is_the_one_that_was_worked_out_without_sql(built: set[Held]) -> None:
    scores, versions = drawn()

    expected = held([*LITERAL, *scores], [*VERSIONS, *versions], WINDOW)

    assert built == expected
    assert {model for _, _, model, _, _ in expected} == {"churn", "winback", "first", "second", "third"}


def test_who_has_left_the_population_has_no_score_from_the_next_scored_day_on(built: set[Held]) -> None:
    assert of(built, "churn", "leaver") == {3: (2_000, 3)}


def test_a_day_that_could_not_be_scored_has_the_scores_before_until_nobody_is_scored(
    built: set[Held],
) -> None:
    assert of(built, "churn", "stayer") == {3: (1_000, 3), 4: (3_000, 4), 5: (3_000, 4)}


def test_scores_that_come_late_count_from_their_arrival_and_change_no_day_before(built: set[Held]) -> None:
    assert of(built, "winback", "stayer") == {
        **dict.fromkeys((5, 6), (5_000, 3)),
        **dict.fromkeys(range(7, 15), (7_000, 3)),
    }
