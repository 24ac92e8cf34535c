"""The catalogue of marts: from the dbt project and the operational tables to HTML."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.dbt_models import DbtExposure, DbtModel, DbtProject, DbtSource, dbt_project
from loaders.warehouse.ops import append_rows
from runs.published import WHOLE
from segue.settings import Settings
from segue.window import DAY
from tests.ui.browser import Browser, browser_of
from ui.catalogue import Checks, entries
from ui.lineage import lineage
from ui.reading import Reading
from ui.visitor import Visitor

LAST = date(2026, 3, 20)
AT = datetime(2026, 3, 21, 6, tzinfo=UTC)
MART = "agg_subscribers_daily"
WHOLE_MART = "dim_plan"


def model(name: str, layer: str, *reads: str) -> DbtModel:
    return DbtModel(name, "", "", (), (), {}, frozenset(reads), layer=layer)


def exposure(name: str, *reads: str) -> DbtExposure:
    return DbtExposure(name, name, "application", "", "", frozenset(reads))


PROJECT = DbtProject(
    {
        each.name: each
        for each in (
            model("stg_accounts", "staging", "accounts"),
            model("stg_rates", "staging", "fx_rates"),
            model("int_days", "intermediate", "stg_accounts"),
            model("fct_features", "marts", "int_days"),
            model("offer_segments", "marts", "fct_features"),
            model("agg_revenue", "marts", "stg_rates"),
        )
    },
    {name: DbtSource(name, "") for name in ("accounts", "fx_rates")},
    {each.name: each for each in (exposure("bigtable", "offer_segments"), exposure("report", "agg_revenue"))},
)


def test_lineage_leads_from_the_feeds_to_whoever_reads_what_is_made_of_a_mart() -> None:
    found = lineage(PROJECT, "fct_features")

    assert (found.feeds, found.staging, found.intermediate) == (
        ("accounts",),
        ("stg_accounts",),
        ("int_days",),
    )
    assert (found.marts_before, found.marts_after) == ((), ("offer_segments",))
    assert [reader.name for reader in found.readers] == ["bigtable"]


def test_the_segments_come_from_landed_accounts_and_go_to_bigtable_and_the_service(
    parsed_project: Path,
) -> None:
    found = lineage(dbt_project(parsed_project), "offer_segments")

    assert "accounts" in found.feeds
    assert "fct_account_features" in found.marts_before
    assert {"bigtable_load", "offer_lookup"} <= {reader.name for reader in found.readers}


def test_the_whole_project_has_owners_and_layers(parsed_project: Path) -> None:
    project = dbt_project(parsed_project)

    assert {model.layer for model in project.models.values()} == {"staging", "intermediate", "marts"}
    assert not [model.name for model in project.models.values() if model.is_published and not model.owner]


def published(day: date, rows: int, hour: int = 6) -> dict[str, Any]:
    return {
        "run_date": day, "publication_id": f"{day} {hour}", "mart": MART, "partition_date": day,
        "row_count": rows, "is_final": False, "published_at": AT.replace(hour=hour),
        "attempt": f"audit_{day}",
    }  # fmt: skip


def published_whole(as_of: date, rows: int, hour: int = 6, run_date: date | None = None) -> dict[str, Any]:
    row = published(as_of, rows, hour) | {"mart": WHOLE_MART, "partition_date": WHOLE, "as_of_date": as_of}
    return row | {"run_date": run_date or as_of}


def checked(validation: str, hour: int, severity: str, success: bool, mart: str = MART) -> dict[str, Any]:
    return {
        "run_date": LAST, "validation_id": validation, "model": mart, "severity": severity,
        "success": success, "validated_at": AT.replace(hour=hour),
    }  # fmt: skip


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    made = dbt_world("catalogue")
    warehouse = warehouse_of(made)
    append_rows(
        warehouse,
        "publications",
        [
            published(LAST, 8),
            published(LAST, 9, hour=7),
            published(LAST - DAY, 7),
            published(LAST - 30 * DAY, 1),
            published_whole(LAST - DAY, 40),
            published_whole(LAST, 41),
            # An older day was built again, from all that is known by now.
            published_whole(LAST, 42, hour=9, run_date=LAST - 2 * DAY),
        ],
    )
    append_rows(
        warehouse,
        "validation_results",
        [
            checked("first", 5, "critical", False),
            checked("second", 6, "critical", True),
            checked("second", 6, "warning", False),
            checked("of something else", 9, "critical", False, mart="dim_plan"),
        ],
    )
    warehouse.ensure_dataset(made.marts_dataset)
    warehouse.ensure_dataset(made.raw_dataset)
    warehouse.run(
        f"create table {made.marts_dataset}.{MART} as select date '2026-03-20' as snapshot_date, 5 as starts"
    )
    warehouse.run(f"create table {made.raw_dataset}.fx_rates as select 'EUR' as currency")
    return made


@pytest.fixture
def browser(settings: Settings) -> Browser:
    return browser_of(settings)


def test_a_mart_has_its_last_days_and_the_newest_verdict_on_each(settings: Settings) -> None:
    project = dbt_project(settings.dbt_manifest)
    [entry] = entries(Reading(warehouse_of(settings)), project, MART)

    assert [(each.day, each.row_count) for each in entry.days] == [(LAST, 9), (LAST - DAY, 7)]
    assert entry.checks == [Checks(LAST, checks=2, critical=0, warnings=1)]


def test_a_mart_that_is_published_whole_is_as_fresh_as_what_it_was_last_built_from(
    settings: Settings, browser: Browser
) -> None:
    project = dbt_project(settings.dbt_manifest)
    [entry] = entries(Reading(warehouse_of(settings)), project, WHOLE_MART)

    assert entry.is_whole
    assert [(each.day, each.row_count) for each in entry.days] == [(LAST, 42), (LAST - DAY, 40)]
    assert entry.newest
    assert entry.newest.published_at == AT.replace(hour=9)
    page = browser(Visitor("somebody")).get(f"/catalogue/{WHOLE_MART}").text
    assert "known as of</dt><dd>2026-03-20, published 2026-03-21 09:00" in page
    row = next(
        line for line in browser(Visitor("somebody")).get("/catalogue").text.splitlines() if "42</td>" in line
    )
    assert ">2026-03-20</a> <span" in row


def test_every_published_mart_is_listed_with_what_it_is_and_whose(
    browser: Browser, parsed_project: Path
) -> None:
    page = browser(Visitor("somebody")).get("/catalogue").text
    project = dbt_project(parsed_project)
    marts = [each for each in project.models.values() if each.is_published and each.layer == "marts"]

    assert len(marts) > 25
    assert [mart.name for mart in marts if f"/catalogue/{mart.name}" not in page] == []
    assert "Subscriptions analytics" in page


def test_a_marts_page_has_columns_lineage_and_who_reads_it(browser: Browser) -> None:
    page = browser(Visitor("somebody")).get(f"/catalogue/{MART}").text

    for words in ("opening_subscriptions", "Subscriptions analytics", "int_subscription_days", "2026-03-20"):
        assert words in page


def test_a_mart_that_there_is_not_is_not_found(browser: Browser) -> None:
    assert browser(Visitor("somebody")).get("/catalogue/secrets").status_code == 404


def test_dbts_documentation_has_the_tables_as_they_are(browser: Browser) -> None:
    client = browser(Visitor("somebody"))
    catalogue = client.get("/dbt/catalog.json").json()

    mart = catalogue["nodes"][f"model.segue.{MART}"]
    assert [(each["name"], each["type"]) for each in mart["columns"].values()] == [
        ("snapshot_date", "DATE"),
        ("starts", "INTEGER"),
    ]
    assert [key for key in catalogue["sources"] if key.endswith("fx_rates")] != []
    assert "dbt Docs" in client.get("/dbt/index.html").text
    assert json.loads(client.get("/dbt/manifest.json").text)["nodes"]


def test_dbts_page_loads_nothing_of_the_internet(browser: Browser) -> None:
    policy = browser(Visitor("somebody")).get("/dbt/index.html").headers["content-security-policy"]

    assert "http" not in policy


def test_experiments_lead_to_their_readouts_and_models_to_what_was_decided(browser: Browser) -> None:
    client = browser(Visitor("somebody"))

    assert "/experiments/holdout-global" in client.get("/experiments").text
    readout = client.get("/experiments/holdout-global")
    assert (readout.status_code, "no sums" in readout.text or "published" in readout.text) == (200, True)
    assert "No model has been trained yet." in client.get("/models").text


def test_without_a_parsed_project_a_sentence_says_so(world: Callable[..., Settings]) -> None:
    answer = browser_of(world("unparsed"))(Visitor("somebody")).get("/catalogue")

    assert (answer.status_code, "segue parse" in answer.text) == (503, True)
