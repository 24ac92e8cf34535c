"""What the runbook's entries say to do ends the failure.

Each half of the runbook has a register of its own: its sections, its drills, and tests of other modules that
cause a failure and end it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

from local.site.errors_page import named_errors
from segue.settings import PROJECT_ROOT, get_settings
from tests.runbook import daily_run, offers_and_answers
from tests.runbook.drills import Drill, code_of
from tests.runbook.entries import SECTIONS
from tests.runbook.steps import failing, says

REGISTERS = (daily_run, offers_and_answers)
DRILLS = [drill for register in REGISTERS for drill in register.DRILLS]
ENDED_ELSEWHERE = {code: tests for register in REGISTERS for code, tests in register.ENDED_ELSEWHERE.items()}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.__name__)
def test_what_an_entry_says_ends_the_failure(
    drill: Drill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, mend = drill(tmp_path, monkeypatch)

    with failing(code_of(drill)):
        attempt()

    mend()
    attempt()
    get_settings.cache_clear()


def test_each_section_is_in_one_register() -> None:
    assert sorted([*daily_run.SECTIONS, *offers_and_answers.SECTIONS]) == sorted(SECTIONS)


@pytest.mark.parametrize("register", REGISTERS, ids=lambda register: register.__name__.rpartition(".")[2])
def test_every_code_is_caused_and_ended_by_a_test(register: ModuleType) -> None:
    ended = {*register.ENDED_ELSEWHERE, *map(code_of, register.DRILLS)}

    assert ended == {code for section in register.SECTIONS for code in SECTIONS[section]}


@pytest.mark.parametrize("code", daily_run.FOLLOWED_ELSEWHERE)
def test_the_words_that_a_test_follows_are_a_step_of_the_entry(code: str) -> None:
    for words in daily_run.FOLLOWED_ELSEWHERE[code].values():
        says(code, words)


def test_what_is_not_followed_is_a_step_of_an_entry() -> None:
    codes = {code for section in daily_run.SECTIONS for code in SECTIONS[section]}

    assert daily_run.NOT_FOLLOWED.keys() <= codes


@pytest.mark.parametrize("code", ENDED_ELSEWHERE)
def test_the_tests_that_are_named_are_there_and_one_of_them_speaks_of_the_failure(code: str) -> None:
    texts = [source_of(test) for test in ENDED_ELSEWHERE[code]]

    assert any(speaks_of(code, text) for text in texts)


def source_of(test: str) -> str:
    file, name = test.split("::")
    text = (PROJECT_ROOT / "tests" / file).read_text()
    [found] = [
        each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef) and each.name == name
    ]
    return ast.get_source_segment(text, found) or ""


def speaks_of(code: str, text: str) -> bool:
    names = {error.code: error.__name__ for error in named_errors()}
    spoken = (f"LoadCode.{code.upper()}", f"{code}:", names.get(code, code), f'"{code}"')
    return any(each in text for each in spoken)
