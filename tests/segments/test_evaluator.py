"""The order of decision, one account at a time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from segments.evaluator import AccountDecisions, bucket, evaluate, served_until
from segments.explain import explain
from segments.features import FEATURES
from segments.rule import Program, Rule
from segments.source import RuleBook

DAY = date(2026, 3, 5)
PROGRAM = Program.model_validate(
    {
        "version": 1,
        "global_holdout": {"percent": 0, "salt": "program"},
        "max_offers_per_account": 2,
        "legal_blocked_markets": ["KP"],
        "traced_percent": 0,
    }
)


def rule(name: str, **values: Any) -> Rule:
    """A rule that everybody passes, with a score of streams in thousands."""
    return Rule.model_validate(
        {
            "id": name, "version": 1, "owner": "tests", "status": "active", "description": "…",
            "offer_id": f"offer-{name}", "reason_code": "REASON", "priority": 10,
            "audience": {"feature": "market", "is_null": False},
            "score": {"heuristic": [{"feature": "streams_28d", "start": 0, "end": 1000, "weight": 100}]},
            "content": {"entry": "text", "fallback_locale": "en-US"},
        }
        | values
    )  # fmt: skip


def row(account_id: str = "a1", **values: Any) -> dict[str, Any]:
    kinds = {"number": 0, "text": None, "flag": False, "date": None}
    return {name: kinds[kind] for name, kind in FEATURES.items()} | {
        "account_id": account_id, "feature_date": DAY, "market": "SE", "locale": "sv-SE",
        "is_test_account": False, "is_deletion_requested": False, "is_marketing_withdrawn": False,
        "is_personalisation_withdrawn": False, "offer_exposures": [], "model_scores": [],
    } | values  # fmt: skip


def text(locale: str = "en-US", **values: Any) -> dict[str, Any]:
    return {
        "entry_id": "text", "locale": locale, "content_version": 1, "is_published": True,
        "valid_from_at": None, "valid_until_at": None,
    } | values  # fmt: skip


def decide(rules: list[Rule], account: dict[str, Any], *contents: dict[str, Any]) -> AccountDecisions:
    book = RuleBook(tuple(rules), PROGRAM)
    return evaluate(book, [account], contents or [text()])[account["account_id"]]


def reasons(account: AccountDecisions) -> dict[str, str]:
    return {name: decision.reason.value for name, decision in account.decisions.items()}


def test_the_first_step_that_fails_is_the_reason_and_all_that_fail_are_kept() -> None:
    account = decide(
        [rule("r", entitlement="entitled")],
        row(market="KP", is_test_account=True, is_deletion_requested=True, is_marketing_withdrawn=True),
    )

    assert reasons(account) == {"r": "DELETION_REQUESTED"}
    assert account.decisions["r"].failed == (
        "DELETION_REQUESTED", "LEGAL_BLOCK", "TEST_ACCOUNT", "NO_CONSENT", "WRONG_ENTITLEMENT",
    )  # fmt: skip
    assert account.suppressed_reason == "DELETION_REQUESTED"


def test_one_offer_of_a_group_wins_by_priority_then_score_then_name() -> None:
    group = {"exclusivity_group": "one"}
    short = {"heuristic": [{"feature": "streams_28d", "start": 0, "end": 500, "weight": 100}]}
    account = decide(
        [rule("c", **group), rule("b", **group, score=short), rule("a", **group, priority=11), rule("free")],
        row(streams_28d=300),
    )

    assert reasons(account) == {
        "c": "LOST_EXCLUSIVITY", "b": "SELECTED", "a": "LOST_EXCLUSIVITY", "free": "SELECTED",
    }  # fmt: skip
    assert [(offer["rule_id"], offer["score"]) for offer in account.offers] == [("b", 0.6), ("free", 0.3)]


def test_a_control_arm_wins_its_group_as_a_no_show() -> None:
    everyone = {
        "id": "e", "salt": "s",
        "variants": [
            {"name": "control", "percent": 100, "is_control": True}, {"name": "treatment", "percent": 0},
        ],
    }  # fmt: skip
    account = decide(
        [
            rule("tried", exclusivity_group="one", experiment=everyone),
            rule("next", exclusivity_group="one", priority=20),
        ],
        row(),
    )

    assert reasons(account) == {"tried": "SELECTED", "next": "LOST_EXCLUSIVITY"}
    assert [(offer["offer_id"], offer["variant"], offer["is_control"]) for offer in account.offers] == [
        ("offer-tried", "control", True)
    ]


def test_an_account_has_no_more_offers_than_the_program_allows() -> None:
    account = decide([rule("a", priority=3), rule("b", priority=2), rule("c", priority=1)], row())

    assert reasons(account) == {"a": "ACCOUNT_CAP_REACHED", "b": "SELECTED", "c": "SELECTED"}


def test_a_cap_goes_to_the_highest_scores() -> None:
    book = RuleBook((rule("r", cap=1),), PROGRAM)
    accounts = evaluate(book, [row("low", streams_28d=1), row("high", streams_28d=900)], [text()])

    assert {name: reasons(account)["r"] for name, account in accounts.items()} == {
        "low": "RULE_CAP_REACHED",
        "high": "SELECTED",
    }


def test_an_offer_rests_when_it_was_shown_enough_or_clicked() -> None:
    seen = {
        "offer_id": "offer-r", "impressions_7d": 3, "impressions_28d": 9, "last_shown_date": DAY,
        "last_clicked_date": DAY - timedelta(days=6), "last_converted_date": None,
    }  # fmt: skip
    often = {"max_impressions": 9, "within_days": 28}
    clicked = {"after": "clicked", "days": 7}
    account = row(offer_exposures=[seen])

    assert reasons(decide([rule("r", frequency=often)], account)) == {"r": "FREQUENCY_REACHED"}
    assert reasons(decide([rule("r", frequency=often | {"within_days": 7})], account)) == {"r": "SELECTED"}
    assert reasons(decide([rule("r", cool_down=clicked)], account)) == {"r": "COOLING_DOWN"}
    assert reasons(decide([rule("r", cool_down=clicked | {"days": 6})], account)) == {"r": "SELECTED"}


def test_a_missing_score_falls_back_or_excludes() -> None:
    def scored(missing: str, account: dict[str, Any]) -> AccountDecisions:
        model = {"name": "propensity", "max_age_days": 7, "missing": missing}
        return decide([rule("r", score=rule("x").score.model_dump() | {"model": model})], account)

    fresh = {"model": "propensity", "score_points": 9000, "scored_date": DAY - timedelta(days=6)}
    stale = fresh | {"scored_date": DAY - timedelta(days=7)}

    assert scored("heuristic", row(streams_28d=100, model_scores=[fresh])).offers[0]["score"] == 0.9
    assert scored("heuristic", row(streams_28d=100, model_scores=[stale])).offers[0]["score"] == 0.1
    assert reasons(scored("exclude", row(model_scores=[stale]))) == {"r": "NO_SCORE"}


def test_a_models_scores_are_held_against_a_threshold_of_their_own() -> None:
    """A probability of 3% may be worth an offer, where a heuristic of 0.03 is nobody's."""
    model = {"name": "propensity", "max_age_days": 7, "missing": "heuristic", "threshold": "0.02"}
    score = rule("x").score.model_dump() | {"model": model, "threshold": "0.25"}
    rules = [rule("r", score=score)]

    def given(points: int) -> list[dict[str, Any]]:
        return [{"model": "propensity", "score_points": points, "scored_date": DAY}]

    def outcome(account: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        _, [found] = explain(RuleBook(tuple(rules), PROGRAM), account, [text()])
        return found.reason.value, found.values[:1]

    assert outcome(row(streams_28d=900, model_scores=given(199))) == (
        "SCORE_TOO_LOW", ("score 0.0199 by propensity, threshold 0.02",),
    )  # fmt: skip
    assert outcome(row(streams_28d=0, model_scores=given(200)))[0] == "SELECTED"
    assert outcome(row(streams_28d=249)) == (
        "SCORE_TOO_LOW", ("score 0.2490 by heuristic, threshold 0.25",),
    )  # fmt: skip
    assert outcome(row(streams_28d=250))[0] == "SELECTED"


def test_content_is_shown_in_the_accounts_language_else_in_the_fallback() -> None:
    serving = datetime(2026, 3, 6, tzinfo=UTC)
    own, unpublished = text("sv-SE", content_version=4), text("sv-SE", is_published=False)
    expired = text(valid_until_at=serving)

    def shown(*contents: dict[str, Any], **content: Any) -> Any:
        found = decide([rule("r", content=rule("x").content.model_dump() | content)], row(), *contents)
        offer = found.offers[0] if found.offers else None
        return reasons(found)["r"] if offer is None else (offer["content_locale"], offer["content_version"])

    assert shown(own, text()) == ("sv-SE", 4)
    assert shown(unpublished, text()) == ("en-US", 1)
    assert shown(unpublished, expired) == "CONTENT_UNPUBLISHED"
    assert shown(expired) == "CONTENT_EXPIRED"
    assert shown(text("de-DE")) == "CONTENT_MISSING"
    assert shown(text(), min_version=2) == "CONTENT_OUTDATED"


def everyone_in(arm: str, *arms: dict[str, Any]) -> dict[str, Any]:
    """An experiment that has everyone in one of its arms, the control or one with an entry of its own."""
    variants = [{"name": "control", "percent": 50, "is_control": True}, *arms]
    spread = [each | {"percent": 49 if each["name"] != arm else 51} for each in variants]
    salt = next(
        str(number) for number in range(100)
        if (bucket("a1", str(number)) < spread[0]["percent"] * 100) == (arm == "control")
    )  # fmt: skip
    return {"id": "e", "salt": salt, "variants": spread}


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_an_offer_that_cannot_be_shown_takes_no_others_place_in_treatment_or_in_control(arm: str) -> None:
    experiment = everyone_in(arm, {"name": "treatment"})
    account = decide(
        [
            rule(
                "gone",
                exclusivity_group="one",
                experiment=experiment,
                content={"entry": "old", "fallback_locale": "en-US"},
            ),
            rule("next", exclusivity_group="one", priority=20),
        ],
        row(),
        text(),
        text(entry_id="old", valid_until_at=datetime(2026, 3, 6, tzinfo=UTC)),
    )

    assert account.decisions["gone"].variant is not None
    assert account.decisions["gone"].variant.name == arm
    assert reasons(account) == {"gone": "CONTENT_EXPIRED", "next": "SELECTED"}
    assert [offer["offer_id"] for offer in account.offers] == ["offer-next"]


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_an_arm_that_cannot_be_shown_takes_the_offer_out_of_every_arm_so_that_they_stay_comparable(
    arm: str,
) -> None:
    experiment = everyone_in(arm, {"name": "treatment", "content": "deep"})

    def reason(*contents: dict[str, Any]) -> dict[str, str]:
        return reasons(decide([rule("r", experiment=experiment)], row(), *contents))

    assert reason(text(), text(entry_id="deep")) == {"r": "SELECTED"}
    assert reason(text()) == {"r": "CONTENT_MISSING"}
    assert reason(text(), text(entry_id="deep", is_published=False)) == {"r": "CONTENT_UNPUBLISHED"}
    # Of two flaws its own arm's is the account's reason.
    expired = text(valid_until_at=datetime(2026, 3, 6, tzinfo=UTC))
    own = {"control": "CONTENT_EXPIRED", "treatment": "CONTENT_MISSING"}[arm]
    assert reason(expired) == {"r": own}
    # What no account is in needs no content.
    ended = {
        "id": "e", "salt": "s", "variants": [
            {"name": "control", "percent": 50, "is_control": True}, {"name": "treatment", "percent": 50},
            {"name": "ended", "percent": 0, "content": "deep"},
        ],
    }  # fmt: skip
    assert reasons(decide([rule("r", experiment=ended)], row())) == {"r": "SELECTED"}


def test_content_comes_before_holdout_and_rest_and_no_account_counts_against_a_cap_without_it() -> None:
    held_out = {"local_percent": 100}
    missing = {"entry": "absent", "fallback_locale": "en-US"}
    account = decide([rule("r", holdout=held_out, content=missing)], row())

    assert (account.decisions["r"].reason, account.decisions["r"].failed) == (
        "CONTENT_MISSING",
        ("CONTENT_MISSING", "LOCAL_HOLDOUT"),
    )
    book = RuleBook((rule("r", cap=1),), PROGRAM)
    accounts = evaluate(
        book, [row("high", streams_28d=900, locale="sv-SE"), row("low", streams_28d=1, locale="de-DE")],
        [text("de-DE")],
    )  # fmt: skip
    assert {name: reasons(account)["r"] for name, account in accounts.items()} == {
        "high": "CONTENT_MISSING",
        "low": "SELECTED",
    }


def test_an_offer_ends_with_its_day_its_rule_or_its_content() -> None:
    def until(*contents: dict[str, Any], **values: Any) -> datetime:
        end: datetime = decide([rule("r", **values)], row(), *contents).offers[0]["valid_until_at"]
        return end

    assert until(text()) == served_until("a1", DAY) == datetime(2026, 3, 11, tzinfo=UTC)
    assert until(text(), validity={"to_date": "2026-03-07"}) == datetime(2026, 3, 8, tzinfo=UTC)
    noon = datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert until(text(valid_until_at=noon)) == noon
    assert reasons(decide([rule("r", validity={"to_date": "2026-03-05"})], row())) == {
        "r": "OUTSIDE_VALIDITY"
    }


def test_an_accounts_decisions_end_on_its_own_weekday_so_that_its_row_seldom_changes() -> None:
    days = [DAY + timedelta(days=number) for number in range(28)]
    for account in ("a1", "a2", "a3"):
        ends = [served_until(account, day) for day in days]
        assert all(4 <= (end.date() - day).days <= 10 for day, end in zip(days, ends, strict=True))
        assert len({end.weekday() for end in ends}) == 1
        assert len(set(ends)) <= 5
    weekdays = Counter(served_until(f"a{number}", DAY).weekday() for number in range(7_000))
    assert set(weekdays) == set(range(7))
    assert max(weekdays.values()) < 1_150


def test_buckets_are_spread_evenly_and_independent_of_each_other() -> None:
    accounts = [f"a{number}" for number in range(4_000)]
    low = [account for account in accounts if bucket(account, "one") < 1_000]

    # Five standard deviations around a tenth, and around a tenth of the tenth.
    assert 305 < len(low) < 495
    assert 12 < sum(bucket(account, "two") < 1_000 for account in low) < 72


def test_an_explanation_has_the_values_that_decided() -> None:
    audience = {
        "all": [
            {"feature": "streams_28d", "at_least": 200},
            {"not": {"feature": "plan_kind", "in": ["family"]}},
            {
                "any": [
                    {"feature": "ad_ms_28d", "more_than": 5},
                    {"feature": "skips_blocked_28d", "at_least": 2},
                ]
            },
        ]
    }
    rules = [
        rule("wide", audience=audience),
        rule("won", exclusivity_group="one"),
        rule("lost", exclusivity_group="one", priority=30),
        rule("paid", entitlement="entitled"),
    ]
    _, explained = explain(
        RuleBook(tuple(rules), PROGRAM), row(plan_kind="family", streams_28d=250), [text()]
    )

    assert [(item.rule.id, item.reason.value, item.values) for item in explained] == [
        ("won", "SELECTED", ("priority 10, score 0.2500 by heuristic", "text v1 en-US")),
        ("paid", "WRONG_ENTITLEMENT", ("is_entitled = false, wanted: entitled",)),
        (
            "wide",
            "NOT_IN_AUDIENCE",
            (
                "plan_kind = family, wanted: not plan_kind in [family]",
                "ad_ms_28d = 0, wanted: ad_ms_28d more_than 5",
                "skips_blocked_28d = 0, wanted: skips_blocked_28d at_least 2",
            ),
        ),
        (
            "lost",
            "LOST_EXCLUSIVITY",
            ("one: won (priority 10, score 0.2500) before priority 30, score 0.2500",),
        ),
    ]
