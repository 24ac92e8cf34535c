"""What rules and experiments have to do with each other: blocks that name what is declared, and holdouts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from experiments.declaration import Experiment
from experiments.registry import Registry
from segments.lint import Finding
from segments.rule import Experiment as RuleExperiment
from segments.rule import Rule
from segments.source import RuleBook


def experiment_mistakes(rule: Rule, declared: dict[str, Experiment], today: date) -> Iterator[Finding]:
    """Hold a rule's experiment block against the declaration of its name.

    Both say who sees what: the rule decides by its block, the readout judges by the declaration.
    """
    block = rule.experiment
    if block is None:
        return
    for field, message in _differences(rule.id, block, declared):
        yield Finding("error", "experiment", ("experiment", field), message)
    found = declared.get(block.id)
    if found is not None and rule.status == "active" and found.state(today) == "ended":
        message = (
            f"{block.id} ended on {found.end}, and its control arm is still shown nothing; "
            "take the block out, or declare another experiment"
        )
        yield Finding("warning", "not-now", ("experiment", "id"), message)


def _differences(
    rule_id: str, block: RuleExperiment, declared: dict[str, Experiment]
) -> Iterator[tuple[str, str]]:
    found = declared.get(block.id)
    if found is None:
        allowed = ", ".join(name for name, each in declared.items() if each.rule == rule_id)
        way = f"allowed: {allowed}" if allowed else f"write experiments/{block.id}.yml first"
        yield "id", f"{block.id} is not declared; {way}"
        return
    file = f"experiments/{block.id}.yml"
    if found.rule != rule_id:
        yield "id", f"{file} is of {found.rule or found.surface}"
    if found.salt != block.salt:
        yield "salt", f"is {block.salt}; {file} says {found.salt}"
    here = {variant.name: float(variant.percent) for variant in block.variants}
    there = {variant.name: variant.percent for variant in found.variants}
    if here != there:
        yield "variants", f"are {_arms(here)}; {file} says {_arms(there)}"
    controls = [variant.name for variant in block.variants if variant.is_control]
    if controls and controls != [found.control]:
        yield "variants", f"control is {', '.join(controls)}; {file} says {found.control}"


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
