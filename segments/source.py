"""Reads rule files; every mistake is named by file, line and field, with what would be allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segments.rule import Program, Rule
from segue import declarations
from segue.declarations import DeclarationsError, Model, Problem, problems_at, shown_path

RULES_DIR: Final = Path(__file__).parent / "rules"
PROGRAM_FILE: Final = Path(__file__).parent / "program.yml"


class RuleFilesError(DeclarationsError):
    """Rule files with mistakes; nothing was compiled."""

    code = "rule_files"


@dataclass(frozen=True)
class RuleBook:
    """All rules by id, active or not, and what they share."""

    rules: tuple[Rule, ...]
    program: Program

    @property
    def active(self) -> tuple[Rule, ...]:
        """The rules that are judged."""
        return tuple(rule for rule in self.rules if rule.status == "active")


def load_rules(rules_dir: Path = RULES_DIR, program_file: Path = PROGRAM_FILE) -> RuleBook:
    """Every ``*.yml`` of the folder, and the program.

    Raises:
        RuleFilesError: all mistakes of all files.
    """
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    for path in sorted(rules_dir.glob("*.yml")):
        try:
            rule = parse(path, Rule)
        except RuleFilesError as error:
            problems += error.problems
            continue
        if rule.id != path.stem:
            message = f"is {rule.id}; allowed: the file's name, {path.stem}"
            problems += problems_at(path, [(("id",), message)])
        rules[rule.id] = rule
    program = None
    try:
        program = parse(program_file, Program)
    except RuleFilesError as error:
        problems += error.problems
    if not rules and not problems:
        problems.append(Problem(shown_path(rules_dir), 1, "", "there is no rule file"))
    if problems or program is None:
        raise RuleFilesError(problems)
    return RuleBook(tuple(rules[name] for name in sorted(rules)), program)


def parse(path: Path, model: type[Model]) -> Model:
    """The file as ``model``.

    Raises:
        RuleFilesError: the file is no YAML, names a key twice, or breaks the schema.
    """
    return declarations.parse(path, model, RuleFilesError)
