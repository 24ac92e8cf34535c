"""A rule tries what was declared, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.registry import Registry, load
from runs.rule_experiments import check_rules
from segments.source import RULES_DIR, RuleBook, RuleFilesError, load_rules
from segue.declarations import line_of

RULE = "trial_for_engaged_free"
EXPERIMENT = "trial-length-2026"


def line(field: str) -> int:
    """Where the rule's experiment block says it."""
    return line_of(RULES_DIR / f"{RULE}.yml", ("experiment", field))


def declared(**changes: Any) -> Registry:
    """The project's registry with one experiment changed."""
    registry = load()
    experiment = registry.experiments[EXPERIMENT].model_copy(update=changes)
    return Registry(registry.experiments | {EXPERIMENT: experiment}, registry.metrics)


def problems(book: RuleBook, registry: Registry) -> list[str]:
    with pytest.raises(RuleFilesError) as error:
        check_rules(book, registry)
    return str(error.value).splitlines()


def test_the_rules_of_the_project_try_what_was_declared() -> None:
    check_rules(load_rules(), load())


def test_an_experiment_that_nobody_declared_is_a_mistake_of_the_rule() -> None:
    registry = load()
    others = {name: each for name, each in registry.experiments.items() if name != EXPERIMENT}

    assert problems(load_rules(), Registry(others, registry.metrics)) == [
        f"{RULE}.yml:{line('id')}: experiment.id: {EXPERIMENT} is not declared in experiments/; "
        "allowed: none of this rule is"
    ]


def test_salt_variants_and_control_are_the_same_in_both() -> None:
    book, file = load_rules(), f"experiments/{EXPERIMENT}.yml"
    variants = load().experiments[EXPERIMENT].variants
    more = [
        variants[0].model_copy(update={"percent": 20.0}),
        variants[1].model_copy(update={"percent": 80.0}),
    ]

    assert problems(book, declared(salt="other")) == [
        f"{RULE}.yml:{line('salt')}: experiment.salt: is {EXPERIMENT}; {file} says other"
    ]
    assert problems(book, declared(variants=more)) == [
        f"{RULE}.yml:{line('variants')}: experiment.variants: are control 10%, thirty_days 90%; "
        f"{file} says control 20%, thirty_days 80%"
    ]
    assert problems(book, declared(control="thirty_days")) == [
        f"{RULE}.yml:{line('variants')}: experiment.variants: control is control; {file} says thirty_days"
    ]
    assert problems(book, declared(rule="winback_recent")) == [
        f"{RULE}.yml:{line('id')}: experiment.id: {file} is of winback_recent"
    ]
