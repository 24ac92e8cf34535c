"""What the other rooms read from the parsed project, without a warehouse."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runs.dbt import dbt_vars
from segue.settings import Settings
from segue.window import RunWindow


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
    assert published == {
        "int_subscription_events": ("arrivals", 0),
        "int_subscription_versions": ("arrivals", 0),
        "fct_subscription_daily": ("days", 0),
        "fct_subscriber_daily": ("days", 0),
        "fct_subscription_event": ("days", 0),
        "agg_subscribers_daily": ("days", 0),
        "agg_mrr_movements_daily": ("days", 0),
        "agg_retention_cohorts": ("days", 30),
        "agg_trial_outcomes": ("days", 90),
        "dim_account": ("whole", 0),
        "dim_date": ("whole", 0),
        "dim_plan": ("whole", 0),
        "fct_offer_journey": ("days", 45),
        "agg_conversions_daily": ("days", 45),
        "fct_account_features": ("days", 0),
        "offer_contents": ("days", 0),
        "offer_decisions": ("days", 0),
        "offer_segments": ("days", 0),
    }


def test_the_gate_looks_at_all_days_that_a_mart_restates(manifest: dict[str, Any]) -> None:
    # Great Expectations takes ten seconds, which other tests need not wait for.
    from expectations.suites import all_suites

    window = RunWindow.whole(Settings(_env_file=None), date(2026, 3, 1), date(2026, 3, 5))
    declared = {
        name: node["config"]["meta"].get("restates_days", 0) for name, node in models(manifest).items()
    }

    suites = {suite.model: suite.restates_days for suite in all_suites(window)}

    assert suites == {name: declared[name] for name in suites}
    assert len(suites) > 10


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


def test_every_scan_of_raw_is_bounded_by_constant_arrival_days(manifest: dict[str, Any]) -> None:
    readers = [
        node
        for node in models(manifest).values()
        if any(
            parent.startswith("source.") and not parent.startswith("source.segue.history.")
            for parent in node["depends_on"]["nodes"]
        )
    ]
    assert len(readers) >= 14
    for node in readers:
        assert "{{ arrived(" in node["raw_code"], node["name"]


def test_the_variables_of_a_run_name_its_days_and_its_dataset() -> None:
    settings = Settings(_env_file=None)
    assert dbt_vars(
        settings, RunWindow.whole(settings, date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 10))
    ) == {
        "start_date": "2026-03-01",
        "end_date": "2026-03-05",
        "as_of_date": "2026-03-10",
        "history_start_date": "2020-01-01",
        "audit_dataset": "audit_20260305",
        "raw_dataset": "raw",
        "history_dataset": "history",
        "events_from_date": "2020-01-01",
        "versions_from_date": "2020-01-01",
    }


def test_the_semantic_models_define_the_metrics_that_the_squad_reports(parsed_project: Path) -> None:
    """dbt parse validates them against the models; MetricFlow reads the same file."""
    semantic = json.loads((parsed_project.parent / "semantic_manifest.json").read_text())

    assert {metric["name"] for metric in semantic["metrics"]} >= {
        "active_subscribers", "mrr_usd", "net_mrr_usd", "churn_rate", "trial_conversion", "retention",
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
            names = set(re.findall(r"[a-z_]+", re.sub(r"'[^']*'", "", expression)))
            unknown = (
                names - columns[mart] - {"case", "when", "then", "else", "end", "or", "and", "not", "in"}
            )
            assert unknown == set(), (model["name"], element["name"])
