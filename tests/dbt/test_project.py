"""What the other rooms read from the parsed project, without a warehouse."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loaders.warehouse.build import dbt_vars, parse
from segue.settings import Settings


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest, parsed for the cloud without credentials."""
    settings = Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("parse"))
    written = parse(settings)
    assert written == settings.dbt_target_dir / "manifest.json"
    return json.loads(Path(written).read_text())


def models(manifest: dict[str, Any]) -> dict[str, Any]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def test_published_marts_say_how_far_they_restate(manifest: dict[str, Any]) -> None:
    published = {
        name: node["config"]["meta"]["restates_days"]
        for name, node in models(manifest).items()
        if node["config"]["meta"].get("published")
    }
    assert published == {
        "fct_subscription_daily": 0,
        "fct_subscriber_daily": 0,
        "agg_subscribers_daily": 0,
        "fct_offer_journey": 45,
        "agg_conversions_daily": 45,
        "offer_segments": 0,
    }


def test_published_marts_are_partitioned_documented_and_under_contract(manifest: dict[str, Any]) -> None:
    for name, node in models(manifest).items():
        assert node["description"], name
        if not node["config"]["meta"].get("published"):
            continue
        assert node["config"]["contract"]["enforced"], name
        assert node["config"]["partition_by"]["field"] in node["columns"], name
        undocumented = [column for column, spec in node["columns"].items() if not spec["description"]]
        assert undocumented == [], name


def test_every_scan_of_raw_is_bounded_by_constant_arrival_days(manifest: dict[str, Any]) -> None:
    readers = [
        node
        for node in models(manifest).values()
        if any(parent.startswith("source.") for parent in node["depends_on"]["nodes"])
    ]
    assert len(readers) == 15
    for node in readers:
        assert "{{ arrived(" in node["raw_code"], node["name"]


def test_the_variables_of_a_run_name_its_days_and_its_dataset() -> None:
    settings = Settings(_env_file=None)
    assert dbt_vars(settings, date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 10)) == {
        "start_date": "2026-03-01",
        "end_date": "2026-03-05",
        "as_of_date": "2026-03-10",
        "history_start_date": "2020-01-01",
        "audit_dataset": "audit_20260305",
        "raw_dataset": "raw",
    }
