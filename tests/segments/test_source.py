"""A mistake in a rule file is named by file, line and field, with what would be allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segments.rule import Program, Rule
from segments.source import PROGRAM_FILE, RULES_DIR, RuleFilesError, load_rules, parse

RULE = """\
id: winback
version: 1
owner: retention
status: active
description: Who left lately.
offer_id: winback-3-months
reason_code: LAPSED_PAYER
priority: 10
audience:
  all:
    - {feature: has_ever_paid, equals: true}
    - {feature: days_since_lapse, between: [7, 60]}
score:
  heuristic:
    - {feature: days_since_lapse, start: 60, end: 7, weight: 100}
content: {entry: winback-3-months, fallback_locale: en-US}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "winback.yml"
    file.write_text(text)
    with pytest.raises(RuleFilesError) as error:
        parse(file, Rule)
    return str(error.value).replace(f"{tmp_path}/", "").splitlines()


def test_a_rule_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "winback.yml"
    file.write_text(RULE)

    rule = parse(file, Rule)

    assert (rule.id, rule.group, rule.consent, rule.holdout.respects_global) == (
        "winback", "rule:winback", "marketing", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "feature: has_ever_paid",
            "feature: has_ever_payed",
            "winback.yml:11: audience.all[0].feature: has_ever_payed is none of 32 allowed; "
            "did you mean has_ever_paid?",
        ),
        (
            "between: [7, 60]",
            "matches: 7",
            "winback.yml:12: audience.all[1].matches: unknown field; allowed: all, any, not, feature, equals",
        ),
        (
            "equals: true",
            "at_least: 3",
            "winback.yml:11: audience.all[0]: has_ever_paid (flag) takes exactly one of equals, is_null; "
            "found at_least",
        ),
        (
            "between: [7, 60]",
            "between: [7, soon]",
            "winback.yml:12: audience.all[1].between: days_since_lapse is compared with a whole number; "
            "found soon",
        ),
        (
            "{feature: has_ever_paid, equals: true}",
            "{feature: last_ended_date, at_least: day - 3 weeks}",
            "winback.yml:11: audience.all[0].at_least: last_ended_date is compared with a date (YYYY-MM-DD) "
            "or one relative to the day (day, day - 30, day + 7); found day - 3 weeks",
        ),
        ("priority: 10\n", "", "winback.yml:1: priority: is missing"),
        (
            "weight: 100",
            "weight: 90",
            "winback.yml:13: score: the weights of heuristic add up to 100; found 90",
        ),
        (
            "status: active",
            "status: on",
            "winback.yml:4: status: input should be 'draft', 'active' or 'paused'",
        ),
        ("owner: retention", "owner: retention\nowner: growth", "winback.yml:4: owner: is given twice"),
        ("all:", "all: [", "winback.yml:11: no YAML:"),
        (
            "- {feature: has_ever_paid, equals: true}",
            "- {all: [], any: []}",
            "winback.yml:11: audience.all[0].all",
        ),
        (
            "priority: 10",
            'priority: "10"',
            "winback.yml:8: priority: is the text '10', because of its quotes; allowed: 10",
        ),
        (
            "between: [7, 60]",
            'between: [7, "60"]',
            "winback.yml:12: audience.all[1].between: days_since_lapse is compared with a whole number; "
            "found 60, a text because of its quotes",
        ),
        (
            "equals: true",
            "equals: 'true'",
            "winback.yml:11: audience.all[0].equals: has_ever_paid is compared with true or false; "
            "found true, a text because of its quotes",
        ),
        (
            "{feature: has_ever_paid, equals: true}",
            "{feature: last_ended_date, at_least: '2026-01-31'}",
            "winback.yml:11: audience.all[0].at_least: last_ended_date is compared with a date (YYYY-MM-DD) "
            "or one relative to the day (day, day - 30, day + 7); "
            "found 2026-01-31, a text because of its quotes",
        ),
        (
            "{feature: has_ever_paid, equals: true}",
            "{feature: market, in: [SE, NO]}",
            "winback.yml:11: audience.all[0].in: market is compared with a text; found false "
            "(without quotes, YAML reads no, off and the market NO as false, yes and on as true)",
        ),
        (
            "audience:",
            "eligibility: {markets: [SE, NO]}\naudience:",
            "winback.yml:9: eligibility.markets[1]: without quotes, YAML reads NO as False; "
            'allowed: "NO"',
        ),
        (
            "between: [7, 60]",
            "at_least: 7.5",
            "winback.yml:12: audience.all[1].at_least: a value is a whole number, a text, true, false or a "
            "date; found 7.5",
        ),
        (
            "audience:\n  all:\n",
            "audience: &whole\n  all:\n    - *whole\n",
            "winback.yml:9: audience.all[0]: is an alias of what it is part of, and has no end",
        ),
        ("owner: retention", "owner: !!python/name:os.system", "winback.yml:3: no YAML: could not determine"),
        ("owner: retention", "owner: 2026-02-30", "winback.yml:1: no YAML: day is out of range for month"),
        ("owner: retention", "owner: \x01", "winback.yml:1: no YAML: unacceptable character #x0001"),
        ("owner: retention", "owner: " + "[" * 5_000, "winback.yml:1: values lie too deep in each other"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_what_is_allowed(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    assert before in RULE
    assert problems(tmp_path, RULE.replace(before, after, 1))[0].startswith(expected)


def test_aliases_of_aliases_are_not_followed_for_ever(tmp_path: Path) -> None:
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9))

    assert problems(tmp_path, f"l0: &l0 [x]\n{layers}{RULE}") == [
        "winback.yml:1: has more than 100,000 values, aliases followed"
    ]


def test_a_file_of_the_project_is_named_from_the_projects_folder() -> None:
    with pytest.raises(RuleFilesError) as error:
        parse(PROGRAM_FILE, Rule)

    assert str(error.value).startswith("segments/program.yml:")


def test_all_files_with_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(RULE.replace("id: winback", "id: other"))
    (tmp_path / "two.yml").write_text(RULE.replace("version: 1", "version: 0"))

    with pytest.raises(RuleFilesError) as error:
        load_rules(tmp_path)

    assert [(Path(found.file).name, found.line, found.field) for found in error.value.problems] == [
        ("one.yml", 1, "id"),
        ("two.yml", 2, "version"),
    ]


def test_an_experiment_covers_everyone(tmp_path: Path) -> None:
    experiment = (
        "experiment:\n  id: e\n  salt: s\n  variants:\n"
        "    - {name: a, percent: 50}\n    - {name: b, percent: 40}\n"
    )
    assert problems(tmp_path, RULE + experiment) == [
        "winback.yml:17: experiment: the variants' percent add up to 100; found 90"
    ]


def test_the_rules_of_the_project_are_read_and_twelve_of_them_are_active() -> None:
    book = load_rules()

    assert len(book.active) == 12
    assert len({rule.offer_id for rule in book.active}) == 12
    for rule in book.rules:
        head = (RULES_DIR / f"{rule.id}.yml").read_text().splitlines()[0]
        assert head == "# yaml-language-server: $schema=../rule.schema.json"
    assert parse(PROGRAM_FILE, Program) == book.program
    assert yaml.safe_load(PROGRAM_FILE.read_text())["version"] == book.program.version
