"""A model is written down before it is trained; a mistake in it is named by file, line and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from scoring.declaration import kind_of
from scoring.declared import LOCK_FILE, MODELS_DIR, SCHEMA_FILE, artifacts, load_models
from scoring.events import EVENTS
from segments.source import load_rules
from segue.declarations import DeclarationsError
from segue.made_files import stale
from segue.shipped import DBT_PROJECT_DIR

LISTENERS = """\
name: listeners
version: 1
owner: growth
description: Who subscribes.
kind: propensity
target: {event: subscribed, within_days: 14}
population: {feature: is_paid, equals: false}
features: [streams_28d, market, price_raise_date, is_in_trial]
monotone: {streams_28d: increasing}
minimum: {rows: 1000, events: 100, auc: 0.6}
training: {days: 60, holdout_days: 14}
shadow_days: 7
max_age_days: 14
"""
EVERYBODY = "population: {feature: is_paid, equals: false}\n"
TRIED = """\
population:
  all:
    - {feature: has_ever_paid, equals: false}
    - all:
        - {feature: streams_28d, at_least: 200}
        - any: [{feature: skips_blocked_28d, at_least: 20}, {feature: ad_ms_28d, at_least: 600000}]
"""
HELPED = (
    LISTENERS.replace("listeners", "helped")
    .replace("propensity", "uplift")
    .replace("auc: 0.6", "qini: 0")
    .replace(EVERYBODY, TRIED)
    + "treatment: {experiment: trial-length-2026, control: control, treated: [thirty_days]}\n"
)


def problems(folder: Path, text: str, name: str = "listeners") -> list[str]:
    (folder / f"{name}.yml").write_text(text)
    with pytest.raises(DeclarationsError) as error:
        load_models(folder)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_a_model_is_read_with_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "listeners.yml").write_text(LISTENERS)

    model = load_models(tmp_path)["listeners"]

    assert model.event_description == "begins to pay, for the first time or again within 14 days"
    assert (model.training.every, model.training.negatives, model.algorithm.num_leaves) == (7, 1, 15)
    assert [kind_of(each) for each in model.features] == ["number", "category", "number", "number"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "market,",
            "converted_at,",
            "listeners.yml:8: features[1]: converted_at is none of the columns of fct_account_features that "
            "are known at the end of their day",
        ),
        ("market,", "markets,", "known at the end of their day; did you mean market?"),
        ("event: subscribed", "event: bought", "target.event: input should be 'trial_started', "),
        ("auc: 0.6", "qini: 0.1", "minimum: of kind propensity is asked auc"),
        ("auc: 0.6", "auc: 0.6, qini: 0.1", "minimum: of kind propensity is asked auc alone"),
        ("monotone: {streams_28d", "monotone: {tenure_days", "monotone: tenure_days is no feature of"),
        ("monotone: {streams_28d", "monotone: {market", "monotone: market is a text, which has no direction"),
        ("[streams_28d, market", "[market, market", "features: a column is named twice"),
        ("holdout_days: 14", "holdout_days: 5", "training: every is above holdout_days"),
        ("name: listeners", f"name: {'a' * 57}", "name: string should have at most 56 characters"),
        ("name: listeners", "name: listeners__shadow", "name: string should match pattern"),
        ("{feature: is_paid, equals: false}", "{feature: is_paid, equals: no thanks}", "population.equals: "),
    ],
)  # fmt: skip
def test_what_a_model_cannot_be_is_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert message in "\n".join(problems(tmp_path, LISTENERS.replace(before, after)))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "trial-length-2026",
            "holdout-us",
            "treatment.experiment: holdout-us is of no rule; allowed: holdout-",
        ),
        ("control: control", "control: thirty_days", "treatment: control and treated share an arm"),
        (
            "control: control, treated: [thirty_days]",
            "control: thirty_days, treated: [control]",
            "treatment.control: thirty_days is no arm that is shown nothing; allowed: control",
        ),
        (
            "treated: [thirty_days]",
            "treated: [sixty_days]",
            "treatment.treated[0]: sixty_days is no arm with the offer; allowed: thirty_days",
        ),
        ("kind: uplift", "kind: propensity", "an uplift has a treatment, and nothing else has one"),
    ],
)
def test_an_uplift_is_learned_from_a_trial_that_a_rule_has(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert message in "\n".join(problems(tmp_path, HELPED.replace(before, after), "helped"))


TRIAL = "experiment: trial-length-2026, control: control, treated: [thirty_days]"


@pytest.mark.parametrize(
    ("other", "population"),
    [
        ("experiment: holdout-trial_for_engaged_free, control: held_out, treated: [served]", TRIED),
        ("experiment: paywall-free-month, control: control, treated: [treatment]", EVERYBODY),
    ],
)
def test_an_uplift_may_be_learned_from_a_holdout_or_a_surfaces_experiment(
    tmp_path: Path, other: str, population: str
) -> None:
    (tmp_path / "helped.yml").write_text(HELPED.replace(TRIAL, other).replace(TRIED, population))

    assert load_models(tmp_path)["helped"].treatment is not None


def test_who_is_scored_by_an_uplift_is_of_those_that_the_trial_is_made_with(tmp_path: Path) -> None:
    wider = HELPED.replace("    - {feature: has_ever_paid, equals: false}\n", "")

    assert problems(tmp_path, wider, "helped") == [
        "helped.yml:7: population: has accounts that trial-length-2026 is not made with; to be added to all "
        "of it from the audience of the rule trial_for_engaged_free: not has_ever_paid"
    ]


def test_scores_do_not_get_older_than_rules_use_them(tmp_path: Path) -> None:
    used_by_a_rule = LISTENERS.replace("name: listeners", "name: churn_risk").replace(
        "max_age_days: 14", "max_age_days: 3"
    )

    assert problems(tmp_path, used_by_a_rule, "churn_risk") == [
        "churn_risk.yml:13: max_age_days: is 3, but the rule cancel_save uses scores of 7 days",
        "churn_risk.yml:13: max_age_days: is 3, but the rule price_change_save uses scores of 7 days",
    ]


def test_every_mistake_is_told(tmp_path: Path) -> None:
    (tmp_path / "first.yml").write_text(LISTENERS)

    assert problems(tmp_path, LISTENERS.replace("kind: propensity", "kind: forest")) == [
        "first.yml:1: name: is listeners; allowed: the file's name, first",
        "listeners.yml:5: kind: input should be 'propensity' or 'uplift'; found 'forest'",
    ]


def test_a_merged_version_does_not_change(tmp_path: Path) -> None:
    (tmp_path / "listeners.yml").write_text(LISTENERS)
    lock = tmp_path / "versions.lock"
    lock.write_text(artifacts(load_models(tmp_path), lock)[LOCK_FILE])
    (tmp_path / "listeners.yml").write_text(LISTENERS.replace("owner: growth", "owner: retention"))
    assert artifacts(load_models(tmp_path), lock)[LOCK_FILE] == lock.read_text()

    (tmp_path / "listeners.yml").write_text(LISTENERS.replace("auc: 0.6", "auc: 0.7"))

    with pytest.raises(DeclarationsError, match="version: version 1 was changed; allowed: 2"):
        artifacts(load_models(tmp_path), lock)


def test_the_codes_own_models_are_whole_and_their_files_current() -> None:
    models = load_models()

    assert list(models) == ["churn_risk", "trial_offer_uplift", "trial_propensity"]
    assert [each.kind for each in models.values()] == ["propensity", "uplift", "propensity"]
    assert stale(artifacts(models)) == []
    asked = {rule.score.model.name for rule in load_rules().rules if rule.score.model}
    assert {"churn_risk", "trial_propensity"} <= asked
    schema = json.loads(SCHEMA_FILE.read_text())
    Draft202012Validator.check_schema(schema)
    for name in models:
        text = (MODELS_DIR / f"{name}.yml").read_text()
        assert text.startswith("# yaml-language-server: $schema=../model.schema.json\n")
        Draft202012Validator(schema).validate(yaml.safe_load(text))


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_told_by_a_published_mart(name: str) -> None:
    event = EVENTS[name]
    properties = next(DBT_PROJECT_DIR.glob(f"models/marts/**/{event.mart}.yml"))
    (mart,) = (
        each for each in yaml.safe_load(properties.read_text())["models"] if each["name"] == event.mart
    )

    columns = {each["name"] for each in mart["columns"]}
    assert {event.partition, event.account} <= columns
    assert any(column in event.day for column in columns)
    assert event.condition == "true" or any(column in event.condition for column in columns)
