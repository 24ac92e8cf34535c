"""An experiment is written down before it starts; a mistake in it is named by file, line and field."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined
from jsonschema import Draft202012Validator

from experiments.compiler import compile_macros
from experiments.facts import FACTS
from experiments.plan import plan
from experiments.registry import EXPERIMENTS_DIR, artifacts, load
from segue.declarations import DeclarationsError
from segue.made_files import stale
from segue.settings import PROJECT_ROOT

EXPERIMENT = """\
id: longer-trial
version: 1
owner: growth
hypothesis: Thirty days without paying bring more payers than none.
surface: home
salt: longer-trial
variants:
  - {name: control, percent: 50}
  - {name: thirty_days, percent: 50}
control: control
metrics:
  - {metric: paid, role: success, minimum_effect: 0.2, baseline: {mean: 0.1}}
  - {metric: streams, role: guardrail, margin: 0.02, baseline: {mean: 100, deviation: 50}}
looks: [10, 14, 18, 22]
start: 2026-09-01
end: 2026-09-16
accounts_per_day: 1000
"""
PAID = """\
id: paid
version: 1
owner: growth
description: Whether the account paid.
value: {mart: fct_subscriber_daily, day: snapshot_date, column: is_paid, aggregate: any}
window_days: 6
worse: lower
"""
STREAMS = PAID.replace("id: paid", "id: streams")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "longer-trial.yml").write_text(EXPERIMENT)
    (tmp_path / "metrics" / "paid.yml").write_text(PAID)
    (tmp_path / "metrics" / "streams.yml").write_text(STREAMS)
    return tmp_path


def problems(folder: Path) -> list[str]:
    with pytest.raises(DeclarationsError) as error:
        load(folder)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_an_experiment_is_read_with_its_metrics(folder: Path) -> None:
    registry = load(folder)

    experiment = registry.experiments["longer-trial"]
    design = experiment.design(registry.metrics)
    assert (design.control, design.treatments, design.looks) == (
        "control",
        ("thirty_days",),
        (10, 14, 18, 22),
    )
    assert [(metric.name, metric.role, metric.sign) for metric in design.metrics] == [
        ("paid", "success", 1), ("streams", "guardrail", 1),
    ]  # fmt: skip
    days = [date(2026, 8, 31), date(2026, 9, 1), date(2026, 9, 16), date(2026, 9, 17)]
    assert [experiment.state(day) for day in days] == ["planned", "running", "running", "ended"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("percent: 50}\ncontrol", "percent: 40}\ncontrol", ":1: the variants' percent add up to 100; found"),
        ("control: control", "control: nothing", ":1: control is no variant; allowed: control, thirty_days"),
        ("surface: home\n", "", ":1: an experiment is of a rule or of a surface"),
        ("looks: [10, 14,", "looks: [14, 10,", ":1: looks are days that rise"),
        ("looks: [10, 14,", "looks: [6, 14,",
         ":14: looks[0]: after 6 days no window of 6 days is over; allowed: 7 or later"),
        ("18, 22]", "22, 30]",
         ":14: looks[3]: after 22 days every window is over, and the look before has seen it all"),
        ("2026-09-16", "2026-10-14", ":1: the last look is before the last day of exp"),
        ("role: success, minimum_effect: 0.2", "role: success", ":12: metrics[0]: a success metric has a"),
        ("margin: 0.02", "margin: 2", ":13: metrics[1].margin: input should be less than 1"),
        ("{mean: 0.1}", "{mean: 3}", ":12: metrics[0].baseline: only a share (0 to 1) does without"),
        ("metric: paid", "metric: payed", ":12: metrics[0].metric: payed is not declared; allowed: paid,"),
        ("id: longer-trial", "id: trial", ":1: id: is trial; allowed: the file's name, longer-trial"),
        ("salt:", "slat:", ":6: slat: unknown field; did you mean salt?"),
        ("hypothesis: Th", "hypotheses: Th", ":1: hypothesis: is missing"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_what_is_allowed(
    folder: Path, before: str, after: str, expected: str
) -> None:
    assert before in EXPERIMENT
    (folder / "longer-trial.yml").write_text(EXPERIMENT.replace(before, after, 1))

    assert any(line.startswith(f"longer-trial.yml{expected}") for line in problems(folder)), problems(folder)


def test_a_mistake_in_a_metric_is_named_once_and_not_again_by_whoever_uses_it(folder: Path) -> None:
    (folder / "metrics" / "paid.yml").write_text(PAID.replace("worse: lower", "worse: less"))

    assert problems(folder) == [
        "metrics/paid.yml:7: worse: input should be 'higher' or 'lower'; found 'less'"
    ]


def test_a_version_that_was_locked_never_changes(folder: Path) -> None:
    lock = folder / "versions.lock"
    lock.write_text(artifacts(load(folder), lock)[lock])
    assert {line.split()[0] for line in lock.read_text().splitlines()[1:]} == {
        "longer-trial", "metric:paid", "metric:streams",
    }  # fmt: skip

    (folder / "longer-trial.yml").write_text(EXPERIMENT.replace("owner: growth", "owner: others"))
    assert artifacts(load(folder), lock)[lock] == lock.read_text()
    (folder / "longer-trial.yml").write_text(EXPERIMENT.replace("minimum_effect: 0.2", "minimum_effect: 0.1"))
    with pytest.raises(
        DeclarationsError, match=r"longer-trial.yml:1: version: version 1 was changed; allowed: 2"
    ):
        artifacts(load(folder), lock)


def test_a_plan_says_how_many_accounts_and_what_each_look_asks_for(folder: Path) -> None:
    """Success at 90% power, because the guardrail may miss as often: 20% of 0.1 needs 4,728 an arm."""
    registry = load(folder)

    found = plan(registry.experiments["longer-trial"], registry.metrics)

    assert found.power_per_test == pytest.approx(0.9)
    assert [look.z for look in found.looks] == pytest.approx([4.3326, 2.9631, 2.3590, 2.0141], abs=1e-3)
    # Six days after the exposure an account is known: of sixteen days' accounts those of four, eight, twelve.
    assert [look.information for look in found.looks] == [0.25, 0.5, 0.75, 1.0]
    units = {metric.metric: metric.units for metric in found.metrics}
    assert units["paid"] == pytest.approx(2 * 4_728 * 1.02, rel=0.01)
    assert units["streams"] == pytest.approx(2 * 13_134 * 1.02, rel=0.01)
    assert (found.units, found.days, found.is_long_enough) == (units["streams"], 27, False)


def test_the_projects_files_are_current_and_say_what_editors_complete() -> None:
    registry = load()

    assert stale(artifacts(registry)) == []
    for name in registry.experiments:
        head = (EXPERIMENTS_DIR / f"{name}.yml").read_text().splitlines()[0]
        assert head == "# yaml-language-server: $schema=experiment.schema.json"
        plan(registry.experiments[name], registry.metrics)
    for name in registry.metrics:
        head = (EXPERIMENTS_DIR / "metrics" / f"{name}.yml").read_text().splitlines()[0]
        assert head == "# yaml-language-server: $schema=../metric.schema.json"
    for schema in ("experiment", "metric", "holdouts"):
        Draft202012Validator.check_schema(json.loads((EXPERIMENTS_DIR / f"{schema}.schema.json").read_text()))


def test_metrics_count_columns_that_the_marts_have() -> None:
    columns = {}
    for path in (PROJECT_ROOT / "dbt" / "models" / "marts").rglob("*.yml"):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models", []):
            columns[model["name"]] = {column["name"] for column in model.get("columns", [])}

    for metric in load().metrics.values():
        for source in metric.sources:
            named = {source.day, source.at, source.column} - {None}
            assert {"account_id", *named} <= columns[source.mart], metric.id
    for mart, facts in FACTS.items():
        assert facts.flags | facts.numbers | facts.instants | {*facts.texts} <= columns[mart], mart


def test_models_are_given_what_was_declared(folder: Path) -> None:
    """The macros run as dbt runs them: ``return`` ends one, ``fromjson`` reads."""
    streams = yaml.safe_load(STREAMS)
    streams["value"] |= {"column": "plan_kind", "equals": "{% endraw %}{{ 1 }} Straße"}
    (folder / "metrics" / "streams.yml").write_text(yaml.safe_dump(streams))
    registry = load(folder)
    given: list[Any] = []
    variables: dict[str, Any] = {}
    of_dbt = {"fromjson": json.loads, "return": given.append, "var": variables.get}
    macros = compile_macros(registry.experiments, registry.metrics)
    calls = "{{ declared_experiments() }}{{ declared_metrics() }}"
    template = Environment(undefined=StrictUndefined).from_string(macros + calls, globals=of_dbt)
    template.render()
    # A run may be told of others, which then count alone.
    variables["declared_experiments"] = []
    template.render()

    [[experiment], [paid, compiled_streams], none, same_metrics] = given
    assert (none, same_metrics) == ([], [paid, compiled_streams])
    assert experiment == {
        "id": "longer-trial", "version": 1, "rule": None, "surface": "home", "salt": "longer-trial",
        "control": "control",
        "variants": [
            {"name": "control", "first_bucket": 0, "last_bucket": 4999},
            {"name": "thirty_days", "first_bucket": 5000, "last_bucket": 9999},
        ],
        "metrics": ["paid", "streams"],
        "start": "2026-09-01",
        "end": "2026-09-16",
    }  # fmt: skip
    assert (paid["id"], paid["window_days"], paid["covariate_days"]) == ("paid", 6, 28)
    assert paid["value"]["column"] == "is_paid"
    assert compiled_streams["value"]["equals"] == "{% endraw %}{{ 1 }} Straße"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{mart: dim_account, aggregate: any}", "value.mart: dim_account has no facts for metrics; all"),
        ("{mart: fct_subscriber_daily, column: is_paid, aggregate: any}", "value.day: fct_subscriber_daily"),
        (
            "{mart: fct_subscriber_daily, day: snapshot_date, column: is_paid, aggregate: count}",
            "value.aggregate: days are not counted; allowed: any, sum, last",
        ),
        (
            "{mart: fct_subscriber_daily, day: snapshot_date, column: mrr_usd_amount, aggregate: any}",
            "value.column: is mrr_usd_amount; allowed with any: billing_interval, is_in_trial, is_paid",
        ),
        (
            "{mart: fct_subscriber_daily, day: snapshot_date, column: movement, equals: new, aggregate: any}",
            "value.equals: movement is a text; allowed: equals: churn",
        ),
        # What a journey earns grows for weeks after the day that it is booked on.
        (
            "{mart: fct_offer_journey, day: journey_date, column: revenue_usd_amount, aggregate: sum}",
            "value.at: is None; allowed: converted_at, first_click_at, opened_at, paid_at, trial_started_at",
        ),
        (
            "{mart: fct_offer_journey, at: paid_at, aggregate: count}",
            "window_days: with covariate_days asks for 58 days of fct_offer_journey; allowed: 45",
        ),
    ],
)  # fmt: skip
def test_a_metric_asks_a_mart_for_what_is_settled_when_it_is_read(
    folder: Path, value: str, message: str
) -> None:
    head, tail = PAID.split("value: ")[0], "window_days: 30\nworse: lower\n"
    (folder / "metrics" / "paid.yml").write_text(f"{head}value: {value}\n{tail}")

    assert any(f": {message}" in line for line in problems(folder)), problems(folder)


def test_all_holdouts_are_judged_alike_and_are_experiments_of_what_is_held_out() -> None:
    registry = load()
    assert registry.holdouts is not None

    whole = registry.holdouts.experiment(None, 2, "program-2026")
    local = registry.holdouts.experiment("annual_switch", 1, "holdout:annual_switch")

    assert (whole.id, whole.surface, local.id, local.rule) == (
        "holdout-global", "everywhere", "holdout-annual_switch", "annual_switch",
    )  # fmt: skip
    assert local.design(registry.metrics).allocation == {"held_out": 1, "served": 99}
    assert (local.control, local.metrics) == ("held_out", whole.metrics)


def test_a_holdout_is_judged_by_metrics_that_are_declared(folder: Path) -> None:
    text = (EXPERIMENTS_DIR / "holdouts.yml").read_text()
    (folder / "holdouts.yml").write_text(text.replace("churned_60d", "paid").replace("mrr_60d", "payed"))

    assert [line for line in problems(folder) if "payed" in line] == [
        "holdouts.yml:10: metrics[2].metric: payed is not declared; allowed: paid, streams"
    ]
