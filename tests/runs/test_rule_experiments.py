"""A rule tries what was declared, and nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any

from experiments.registry import Registry, load
from runs.rule_lint import lint
from segments.source import RULES_DIR
from segue.declarations import problems_at

RULE = "trial_for_engaged_free"
EXPERIMENT = "trial-length-2026"
RUNNING = date(2026, 11, 1)


def here(field: str) -> str:
    """The rule's experiment block, where it says ``field``."""
    location = ("experiment", field)
    [problem] = problems_at(RULES_DIR / f"{RULE}.yml", [(location, "")])
    return str(problem).rstrip()


def declared(**changes: Any) -> Registry:
    """The project's registry with one experiment changed."""
    registry = load()
    experiment = registry.experiments[EXPERIMENT].model_copy(update=changes)
    return Registry(registry.experiments | {EXPERIMENT: experiment}, registry.metrics)


def remarks(registry: Registry, today: date = RUNNING) -> list[str]:
    return [str(remark) for remark in lint(registry, today).remarks]


def test_the_rules_of_the_project_try_what_was_declared() -> None:
    assert remarks(load()) == []


def test_an_experiment_that_nobody_declared_is_a_mistake_of_the_rule() -> None:
    registry = load()
    others = {name: each for name, each in registry.experiments.items() if name != EXPERIMENT}

    assert remarks(Registry(others, registry.metrics)) == [
        f"error: {here('id')} {EXPERIMENT} is not declared; "
        f"write experiments/{EXPERIMENT}.yml first [experiment]"
    ]


def test_salt_variants_and_control_are_the_same_in_both() -> None:
    file = f"experiments/{EXPERIMENT}.yml"
    variants = load().experiments[EXPERIMENT].variants
    more = [
        variants[0].model_copy(update={"percent": 20.0}),
        variants[1].model_copy(update={"percent": 80.0}),
    ]

    assert remarks(declared(salt="other")) == [
        f"error: {here('salt')} is {EXPERIMENT}; {file} says other [experiment]"
    ]
    assert remarks(declared(variants=more)) == [
        f"error: {here('variants')} are control 10%, thirty_days 90%; "
        f"{file} says control 20%, thirty_days 80% [experiment]"
    ]
    assert remarks(declared(control="thirty_days")) == [
        f"error: {here('variants')} control is control; {file} says thirty_days [experiment]"
    ]


def test_a_rule_does_not_try_what_is_of_another_rule() -> None:
    file = f"experiments/{EXPERIMENT}.yml"

    assert remarks(declared(rule="winback_recent")) == [
        f"warning: {file}:6: rule: winback_recent has no experiment block that names {EXPERIMENT}: "
        "nobody is in it [experiment]",
        f"error: {here('id')} {file} is of winback_recent [experiment]",
    ]
    assert remarks(declared(rule="winback_never"))[0].startswith(
        f"error: {file}:6: rule: winback_never is no rule; allowed: annual_switch, cancel_save, "
    )


def test_an_experiment_that_ended_goes_on_holding_its_control_arm_back() -> None:
    assert remarks(load(), date(2026, 12, 2))[1:] == [
        f"warning: {here('id')} {EXPERIMENT} ended on 2026-12-01, and its control arm is still shown "
        "nothing; take the block out, or declare another experiment [not-now]"
    ]
