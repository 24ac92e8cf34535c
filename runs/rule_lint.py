"""Lint of the rule files: their schema, what each says, what they are to each other and to experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from experiments.registry import EXPERIMENTS_DIR, Registry
from runs.rule_experiments import experiment_mistakes
from scoring.declaration import ModelDeclaration
from scoring.declared import MODELS_DIR, load_models
from segments.coverage import uncovered
from segments.lint import Check, Finding, Severity, book_findings, program_findings, rule_findings
from segments.rule import Rule
from segments.source import PROGRAM_FILE, RULES_DIR, RuleBook, RuleFilesError, load_rules
from segments.sql import predicate
from segue.declarations import DeclarationsError, Problem, problems_at


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
    models_dir: Path | None = MODELS_DIR,
) -> Linted:
    """Everything that can be said of the files without data, in the order of files and lines.

    ``models_dir``: declared models; of others nobody knows whom they score. Files that break the schema are
    told alone: what is no rule cannot be compared with others.
    """
    try:
        book = load_rules(rules_dir, program_file)
    except RuleFilesError as error:
        return Linted(None, tuple(Remark("error", "schema", problem) for problem in error.problems))
    models = {} if models_dir is None else _models(models_dir, book)
    remarks = list(_placed(program_file, program_findings(book.program)))
    for rule in book.rules:
        own = [
            *rule_findings(rule, today),
            *experiment_mistakes(rule, registry.experiments, today),
            *population_findings(rule, models),
        ]
        remarks += _placed(rules_dir / f"{rule.id}.yml", own)
    for rule, finding in book_findings(book.rules):
        remarks += _placed(rules_dir / f"{rule.id}.yml", [finding])
    for name, finding in _unused(book, registry, today):
        remarks += _placed(experiments_dir / f"{name}.yml", [finding])
    remarks.sort(key=lambda remark: (remark.problem.file, remark.problem.line))
    return Linted(book, tuple(remarks))


def _models(folder: Path, book: RuleBook) -> dict[str, ModelDeclaration]:
    """None where a declaration has mistakes: `segue models compile` is what tells them."""
    try:
        return load_models(folder, book)
    except DeclarationsError:
        return {}


def population_findings(rule: Rule, models: Mapping[str, ModelDeclaration]) -> Iterator[Finding]:
    """Whether the model that a rule goes by scores the accounts that the rule is for."""
    used = rule.score.model
    if used is None or used.name not in models:
        return
    coverage, condition = uncovered(rule, models[used.name].population)
    if condition is None:
        return
    at, whom = ("score", "model", "name"), f"{used.name} scores accounts with {predicate(condition)} only"
    if coverage == "none":
        message = f"{whom}, and the rule is for others: it never has a score; allowed: leave model out"
        yield Finding("error", "population", at, message)
    else:
        counts = "the heuristic counts" if used.missing == "heuristic" else "there is no offer"
        message = f"{whom}, and the rule is for others too: for them {counts}"
        yield Finding("warning", "population", at, message)


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
