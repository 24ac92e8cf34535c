"""What a version of a rule decides never changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segments.artifacts import artifacts
from segments.rule import Program, Rule
from segments.source import RuleBook, RuleFilesError, load_rules
from segments.versions import lock_text, locked, merged_lock
from segue.made_files import stale


def changed(book: RuleBook, **values: Any) -> RuleBook:
    """The book with its first rule changed."""
    first, *others = book.rules
    return RuleBook((first.model_copy(update=values), *others), book.program)


def test_the_files_made_from_the_rules_are_current() -> None:
    assert stale(artifacts(load_rules())) == []


def test_a_changed_rule_needs_a_new_version() -> None:
    book = load_rules()
    lock = locked(book, {})
    first = book.rules[0]

    with pytest.raises(
        RuleFilesError, match=rf"{first.id}.yml:1: version: version 1 was changed; allowed: 2"
    ):
        locked(changed(book, priority=999), lock)
    assert (first.id, 2) in locked(changed(book, priority=999, version=2), lock)


def test_a_version_never_goes_back() -> None:
    book = load_rules()
    lock = locked(changed(book, version=3, priority=999), locked(book, {}))

    with pytest.raises(RuleFilesError, match="1 is older than 3; allowed: 3, 4"):
        locked(book, lock)


def test_what_is_merged_may_be_told_by_a_file(tmp_path: Path) -> None:
    """Where git does not know the main branch."""
    book = load_rules()
    merged = tmp_path / "main.lock"
    merged.write_text(lock_text(locked(changed(book, priority=999), {})))

    with pytest.raises(RuleFilesError, match="version 1 was changed; allowed: 2"):
        artifacts(book, merged)


def test_who_owns_a_rule_what_it_is_called_and_whether_it_rests_are_no_part_of_its_version() -> None:
    book = load_rules()
    lock = locked(book, {})

    assert locked(changed(book, owner="others", description="Better said.", status="paused"), lock) == lock


def test_the_program_has_versions_like_a_rule() -> None:
    book = load_rules()
    program: Program = book.program.model_copy(update={"max_offers_per_account": 9})

    with pytest.raises(RuleFilesError, match=r"program.yml:1: version: version 1 was changed"):
        locked(RuleBook(book.rules, program), locked(book, {}))


def test_the_lock_is_read_as_it_was_written(tmp_path: Any) -> None:
    lock = locked(load_rules(), {})
    file = tmp_path / "versions.lock"
    file.write_text(lock_text(lock))

    assert merged_lock(file) == lock
    file.write_text("winback 1\n")
    with pytest.raises(RuleFilesError, match=r"versions.lock:1: is no `id version digest`"):
        merged_lock(file)


def test_the_schema_describes_what_editors_complete() -> None:
    import json

    from jsonschema import Draft202012Validator

    from segments.artifacts import SCHEMA_FILE

    schema = json.loads(SCHEMA_FILE.read_text())
    Draft202012Validator.check_schema(schema)
    rule: Rule = load_rules().rules[0]
    written = json.loads(rule.model_dump_json(by_alias=True, exclude_none=True))
    Draft202012Validator(schema).validate(written)
    with pytest.raises(Exception, match="has_ever_payed"):
        Draft202012Validator(schema).validate(written | {"audience": {"feature": "has_ever_payed"}})
