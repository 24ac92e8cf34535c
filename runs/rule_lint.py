"""Lint of the rule files: their schema, what each says, what they are to each other and to experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from experiments.registry import EXPERIMENTS_DIR, Registry
from runs.rule_experiments import experiment_mistakes
from segments.lint import Check, Finding, Severity, book_findings, program_findings, rule_findings
from segments.source import PROGRAM_FILE, RULES_DIR, RuleBook, RuleFilesError, load_rules
from segue.declarations import Problem, problems_at


@dataclass(frozen=True)
class Remark:
    """A finding where it stands in a file."""

    severity: Severity
    check: Check
    problem: Problem

    def __str__(self) -> str:
        return f"{self.severity}: {self.problem} [{self.check}]"

    def to_dict(self) -> dict[str, str | int]:
        """Plain values for JSON."""
        return {"severity": self.severity, "check": self.check} | asdict(self.problem)


@dataclass(frozen=True)
class Linted:
    """The rules, where all files could be read, and what was found in them."""

    book: RuleBook | None
    remarks: tuple[Remark, ...]

    @property
    def errors(self) -> list[Problem]:
        """What nothing is compiled with."""
        return [remark.problem for remark in self.remarks if remark.severity == "error"]

    @property
    def warnings(self) -> list[Remark]:
        """What may be meant."""
        return [remark for remark in self.remarks if remark.severity == "warning"]

    def accepted(self) -> RuleBook:
        """The rules, if nothing is wrong with them.

        Raises:
            RuleFilesError: all errors.
        """
        if self.errors or self.book is None:
            raise RuleFilesError(self.errors)
        return self.book


def lint(
    registry: Registry,
    today: date,
    rules_dir: Path = RULES_DIR,
    program_file: Path = PROGRAM_FILE,
    experiments_dir: Path = EXPERIMENTS_DIR,
) -> Linted:
    """Everything that can be said of the files without data, in the order of files and lines.

    Files that break the schema are told alone: what is no rule cannot be compared with others.
    """
    try:
        book = load_rules(rules_dir, program_file)
    except RuleFilesError as error:
        return Linted(None, tuple(Remark("error", "schema", problem) for problem in error.problems))
    remarks = list(_placed(program_file, program_findings(book.program)))
    for rule in book.rules:
        own = [*rule_findings(rule, today), *experiment_mistakes(rule, registry.experiments, today)]
        remarks += _placed(rules_dir / f"{rule.id}.yml", own)
    for rule, finding in book_findings(book.rules):
        remarks += _placed(rules_dir / f"{rule.id}.yml", [finding])
    for name, finding in _unused(book, registry, today):
        remarks += _placed(experiments_dir / f"{name}.yml", [finding])
    remarks.sort(key=lambda remark: (remark.problem.file, remark.problem.line))
    return Linted(book, tuple(remarks))


def _placed(path: Path, findings: Iterable[Finding]) -> Iterator[Remark]:
    known = list(findings)
    if not known:
        return
    places = problems_at(path, ((finding.location, finding.message) for finding in known))
    for finding, problem in zip(known, places, strict=True):
        yield Remark(finding.severity, finding.check, problem)


def _unused(book: RuleBook, registry: Registry, today: date) -> Iterator[tuple[str, Finding]]:
    """Experiments of a rule that does not know of them: nobody is drawn, and there will be no readout."""
    rules = {rule.id: rule for rule in book.rules}
    for name, experiment in registry.experiments.items():
        if experiment.rule is None or experiment.state(today) == "ended":
            continue
        rule = rules.get(experiment.rule)
        if rule is None:
            message = f"{experiment.rule} is no rule; allowed: {', '.join(rules)}"
            yield name, Finding("error", "experiment", ("rule",), message)
        elif rule.experiment is None or rule.experiment.id != name:
            message = f"{experiment.rule} has no experiment block that names {name}: nobody is in it"
            yield name, Finding("warning", "experiment", ("rule",), message)
