"""What a change of rules would do to yesterday's accounts, and why an account has the offers it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import cli
from cli.plan_report import lines, markdown
from loaders.warehouse.client import Warehouse, warehouse_of
from runs.plan_effects import Overlap, Plan
from runs.segment_plan import NothingToPlanError, plan
from segue.settings import Settings
from tests.pages import typed
from tests.segments.published_day import BEFORE, NOW, book, publish_day, streams_at_least
from tests.segments.test_evaluator import DAY, rule


@pytest.fixture(scope="module")
def published(world: Callable[..., Settings]) -> Settings:
    settings = world("plan")
    publish_day(settings)
    return settings


@pytest.fixture
def planned(published: Settings) -> Plan:
    return plan(published, NOW)


def test_a_plan_says_who_would_gain_and_lose_each_rules_offer(planned: Plan) -> None:
    assert (planned.day, planned.accounts, planned.with_offers, planned.with_offers_before) == (DAY, 3, 3, 3)
    changes = {
        each.rule_id: (
            each.version_before,
            each.version,
            each.qualifying,
            each.now,
            each.before,
            each.gained,
            each.lost,
        )
        for each in planned.rules
    }
    assert changes == {
        "gone": (1, None, 0, 0, 3, 0, 3),
        "loyal": (1, 2, 2, 2, 1, 1, 0),
        "mute": (None, 1, 0, 0, 0, 0, 0),
        "newcomer": (None, 1, 3, 1, 0, 1, 0),
        "nobody": (None, 1, 0, 0, 0, 0, 0),
        "over": (None, 1, 0, 0, 0, 0, 0),
    }


def test_a_plan_names_rules_that_can_never_win(planned: Plan) -> None:
    assert {each.rule_id: each.remark for each in planned.rules if each.remark} == {
        "gone": "no active rule any more",
        "mute": "can never win: nobody can be shown its content, mostly for CONTENT_MISSING",
        "nobody": "can never win: nobody qualifies",
        "over": f"can never win: its validity ended on {DAY}",
    }


def test_a_plan_names_content_that_is_not_there(planned: Plan) -> None:
    assert [asdict(flaw) for flaw in planned.contents] == [
        {"rule_id": "mute", "entry": "absent", "locale": "en-US", "flaw": "CONTENT_MISSING"}
    ]
    assert {each.rule_id: each.content_refusals for each in planned.rules if each.content_refusals} == {
        "mute": {"CONTENT_MISSING": 3}
    }


def test_a_plan_counts_accounts_that_qualify_for_two_rules(planned: Plan) -> None:
    assert planned.overlaps == (Overlap("loyal", "newcomer", 2, is_exclusive=True),)


CONTROL = {
    "id": "e",
    "salt": "s",
    "variants": [
        {"name": "control", "percent": 100, "is_control": True},
        {"name": "treatment", "percent": 0},
    ],
}


def test_a_plan_says_which_rule_takes_accounts_from_another_and_shows_nothing(published: Settings) -> None:
    group = {"exclusivity_group": "one"}
    few_streams = {"feature": "streams_28d", "at_most": 50}
    found = plan(
        published,
        book(
            rule("capped", audience=streams_at_least(100), cap=1, **group),
            rule("tried", priority=11, audience=few_streams, experiment=CONTROL, **group),
            rule("next", priority=20, **group),
        ),
    )  # fmt: skip

    assert [str(taking) for taking in found.takings] == [
        "capped takes 1 account from next and shows nothing (its cap is reached)",
        "tried takes 1 account from next and shows nothing (control arm)",
    ]
    assert {each.rule_id: each.now for each in found.rules} == {
        "capped": 1,
        "gone": 0,
        "loyal": 0,
        "next": 0,
        "tried": 1,
    }


def test_a_control_arm_takes_one_of_the_places_that_an_account_has(published: Settings) -> None:
    found = plan(published, book(rule("a", experiment=CONTROL), rule("b"), rule("c")))

    assert [str(taking) for taking in found.takings] == [
        "a takes 3 accounts from c and shows nothing (control arm)"
    ]


def test_a_rule_whose_content_is_gone_leaves_its_accounts_to_the_next(published: Settings) -> None:
    flawed = {"entry": "absent", "fallback_locale": "en-US"}
    found = plan(
        published,
        book(
            rule("gone", exclusivity_group="one", content=flawed, experiment=CONTROL),
            rule("next", exclusivity_group="one", priority=20),
        ),
    )

    assert found.takings == ()
    assert [str(each) for each in found.yieldings] == [
        "gone leaves 3 accounts to next: its content cannot be shown"
    ]
    assert {each.rule_id: each.now for each in found.rules} == {"gone": 0, "loyal": 0, "next": 3}


def test_unchanged_rules_change_nothing(published: Settings) -> None:
    found = plan(published, BEFORE)

    assert {(each.rule_id, each.now, each.gained, each.lost) for each in found.rules} == {
        ("gone", 3, 0, 0),
        ("loyal", 1, 0, 0),
    }
    assert found.moves == ()


def test_a_plan_says_who_takes_accounts_from_whom_and_what_they_get_instead(published: Settings) -> None:
    """Before, ``loyal`` had a1, and ``gone`` all three."""
    group = {"exclusivity_group": "one"}
    found = plan(
        published,
        book(
            rule("loyal", audience=streams_at_least(300), **group),
            rule("better", priority=5, audience=streams_at_least(400), **group),
            rule("next", priority=20, audience=streams_at_least(100), **group),
        ),
    )

    assert [str(move) for move in found.moves] == [
        "gone loses 1 account (it is not active): they get nothing instead of offer-gone",
        "gone loses 1 account (it is not active): they get offer-better of better instead of offer-gone",
        "gone loses 1 account (it is not active): they get offer-next of next instead of offer-gone",
        "better takes 1 account from loyal: they get offer-better instead of offer-loyal",
    ]


def test_what_a_control_arm_takes_is_nothing_instead(published: Settings) -> None:
    group = {"exclusivity_group": "one"}
    tried = rule("tried", priority=5, experiment=CONTROL, **group)
    found = plan(published, book(rule("gone"), rule("loyal", audience=streams_at_least(300), **group), tried))

    assert [str(move) for move in found.moves] == [
        "tried takes 1 account from loyal: they get nothing (control arm) instead of offer-loyal"
    ]


def test_what_no_longer_qualifies_is_said_with_its_reason(published: Settings) -> None:
    found = plan(published, book(rule("gone"), rule("loyal", audience=streams_at_least(900))))

    assert [str(move) for move in found.moves] == [
        "loyal loses 1 account (NOT_IN_AUDIENCE): they get nothing instead of offer-loyal"
    ]


def test_a_plan_names_what_nothing_else_knows(published: Settings) -> None:
    """The day's accounts are in SE and read sv-SE; nobody has a score, and no offer was ever shown."""
    score = {
        "heuristic": [{"feature": "streams_28d", "start": 0, "end": 1000, "weight": 100}],
        "model": {"name": "churn_risk", "max_age_days": 7, "missing": "heuristic"},
    }
    audience = {
        "all": [
            {"feature": "locale", "in": ["sv-SE", "sv-FI"]},
            {"not": {"feature": "market", "equals": "NO"}},
        ]
    }
    known = rule("known", offer_id="text", eligibility={"markets": ["SE"]})
    found = plan(
        published,
        book(known, rule("typo", offer_id="texts", audience=audience, score=score)),
    )

    assert [str(each) for each in found.unknowns] == [
        "typo: offer_id: no content entry and no exposure is of texts; text is known",
        "typo: score.model.name: no account has a score of churn_risk",
        f"typo: audience.all[0].in: no account has the locale sv-FI on {DAY}; sv-SE is known",
        f"typo: audience.all[1].not.equals: no account has the market NO on {DAY}",
    ]


def test_a_plan_leaves_nothing_behind(published: Settings) -> None:
    plan(published, NOW)

    warehouse = warehouse_of(published)
    left = warehouse.client.list_tables(f"{published.project_id}.{published.ops_dataset}")
    assert [table.table_id for table in left if table.table_id.startswith("segments_plan")] == []


def test_bigquery_removes_what_a_killed_plan_has_left(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, run = [], Warehouse.run

    def noted(warehouse: Warehouse, sql: str, **how: Any) -> Any:
        sent.append(sql)
        return run(warehouse, sql, **how)

    monkeypatch.setattr(Warehouse, "run", noted)
    plan(published, NOW)

    # The embedded BigQuery takes the option, and keeps the table.
    [created] = [sql for sql in sent if sql.startswith("create table")]
    assert (
        "options (expiration_timestamp = timestamp_add(current_timestamp(), interval 1 hour)) as" in created
    )


def test_a_day_without_published_features_is_not_a_plan_of_nobody(published: Settings) -> None:
    with pytest.raises(NothingToPlanError, match="2019-01-01 has no published features"):
        plan(published, NOW, date(2019, 1, 1))

    assert plan(published, NOW).day == DAY


def test_without_published_features_there_is_nothing_to_plan(world: Callable[..., Settings]) -> None:
    settings = world("plan-nothing")
    with pytest.raises(NothingToPlanError, match="has no published day"):
        plan(settings, NOW)

    publish_day(settings)
    assert plan(settings, NOW).day == DAY


@pytest.fixture
def command(published: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``segue segments …`` over the published day, with the rules of now."""
    monkeypatch.setattr("segue.settings.get_settings", lambda: published)
    monkeypatch.setattr("segments.source.load_rules", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: CliRunner().invoke(cli.app, list(arguments))


def test_the_plan_command_prints_json_for_a_review(command: Callable[..., Result], planned: Plan) -> None:
    done = command(*typed("docs/operate.md", "segue segments plan"), "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == json.loads(json.dumps(planned.to_dict()))


def test_the_plan_command_prints_markdown_for_a_pull_request(
    command: Callable[..., Result], planned: Plan
) -> None:
    done = command(*typed("docs/segments.md", "segue segments plan --markdown > plan.md")[:-2])

    assert (done.exit_code, done.output) == (0, markdown(planned))


def test_the_plan_command_prints_lines_as_wide_as_the_terminal(
    command: Callable[..., Result], planned: Plan
) -> None:
    done = command(*typed("docs/demo.md", "segue segments plan"))

    assert (done.exit_code, done.output.splitlines()) == (0, list(lines(planned, 80)))


def test_the_explain_command_gives_every_rules_outcome_and_the_values_behind_it(
    command: Callable[..., Result],
) -> None:
    of_the_page = "segue segments explain ACCOUNT"
    done = command(*typed("docs/operate.md", of_the_page, {"ACCOUNT": "a2"}), "--json")

    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    assert (answer["account_id"], answer["day"], answer["suppressed_reason"]) == ("a2", str(DAY), None)
    outcomes = {
        each["rule_id"]: (each["reason_code"], each["values"], each["published_reason_code"])
        for each in answer["rules"]
    }
    assert outcomes == {
        "loyal": (
            "SELECTED",
            ["priority 10, score 0.2000 by heuristic", "text v1 en-US"],
            "NOT_IN_AUDIENCE",
        ),
        "mute": ("CONTENT_MISSING", ["absent in sv-SE or en-US"], None),
        "newcomer": (
            "LOST_EXCLUSIVITY",
            ["one: loyal (priority 10, score 0.2000) before priority 20, score 0.2000"],
            None,
        ),
        "nobody": (
            "NOT_IN_AUDIENCE",
            ["streams_28d = 200, wanted: streams_28d at_least 1000000"],
            None,
        ),
        "over": (
            "OUTSIDE_VALIDITY",
            ["would be shown on 2026-03-06, valid: always to 2026-03-05"],
            None,
        ),
    }


def test_the_explain_command_tells_in_80_columns_what_became_of_every_rule(
    command: Callable[..., Result],
) -> None:
    of_the_page = "segue segments explain a000000174"
    done = command(*typed("docs/segments.md", of_the_page, {"a000000174": "a2"}))

    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            f"a2 on {DAY}",
            "loyal v2 (offer-loyal): SELECTED; published: NOT_IN_AUDIENCE",
            "    priority 10, score 0.2000 by heuristic",
            "    text v1 en-US",
            "mute v1 (offer-mute): CONTENT_MISSING; published: no such rule",
            "    absent in sv-SE or en-US",
            "nobody v1 (offer-nobody): NOT_IN_AUDIENCE; published: no such rule",
            "    streams_28d = 200, wanted: streams_28d at_least 1000000",
            "over v1 (offer-over): OUTSIDE_VALIDITY; published: no such rule",
            "    would be shown on 2026-03-06, valid: always to 2026-03-05",
            "newcomer v1 (offer-newcomer): LOST_EXCLUSIVITY; published: no such rule",
            "    one: loyal (priority 10, score 0.2000) before priority 20, score 0.2000",
        ],
    )


@pytest.mark.parametrize(
    "of_the_page", ["segue segments explain a000000737", "segue segments explain a000001484"]
)
def test_the_explain_command_refuses_an_account_without_features(
    command: Callable[..., Result], of_the_page: str
) -> None:
    account = of_the_page.split()[-1]
    done = command(*typed("docs/demo.md", of_the_page, {account: "nobody-knows"}))

    assert (done.exit_code, done.output.strip()) == (
        3,
        f"nobody-knows is not among the features of {DAY}",
    )
