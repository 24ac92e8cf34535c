"""All declared models, and the files that are made from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from scoring.compiler import MACROS_FILE, compile_macros
from scoring.declaration import ModelDeclaration, Treatment
from segments.rule import Rule
from segments.source import RuleBook, load_rules
from segments.sql import predicate
from segue.declarations import DeclarationsError, Problem, parse, problems_at, shown_path
from segue.version_lock import Versioned, lock_text, locked, merged_lock, read_lock
from segue.yaml_document import Location

MODELS_DIR: Final = Path(__file__).parent / "models"
SCHEMA_FILE: Final = Path(__file__).parent / "model.schema.json"
LOCK_FILE: Final = Path(__file__).parent / "versions.lock"
_HEADING: Final = "written by `segue models compile`, to which a merge only ever adds"

HOLDOUT_PREFIX: Final = "holdout-"
HOLDOUT_CONTROL: Final = "held_out"
HOLDOUT_TREATED: Final = "served"


def load_models(folder: Path = MODELS_DIR, book: RuleBook | None = None) -> dict[str, ModelDeclaration]:
    """Every ``*.yml`` of the folder, by the model's name; held against ``book``, by default the code's rules.

    Raises:
        DeclarationsError: all mistakes of all files.
        RuleFilesError: the rules themselves have some.
    """
    rules = load_rules() if book is None else book
    problems: list[Problem] = []
    models: dict[str, ModelDeclaration] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            model = parse(path, ModelDeclaration)
        except DeclarationsError as error:
            problems += error.problems
            continue
        problems += problems_at(path, _mistakes(model, path.stem, rules))
        models[model.name] = model
    if problems:
        raise DeclarationsError(problems)
    return models


def artifacts(models: dict[str, ModelDeclaration], merged_file: Path | None = None) -> dict[Path, str]:
    """The dbt macros, the schema for editors and the lock of versions, as they belong to ``models``.

    ``merged_file``: the lock of what is merged; by default git is asked for it.

    Raises:
        DeclarationsError: a merged version was changed.
    """
    merged = merged_lock(LOCK_FILE) if merged_file is None else read_lock(merged_file)
    items = [
        Versioned(shown_path(MODELS_DIR / f"{name}.yml"), name, each.version, each)
        for name, each in models.items()
    ]
    schema = ModelDeclaration.model_json_schema(by_alias=True) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Model of accounts",
    }
    return {
        MACROS_FILE: compile_macros(models),
        SCHEMA_FILE: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        LOCK_FILE: lock_text(_HEADING, locked(items, merged)),
    }


def rules_of(model: ModelDeclaration, rules: Iterable[Rule]) -> list[Rule]:
    """The rules that use the model's scores, or whose offer is the treatment that an uplift is of."""
    tried = None if model.treatment is None else model.treatment.experiment
    return [
        rule
        for rule in rules
        if (rule.score.model is not None and rule.score.model.name == model.name)
        or tried in dict(_trials_of(rule))
    ]


def _mistakes(model: ModelDeclaration, stem: str, book: RuleBook) -> Iterator[tuple[Location, str]]:
    if model.name != stem:
        yield ("name",), f"is {model.name}; allowed: the file's name, {stem}"
    for rule in rules_of(model, book.rules):
        used = rule.score.model
        if used is not None and used.name == model.name and used.max_age_days > model.max_age_days:
            yield (
                ("max_age_days",),
                f"is {model.max_age_days}, but the rule {rule.id} uses scores of {used.max_age_days} days",
            )
    if model.treatment is not None:
        yield from _mistakes_of_treatment(model.treatment, book)
        yield from _others_than_tried(model, book)


def _others_than_tried(model: ModelDeclaration, book: RuleBook) -> Iterator[tuple[Location, str]]:
    """Who is scored has to be of those that the trial is made with: of others nothing was learned."""
    tried = None if model.treatment is None else model.treatment.experiment
    for rule in book.rules:
        if tried not in dict(_trials_of(rule)):
            continue
        asked = model.population.conditions
        absent = [predicate(each) for each in rule.audience.conditions if each not in asked]
        if absent:
            yield (
                ("population",),
                f"has accounts that {tried} is not made with; to be added to all of it from the audience of "
                f"the rule {rule.id}: {' and '.join(absent)}",
            )


def _mistakes_of_treatment(treatment: Treatment, book: RuleBook) -> Iterator[tuple[Location, str]]:
    arms = _trials(book).get(treatment.experiment)
    if arms is None and not treatment.experiment.startswith(HOLDOUT_PREFIX):
        # An experiment that no rule makes: there are units of its arms, or nothing to learn from.
        return
    if arms is None:
        allowed = ", ".join(sorted(each for each in _trials(book) if each.startswith(HOLDOUT_PREFIX)))
        yield ("treatment", "experiment"), f"{treatment.experiment} is of no rule; allowed: {allowed}"
        return
    if not arms.get(treatment.control, False):
        allowed = ", ".join(name for name, is_control in arms.items() if is_control) or "none is"
        yield (
            ("treatment", "control"),
            f"{treatment.control} is no arm that is shown nothing; allowed: {allowed}",
        )
    for place, arm in enumerate(treatment.treated):
        if arms.get(arm, True):
            allowed = ", ".join(name for name, is_control in arms.items() if not is_control)
            yield ("treatment", "treated", place), f"{arm} is no arm with the offer; allowed: {allowed}"


def _trials(book: RuleBook) -> dict[str, dict[str, bool]]:
    """The randomised trials of the rules by id, each arm with whether it is control."""
    return {name: arms for rule in book.rules for name, arms in _trials_of(rule)}


def _trials_of(rule: Rule) -> Iterator[tuple[str, dict[str, bool]]]:
    if rule.experiment is not None:
        yield rule.experiment.id, {each.name: each.is_control for each in rule.experiment.variants}
    if rule.holdout.local_buckets:
        yield f"{HOLDOUT_PREFIX}{rule.id}", {HOLDOUT_CONTROL: True, HOLDOUT_TREATED: False}
