"""What the other rooms read from the parsed project, without a warehouse."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import pytest
import yaml
from annotated_types import Le

from loaders.warehouse.dbt_models import dbt_models
from local.company import CompanySpec
from local.company.trials import write_declarations
from runs.dbt import dbt_environment, dbt_vars, same_flags
from segments.rule import Days, Frequency
from segue.settings import PROJECT_ROOT, Settings
from segue.window import HistoryWindow, RunWindow


@pytest.fixture(scope="module")
def manifest(parsed_project: Path) -> dict[str, Any]:
    """The manifest, parsed for the cloud without credentials."""
    content: dict[str, Any] = json.loads(parsed_project.read_text())
    return content


def models(manifest: dict[str, Any]) -> dict[str, Any]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def test_published_marts_say_how_far_they_restate(manifest: dict[str, Any]) -> None:
    published = {
        name: (node["config"]["meta"]["published"], node["config"]["meta"].get("restates_days", 0))
        for name, node in models(manifest).items()
        if node["config"]["meta"].get("published")
    }
    known_then = {
        name for name, node in models(manifest).items() if node["config"]["meta"].get("as_known_then")
    }
    assert known_then == {
        "fct_account_features", "fct_experiment_decision", "offer_contents", "offer_decisions",
        "offer_segments",
    }  # fmt: skip
    assert published == {
        "int_subscription_events": ("arrivals", 0),
        "int_subscription_versions": ("arrivals", 0),
        "int_notified_payments": ("arrivals", 0),
        "int_offer_journey_states": ("arrivals", 0),
        "int_offer_journey_trials": ("arrivals", 0),
        "int_experiment_impressions": ("arrivals", 0),
        "fct_experiment_decision": ("days", 0),
        "fct_experiment_exposure": ("days", 90),
        "fct_subscription_daily": ("days", 0),
        "fct_subscriber_daily": ("days", 0),
        "fct_subscription_event": ("days", 0),
        "agg_subscribers_daily": ("days", 0),
        "fct_payment": ("days", 0),
        "agg_revenue_daily": ("days", 0),
        "agg_revenue_monthly": ("days", 0),
        "agg_mrr_movements_daily": ("days", 0),
        "fct_churn": ("days", 14),
        "fct_trial": ("days", 90),
        "agg_retention_cohorts": ("days", 30),
        "agg_retention_days": ("days", 0),
        "agg_trial_outcomes": ("days", 90),
        "agg_upsell_daily": ("days", 0),
        "dim_account": ("whole", 0),
        "dim_date": ("whole", 0),
        "dim_plan": ("whole", 0),
        "fct_offer_journey": ("days", 45),
        "agg_conversions_daily": ("days", 45),
        "agg_conversion_funnel": ("days", 45),
        "agg_orphan_touches_daily": ("days", 1),
        "agg_experiment_daily": ("days", 0),
        "fct_account_features": ("days", 0),
        "offer_contents": ("days", 0),
        "offer_decisions": ("days", 0),
        "offer_segments": ("days", 0),
    }


def test_a_restatement_tells_by_how_much_the_numbers_of_a_mart_changed(parsed_project: Path) -> None:
    """By how many rows alone says nothing of a click that came late."""
    uncounted = {
        name
        for name, model in dbt_models(parsed_project).items()
        if model.meta.get("published") == "days"
        and not model.as_known_then
        and not model.meta.get("measures")
    }

    # A row is an exposure.
    assert uncounted == {"fct_experiment_exposure"}


def test_what_is_published_is_judged_by_the_gate_or_tested_by_dbt(
    manifest: dict[str, Any], parsed_project: Path
) -> None:
    """Nothing is looked at twice: the gate looks at rows, dbt at what only a change of the code can break."""
    # Great Expectations takes ten seconds, which other tests need not wait for.
    from expectations.suites import all_suites

    window = RunWindow.whole(Settings(_env_file=None), date(2026, 3, 1), date(2026, 3, 5))
    judged = {suite.model for suite in all_suites(window, dbt_models(parsed_project))}
    tested = {
        manifest["nodes"][node["attached_node"]]["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }

    assert judged & tested == set()
    assert {name for name, model in dbt_models(parsed_project).items() if model.is_published} - judged == {
        "dim_date",
        "int_subscription_events",
        "int_subscription_versions",
        "int_notified_payments",
        "int_offer_journey_states",
        "int_offer_journey_trials",
        "int_experiment_impressions",
    }
    assert "dim_date" in tested


def test_the_gate_looks_at_all_days_that_a_mart_restates(parsed_project: Path) -> None:
    from expectations.suites import all_suites

    window = RunWindow.whole(Settings(_env_file=None), date(2026, 3, 1), date(2026, 3, 5))

    filters = {suite.model: suite.filter(window) for suite in all_suites(window, dbt_models(parsed_project))}

    horizon = "journey_date between date '2026-01-15' and date '2026-03-05'"
    assert filters["fct_offer_journey"] == filters["agg_conversions_daily"] == horizon
    assert filters["dim_account"] == "true"


def test_published_marts_are_partitioned_documented_and_under_contract(manifest: dict[str, Any]) -> None:
    for name, node in models(manifest).items():
        assert node["description"], name
        if not node["config"]["meta"].get("published"):
            continue
        assert node["config"]["contract"]["enforced"], name
        if node["config"]["meta"]["published"] != "whole":
            assert node["config"]["partition_by"]["field"] in node["columns"], name
        undocumented = [column for column, spec in node["columns"].items() if not spec["description"]]
        assert undocumented == [], name


def test_no_configuration_depends_on_the_run(manifest: dict[str, Any], tmp_path: Path) -> None:
    """A project that was parsed once is right for every run."""
    from dbt.cli.main import dbtRunner

    settings = Settings(_env_file=None)
    run = RunWindow.whole(settings, date(2026, 3, 7), date(2026, 3, 9), date(2026, 4, 2))
    from_dates = HistoryWindow(
        first_days={"int_subscription_events": date(2026, 3, 8)},
        raw_read_at=datetime.now(UTC),
        code_version="",
    )
    variables = dbt_vars(settings, run.model_copy(update={"history": from_dates}))

    arguments = [
        *("parse", "--quiet", "--target", settings.dbt_target, "--target-path", str(tmp_path)),
        *("--project-dir", str(settings.dbt_project_dir), "--profiles-dir", str(settings.dbt_project_dir)),
        *("--log-path", str(tmp_path), "--vars", json.dumps(variables)),
    ]
    with mock.patch.dict(os.environ, dbt_environment(settings)), same_flags():
        assert dbtRunner().invoke(arguments).success
    parsed = json.loads((tmp_path / "manifest.json").read_text())

    def said(content: dict[str, Any]) -> dict[str, Any]:
        return {
            key: {name: value for name, value in node.items() if name != "created_at"}
            for part in ("nodes", "sources", "unit_tests", "macros")
            for key, node in content[part].items()
        }

    assert said(parsed) == said(manifest)


def test_the_variables_of_a_run_name_its_days_and_its_dataset() -> None:
    settings = Settings(_env_file=None)
    window = RunWindow.whole(settings, date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 10))
    incremental = HistoryWindow(
        first_days={"int_subscription_events": date(2026, 3, 10)},
        raw_read_at=datetime.now(UTC),
        code_version="",
    )

    assert dbt_vars(settings, window.model_copy(update={"history": incremental})) == {
        "start_date": "2026-03-01",
        "known_start_date": "2026-03-01",
        "end_date": "2026-03-05",
        "as_of_date": "2026-03-10",
        "history_start_date": "2020-01-01",
        "history_from": {"int_subscription_events": "2026-03-10"},
        "goes_on_from": "",
        "published_marts": [],
    }


def test_a_run_may_have_declarations_of_its_own(tmp_path: Path) -> None:
    spec = CompanySpec(accounts=1, days=30, seed=1, end_date=date(2026, 3, 31))
    write_declarations(spec, tmp_path / "experiments")
    settings = Settings(_env_file=None, experiments_dir=tmp_path / "experiments")
    window = RunWindow.whole(settings, date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 10))

    given = dbt_vars(settings, window)

    ids = {each["id"]: each["start"] for each in given["declared_experiments"]}
    assert ids["paywall-yearly-price"] == "2026-03-05"
    assert "trial-length-2026" in ids
    assert {each["id"] for each in given["declared_metrics"]} > {"subscribed_14d"}


def test_the_semantic_models_define_the_metrics_that_the_squad_reports(parsed_project: Path) -> None:
    """dbt parse validates them against the models; MetricFlow reads the same file."""
    semantic = json.loads((parsed_project.parent / "semantic_manifest.json").read_text())

    assert {metric["name"] for metric in semantic["metrics"]} >= {
        "active_subscribers", "mrr_usd", "net_mrr_usd", "churn_rate", "trial_conversion", "retention",
        "gross_revenue_usd", "net_revenue_usd", "accrued_revenue_usd", "refund_rate", "dispute_rate",
    }  # fmt: skip
    assert [
        spine["primary_column"]["name"] for spine in semantic["project_configuration"]["time_spines"]
    ] == ["date_day"]


def test_every_column_of_a_semantic_model_is_one_of_its_mart(
    manifest: dict[str, Any], parsed_project: Path
) -> None:
    semantic = json.loads((parsed_project.parent / "semantic_manifest.json").read_text())
    columns = {name: set(node["columns"]) for name, node in models(manifest).items()}
    for model in semantic["semantic_models"]:
        mart = model["node_relation"]["alias"]
        for element in [*model["dimensions"], *model["measures"]]:
            expression = element.get("expr") or element["name"]
            names = set(re.findall(r"[a-z_][a-z0-9_]*", re.sub(r"'[^']*'", "", expression)))
            unknown = (
                names
                - columns[mart]
                - {
                    "case",
                    "when",
                    "then",
                    "else",
                    "end",
                    "or",
                    "and",
                    "not",
                    "in",
                    "is",
                    "null",
                    "like",
                    "coalesce",
                }
            )
            assert unknown == set(), (model["name"], element["name"])


def test_rules_look_back_no_further_than_the_features() -> None:
    """The rules' schema is pure and knows no dbt: its bounds are the windows of what the rules look at."""
    windows = yaml.safe_load((PROJECT_ROOT / "dbt" / "dbt_project.yml").read_text())["vars"]

    assert [bound.le for bound in get_args(Days)[1].metadata if isinstance(bound, Le)] == [
        windows["feature_days"]
    ]
    assert get_args(Frequency.model_fields["within_days"].annotation) == (
        windows["recent_feature_days"], windows["feature_days"],
    )  # fmt: skip
    assert windows["score_days"] <= windows["feature_days"]
