"""What an OpenLineage receiver is told of a run: columns from files over raw and audit to the marts."""

from __future__ import annotations

from datetime import date
from typing import Any

from loaders.warehouse.dbt_models import dbt_models
from runs import lineage
from segue.settings import Settings
from tests.company_in_order import CompanyInOrder
from tests.openlineage_receiver import receiver


def output(event: dict[str, Any]) -> dict[str, Any]:
    [made] = event["outputs"]
    return made


def origins(event: dict[str, Any], column: str) -> list[str]:
    fields = output(event)["facets"]["columnLineage"]["fields"]
    return [f"{each['name']}.{each['field']}" for each in fields[column]["inputFields"]]


def test_a_column_is_followed_from_the_mart_over_audit_and_raw_to_the_files(
    company_in_order: CompanyInOrder,
) -> None:
    told, project = company_in_order.lineage, company_in_order.settings.project_id

    published = told.of_job("publish.dim_account")
    assert output(published)["name"] == f"{project}.marts.dim_account"
    assert origins(published, "market") == [f"{project}.audit.dim_account.market"]
    built = told.of_job("build.dim_account")
    assert origins(built, "market") == [f"{project}.audit.int_account_versions.market"]
    staged = told.of_job("build.stg_identity__accounts")
    assert origins(staged, "market") == [f"{project}.raw.accounts.market"]
    landed = told.of_job("land.accounts")
    [files] = landed["inputs"]
    assert output(landed)["name"] == f"{project}.raw.accounts"
    assert origins(landed, "market") == [f"{files['name']}.market"]
    assert files["namespace"].startswith("gs://")


def test_every_model_that_was_built_is_told_with_what_its_columns_come_from(
    company_in_order: CompanyInOrder,
) -> None:
    told = company_in_order.lineage
    models = dbt_models(company_in_order.settings.dbt_manifest)
    built = {
        each["job"]["name"].removeprefix("build."): each
        for each in told.events
        if "build." in each["job"]["name"]
    }

    # Training builds those, and no run.
    assert set(built) == set(models) - {"int_training_examples"}
    without = {name for name, each in built.items() if not output(each)["facets"]["columnLineage"]["fields"]}
    # A calendar comes from nowhere.
    assert without == {"dim_date"}
    contracts = {name: {column["name"] for column in models[name].columns} for name in built}
    for name, each in built.items():
        columns = {field["name"] for field in output(each)["facets"]["schema"]["fields"]}
        assert not contracts[name] or columns == contracts[name], name


def test_all_of_a_run_has_its_step_for_a_parent_and_its_day(company_in_order: CompanyInOrder) -> None:
    steps = {each["run"]["facets"]["parent"]["job"]["name"] for each in company_in_order.lineage.events}
    assert steps == {"run.land", "run.build", "run.publish"}
    for each in company_in_order.lineage.events:
        assert each["eventType"] == "COMPLETE"
        assert each["run"]["runId"] != each["run"]["facets"]["parent"]["run"]["runId"]


def test_a_load_makes_the_bigtable_table_of_the_published_segments() -> None:
    with receiver() as told:
        settings = Settings(_env_file=None, openlineage_url=told.url, project_id="p")
        lineage.tell(settings, date(2026, 3, 2), lambda: lineage.of_load(settings))

    event = told.of_job("load")
    assert [each["name"] for each in event["inputs"]] == ["p.marts.offer_segments"]
    made = output(event)
    assert (made["namespace"], made["name"]) == ("bigtable://p/segue", "offers")
    assert event["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-03-02T00:00:00Z"


def test_a_receiver_that_is_gone_stops_nothing() -> None:
    with receiver() as told:
        settings = Settings(_env_file=None, openlineage_url=told.url)
    lineage.tell(settings, date(2026, 3, 2), lambda: lineage.of_load(settings))
    assert told.events == []
