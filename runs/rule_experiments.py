"""What rules and experiments have to do with each other: blocks that name what is declared, and holdouts."""

from __future__ import annotations

from pathlib import Path

from experiments.declaration import Experiment
from experiments.registry import Registry
from segments.rule import Experiment as RuleExperiment
from segments.source import RULES_DIR, RuleBook, RuleFilesError
from segue.declarations import Problem, line_of


def check_rules(book: RuleBook, registry: Registry, rules_dir: Path = RULES_DIR) -> None:
    """Hold every rule's experiment block against the declaration of its name.

    Both say who sees what: the rule decides by its block, the readout judges by the declaration.

    Raises:
        RuleFilesError: an experiment that nobody declared, or one that says otherwise.
    """
    problems = []
    for rule in book.rules:
        if rule.experiment is None:
            continue
        for field, message in _differences(rule.id, rule.experiment, registry.experiments):
            path = rules_dir / f"{rule.id}.yml"
            problems.append(
                Problem(path.name, line_of(path, ("experiment", field)), f"experiment.{field}", message)
            )
    if problems:
        raise RuleFilesError(problems)


def _differences(
    rule_id: str, block: RuleExperiment, declared: dict[str, Experiment]
) -> list[tuple[str, str]]:
    found = declared.get(block.id)
    if found is None:
        allowed = ", ".join(name for name, each in declared.items() if each.rule == rule_id)
        return [
            (
                "id",
                f"{block.id} is not declared in experiments/; allowed: {allowed or 'none of this rule is'}",
            )
        ]
    file = f"experiments/{block.id}.yml"
    differences = []
    if found.rule != rule_id:
        differences.append(("id", f"{file} is of {found.rule or found.surface}"))
    if found.salt != block.salt:
        differences.append(("salt", f"is {block.salt}; {file} says {found.salt}"))
    here = {variant.name: float(variant.percent) for variant in block.variants}
    there = {variant.name: variant.percent for variant in found.variants}
    if here != there:
        differences.append(("variants", f"are {_arms(here)}; {file} says {_arms(there)}"))
    controls = [variant.name for variant in block.variants if variant.is_control]
    if controls and controls != [found.control]:
        differences.append(("variants", f"control is {', '.join(controls)}; {file} says {found.control}"))
    return differences


def _arms(percent: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:g}%" for name, share in percent.items())


def all_experiments(registry: Registry, book: RuleBook) -> dict[str, Experiment]:
    """By id those that are declared, and the holdouts that the active rules keep, as standing experiments."""
    found = dict(registry.experiments)
    holdouts, program = registry.holdouts, book.program.global_holdout
    if holdouts is None:
        return found
    standing = [
        holdouts.experiment(rule.id, float(rule.holdout.local_percent), rule.holdout_salt)
        for rule in book.active
        if rule.holdout.local_buckets
    ]
    if program.buckets:
        standing.insert(0, holdouts.experiment(None, float(program.percent), program.salt))
    return found | {each.id: each for each in standing}
