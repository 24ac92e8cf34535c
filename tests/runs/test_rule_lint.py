"""What is wrong with rules, or may not be meant, is told by file, line and field before anything is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.segments import app
from experiments.registry import Registry, load
from runs.rule_lint import Linted, lint
from segments.features import FEATURES, HIGHEST, LOWEST, WORDS
from segments.source import PROGRAM_FILE, RuleFilesError

TODAY = date(2026, 3, 5)
RULE = """\
id: winback
version: 1
owner: retention
status: active
description: Who left lately.
offer_id: winback-3-months
reason_code: LAPSED_PAYER
priority: 10
exclusivity_group: acquisition
audience:
  all:
    - {feature: days_since_lapse, between: [7, 60]}
score:
  heuristic:
    - {feature: days_since_lapse, start: 60, end: 7, weight: 100}
content: {entry: winback-3-months, fallback_locale: en-US}
"""
PROGRAM = PROGRAM_FILE.read_text()


MODEL = """\
name: trial_propensity
version: 1
owner: growth
description: Who starts a trial.
kind: propensity
target: {event: trial_started, within_days: 14}
population:
  all:
    - {feature: is_entitled, equals: false}
    - {feature: has_ever_trialled, equals: false}
    - {feature: streams_28d, at_least: 10}
features: [streams_28d]
minimum: {rows: 2000, events: 100, auc: 0.55}
training: {days: 84, holdout_days: 14}
shadow_days: 7
max_age_days: 14
"""


def linted(folder: Path, *rules: str, program: str = PROGRAM, model: str = MODEL) -> Linted:
    """The rules in files by their ids."""
    for text in rules:
        name = str(re.search("^id: (.*)$", text, re.MULTILINE)[1])  # type: ignore[index]
        (folder / f"{name}.yml").write_text(text)
    (folder / "program").mkdir()
    (folder / "program" / "program.yml").write_text(program)
    models = folder / "models"
    models.mkdir()
    (models / "trial_propensity.yml").write_text(model)
    return lint(Registry({}, {}), TODAY, folder, folder / "program" / "program.yml", folder, models)


def remarks(folder: Path, *rules: str, program: str = PROGRAM, model: str = MODEL) -> list[str]:
    found = linted(folder, *rules, program=program, model=model).remarks
    return [str(remark).replace(f"{folder}/", "") for remark in found]


def audience(*parts: str, entitlement: str = "any") -> str:
    """The rule with another audience; its first part is in line 13."""
    listed = "".join(f"    - {part}\n" for part in parts)
    text = RULE.replace("    - {feature: days_since_lapse, between: [7, 60]}\n", listed)
    return text.replace("audience:\n", f"entitlement: {entitlement}\naudience:\n")


def test_a_rule_that_says_what_it_means_gives_no_remark(tmp_path: Path) -> None:
    assert remarks(tmp_path, RULE) == []


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            "{feature: days_since_lapse, between: [60, 7]}",
            "audience.all[0].between: 60 is after 7; allowed: 7 to 60 [reversed]",
        ),
        (
            "{feature: last_ended_date, between: [day, day - 90]}",
            "audience.all[0].between: day is after day - 90; allowed: day - 90 to day [reversed]",
        ),
        (
            "{feature: last_ended_date, between: [2026-02-01, 2026-01-01]}",
            "audience.all[0].between: 2026-02-01 is after 2026-01-01; allowed: 2026-01-01 to 2026-02-01 "
            "[reversed]",
        ),
        (
            "{feature: plan_kind, equals: premium}",
            "audience.all[0].equals: no account has premium; "
            "allowed: basic, duo, family, free, individual, student [impossible-value]",
        ),
        (
            "not: {feature: plan_kind, in: [duo, familly]}",
            "audience.all[0].not.in[1]: no account has familly; "
            "allowed: basic, duo, family, free, individual, student [impossible-value]",
        ),
        (
            "{feature: billing_interval, equals: monthly}",
            "audience.all[0].equals: no account has monthly; allowed: day, month, week, year "
            "[impossible-value]",
        ),
        (
            "any: [{feature: last_end_reason, equals: payment_failure}]",
            "audience.all[0].any[0].equals: no account has payment_failure; "
            "allowed: admin, involuntary, other, paused, voluntary [impossible-value]",
        ),
        (
            "{feature: market, in: [SE, XX]}",
            "audience.all[0].in[1]: XX is no market; allowed: codes of ISO 3166-1 alpha-2, such as SE "
            "[impossible-value]",
        ),
        (
            "{feature: market, equals: UK}",
            "audience.all[0].equals: UK is no market; allowed: GB [impossible-value]",
        ),
        (
            "{feature: active_days_28d, at_least: 29}",
            "audience.all[0].at_least: no account has that; active_days_28d is 0 to 28 [impossible-value]",
        ),
        (
            "{feature: streams_28d, less_than: 0}",
            "audience.all[0].less_than: no account has that; streams_28d is 0 or more [impossible-value]",
        ),
    ],
)  # fmt: skip
def test_what_no_account_can_be_is_an_error(tmp_path: Path, part: str, expected: str) -> None:
    assert remarks(tmp_path, audience(part)) == [f"error: winback.yml:13: {expected}"]


@pytest.mark.parametrize(
    "part",
    [
        "{feature: days_since_lapse, between: [7, 7]}",
        "{feature: last_ended_date, between: [2026-02-01, day]}",
        "{feature: market, in: [SE, XK]}",
        "{feature: active_days_28d, at_least: 28}",
        "{feature: streams_28d, equals: 0}",
        "{feature: birth_year_band, equals: whatever}",
    ],
)
def test_what_an_account_can_be_is_none(tmp_path: Path, part: str) -> None:
    assert remarks(tmp_path, audience(part)) == []


def test_comparisons_that_nobody_meets_together_are_an_error(tmp_path: Path) -> None:
    text = audience("{feature: streams_28d, at_least: 200}", "{feature: streams_28d, less_than: 100}")

    assert remarks(tmp_path, text) == [
        "error: winback.yml:14: audience.all[1].less_than: nobody: streams_28d cannot be that and what "
        "stands before it in the same all [nobody]"
    ]


@pytest.mark.parametrize(
    ("entitlement", "part", "expected"),
    [
        (
            "not_entitled",
            "{feature: plan_kind, equals: duo}",
            "audience.all[0].equals: nobody: entitlement is not_entitled, and then plan_kind has no value",
        ),
        (
            "entitled",
            "{feature: days_since_lapse, at_least: 3}",
            "audience.all[0].at_least: nobody: entitlement is entitled, and then days_since_lapse has no "
            "value",
        ),
        (
            "not_entitled",
            "{feature: is_in_trial, equals: true}",
            "audience.all[0].equals: nobody: entitlement is not_entitled",
        ),
        (
            "entitled",
            "{feature: is_entitled, equals: false}",
            "audience.all[0].equals: nobody: entitlement is entitled",
        ),
    ],
)
def test_nobody_has_what_those_of_the_other_entitlement_have(
    tmp_path: Path, entitlement: str, part: str, expected: str
) -> None:
    assert remarks(tmp_path, audience(part, entitlement=entitlement)) == [
        f"error: winback.yml:13: {expected} [nobody]"
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "eligibility: {markets: [SE, XX]}",
            "eligibility.markets[1]: XX is no market; allowed: codes of ISO 3166-1 alpha-2, such as SE "
            "[impossible-value]",
        ),
        (
            "eligibility: {markets: []}",
            "eligibility.markets: nobody: the list is empty; leave it out where it does not matter [nobody]",
        ),
        (
            "eligibility: {tenure_days: {at_least: 30, at_most: 7}}",
            "eligibility.tenure_days: 30 is after 7; allowed: 7 to 30 [reversed]",
        ),
        (
            "validity: {from_date: 2026-05-01, to_date: 2026-04-01}",
            "validity: 2026-05-01 is after 2026-04-01; allowed: 2026-04-01 to 2026-05-01 [reversed]",
        ),
    ],
)
def test_eligibility_and_validity_that_nobody_meets_are_errors(
    tmp_path: Path, line: str, expected: str
) -> None:
    assert remarks(tmp_path, f"{RULE}{line}\n") == [f"error: winback.yml:17: {expected}"]


def test_a_plan_is_nothing_that_those_without_entitlement_are_on(tmp_path: Path) -> None:
    assert remarks(tmp_path, f"{RULE}entitlement: not_entitled\neligibility: {{plan_kinds: [duo]}}\n") == [
        "error: winback.yml:18: eligibility.plan_kinds: nobody: entitlement is not_entitled, and who is not "
        "entitled is on no plan [nobody]"
    ]


def test_a_market_that_is_blocked_is_a_market(tmp_path: Path) -> None:
    program = PROGRAM.replace("legal_blocked_markets: []", "legal_blocked_markets: [UK]")

    assert remarks(tmp_path, RULE, program=program) == [
        "error: program/program.yml:8: legal_blocked_markets[0]: UK is no market; allowed: GB "
        "[impossible-value]"
    ]


def by_model(*parts: str, entitlement: str = "not_entitled", missing: str = "heuristic") -> str:
    """A rule for ``parts`` that goes by the model; the model's name is in its last line but one."""
    model = f"  model: {{name: trial_propensity, max_age_days: 14, missing: {missing}}}\n"
    return audience(*parts, entitlement=entitlement).replace("content:", f"{model}content:")


LISTENS = "{feature: streams_28d, between: [50, 400]}"
EITHER = f"{{any: [{LISTENS}, {{feature: active_days_28d, at_least: 3}}]}}"
NEVER = "{feature: has_ever_trialled, equals: false}"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (by_model(NEVER, LISTENS), None),
        (by_model("{all: [" + NEVER + ", " + LISTENS + "]}"), None),
        (by_model(LISTENS).replace("audience:", "eligibility: {past_trial: never}\naudience:"), None),
        (
            by_model(NEVER, LISTENS, entitlement="entitled"),
            "error: winback.yml:18: score.model.name: trial_propensity scores accounts with not is_entitled "
            "only, and the rule is for others: it never has a score; allowed: leave model out [population]",
        ),
        (
            by_model(NEVER, "{feature: streams_28d, less_than: 10}"),
            "error: winback.yml:18: score.model.name: trial_propensity scores accounts with streams_28d >= "
            "10 only, and the rule is for others: it never has a score; allowed: leave model out "
            "[population]",
        ),
        (
            by_model(LISTENS).replace("audience:", "eligibility: {past_trial: required}\naudience:"),
            "error: winback.yml:18: score.model.name: trial_propensity scores accounts with not "
            "has_ever_trialled only, and the rule is for others: it never has a score; allowed: leave model "
            "out [population]",
        ),
        (
            by_model(LISTENS),
            "warning: winback.yml:17: score.model.name: trial_propensity scores accounts with not "
            "has_ever_trialled only, and the rule is for others too: for them the heuristic counts "
            "[population]",
        ),
        (
            by_model(NEVER, EITHER, missing="exclude"),
            "warning: winback.yml:18: score.model.name: trial_propensity scores accounts with streams_28d >= "
            "10 only, and the rule is for others too: for them there is no offer [population]",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_goes_by_a_model_is_for_whom_the_model_scores(
    tmp_path: Path, rule: str, expected: str | None
) -> None:
    assert remarks(tmp_path, rule) == ([] if expected is None else [expected])


def test_a_population_of_single_numbers_is_not_all_that_lies_between_them(tmp_path: Path) -> None:
    rule = by_model(NEVER, "{feature: streams_28d, between: [50, 400]}")
    some = MODEL.replace("{feature: streams_28d, at_least: 10}", "{feature: streams_28d, in: [1, 1000]}")

    assert remarks(tmp_path, rule, model=some) == [
        "warning: winback.yml:18: score.model.name: trial_propensity scores accounts with streams_28d in "
        "(1, 1000) only, and the rule is for others too: for them the heuristic counts [population]"
    ]


def test_a_model_that_nobody_declares_may_score_anybody(tmp_path: Path) -> None:
    rule = by_model(LISTENS, entitlement="entitled").replace("trial_propensity", "household_size")

    assert remarks(tmp_path, rule) == []


def test_one_threshold_for_a_heuristic_and_a_model_is_told(tmp_path: Path) -> None:
    rule = by_model(NEVER, LISTENS).replace("content:", "  threshold: 0.1\ncontent:")

    assert remarks(tmp_path, rule) == [
        "warning: winback.yml:19: score.threshold: 0.1 is held against the heuristic and against what "
        "trial_propensity says, which are on different scales; allowed: a threshold of the model's own, "
        "beside its name [threshold]"
    ]


def test_a_model_with_a_threshold_of_its_own_is_not_told(tmp_path: Path) -> None:
    rule = by_model(NEVER, LISTENS).replace("content:", "  threshold: 0.1\ncontent:")

    assert remarks(tmp_path, rule.replace("missing: heuristic", "missing: heuristic, threshold: 0.02")) == []


def other(**values: str) -> str:
    text = RULE.replace("id: winback\n", "id: winner\n").replace("offer_id: winback-3", "offer_id: other-3")
    for name, value in values.items():
        text = re.sub(f"^{name}: .*$", f"{name}: {value}", text, flags=re.MULTILINE)
    return text


def test_two_rules_of_a_group_with_one_priority_are_told(tmp_path: Path) -> None:
    assert remarks(tmp_path, RULE, other()) == [
        "warning: winner.yml:8: priority: 10 is the priority of winback too, in the group acquisition: "
        "the score decides between them, then the id [priority-tie]"
    ]


@pytest.mark.parametrize(
    "apart", [{"priority": "11"}, {"exclusivity_group": "save"}, {"status": "paused"}], ids=str
)
def test_rules_that_do_not_meet_have_no_tie(tmp_path: Path, apart: dict[str, str]) -> None:
    assert remarks(tmp_path, RULE, other(**apart)) == []


def test_an_offer_that_two_groups_have_can_come_twice(tmp_path: Path) -> None:
    twice = other(exclusivity_group="save", offer_id="winback-3-months")

    assert remarks(tmp_path, RULE, twice) == [
        "warning: winner.yml:6: offer_id: winback-3-months is the offer of winback too: who qualifies for "
        "both has it twice; allowed: one exclusivity_group for both [offer-twice]"
    ]


def test_an_active_rule_that_has_ended_is_told(tmp_path: Path) -> None:
    assert remarks(tmp_path, f"{RULE}validity: {{to_date: 2026-03-04}}\n") == [
        "warning: winback.yml:17: validity.to_date: ended on 2026-03-04: nobody is offered it; "
        "set status: paused, or delete the rule [not-now]"
    ]


def test_a_file_that_is_no_rule_is_an_error_like_others(tmp_path: Path) -> None:
    found = linted(tmp_path, RULE.replace("priority: 10", 'priority: "10"'))

    assert [remark.to_dict() for remark in found.remarks] == [
        {
            "severity": "error",
            "check": "schema",
            "file": str(tmp_path / "winback.yml"),
            "line": 8,
            "field": "priority",
            "message": "is the text '10', because of its quotes; allowed: 10",
        }
    ]


def test_nothing_is_made_of_rules_with_errors_but_of_those_with_warnings(tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()

    assert len(linted(tmp_path, RULE, other()).accepted().rules) == 2
    with pytest.raises(RuleFilesError, match=r"winback.yml:13: .* 60 is after 7; allowed: 7 to 60$"):
        linted(
            tmp_path / "wrong", audience("{feature: days_since_lapse, between: [60, 7]}"), other()
        ).accepted()


def test_the_lint_knows_what_the_features_can_be() -> None:
    for name in WORDS:
        assert FEATURES[name] == "text"  # type: ignore[index]
    for name in (*LOWEST, *HIGHEST):
        assert FEATURES[name] == "number"  # type: ignore[index]
    iso = Path("/usr/share/zoneinfo/iso3166.tab")
    if iso.exists():
        codes = {line.split("\t")[0] for line in iso.read_text().splitlines() if line[0] != "#"}
        assert WORDS["market"] == codes | {"XK"}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``segue segments lint …`` over these rules."""

    def run(*arguments: str, rules: tuple[str, ...]) -> Result:
        found = linted(tmp_path, *rules)
        monkeypatch.setattr("runs.rule_lint.lint", lambda *_: found)
        return CliRunner().invoke(app, ["lint", *arguments])

    return run


@pytest.mark.parametrize(
    ("arguments", "rules", "exit_code", "last"),
    [
        ((), (RULE,), 0, "0 errors, 0 warnings"),
        ((), (RULE, other()), 0, "0 errors, 1 warning"),
        (("--strict",), (RULE, other()), 1, "0 errors, 1 warning"),
        ((), (RULE.replace("[7, 60]", "[60, 7]"), other()), 2, "1 error, 1 warning"),
    ],
)
def test_the_lint_command_ends_with_what_was_found(
    command: Callable[..., Result],
    arguments: tuple[str, ...],
    rules: tuple[str, ...],
    exit_code: int,
    last: str,
) -> None:
    done = command(*arguments, rules=rules)

    assert (done.exit_code, done.output.splitlines()[-1]) == (exit_code, last)


def test_the_lint_command_prints_json(command: Callable[..., Result]) -> None:
    done = command("--json", rules=(RULE, other()))

    [remark] = json.loads(done.output)
    assert (done.exit_code, remark["severity"], remark["check"], remark["line"], remark["field"]) == (
        0, "warning", "priority-tie", 8, "priority",
    )  # fmt: skip


def test_the_projects_rules_have_no_errors_and_ask_models_for_whom_they_score() -> None:
    found = lint(load(), TODAY)

    assert found.errors == []
    assert [remark for remark in found.warnings if remark.check in ("population", "threshold")] == []
