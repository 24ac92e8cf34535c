"""What an OpenLineage receiver is told of a run: columns from files over raw and audit to the marts."""

from __future__ import annotations

from datetime import date
from typing import Any

from loaders.warehouse.dbt_models import dbt_models
from runs import lineage
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


def test_a_load_makes_the_row_key_and_the_fields_of_a_cell_of_the_published_segments(
    company_in_order: CompanyInOrder,
) -> None:
    with receiver() as told:
        settings = company_in_order.settings.model_copy(update={"openlineage_url": told.url})
        lineage.tell(settings, date(2026, 3, 2), lambda: lineage.of_load(settings))

    event, segments = told.of_job("load"), f"{settings.project_id}.marts.offer_segments"
    assert [each["name"] for each in event["inputs"]] == [segments]
    made = output(event)
    assert (made["namespace"], made["name"]) == (f"bigtable://{settings.project_id}/segue", "offers")
    fields = [field["name"] for field in made["facets"]["schema"]["fields"]]
    assert {each: origins(event, each) for each in fields if each != "o:p.generation_ms"} == {
        "row_key": [f"{segments}.account_id"],
        "o:p.account_id": [f"{segments}.account_id"],
        "o:p.offers": [f"{segments}.offers"],
        "o:p.valid_until_ms": [f"{segments}.valid_until_at"],
        "o:p.suppressed_reason": [f"{segments}.suppressed_reason"],
        "o:p.market": [f"{segments}.market"],
        "o:p.held_back": [f"{segments}.held_back"],
        "o:p.segment_date": [f"{segments}.segment_date"],
    }
    # The load's own number comes from nowhere.
    assert "o:p.generation_ms" not in made["facets"]["columnLineage"]["fields"]
    assert event["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-03-02T00:00:00Z"


def test_a_raw_table_has_the_columns_of_its_files_and_where_each_row_came_from(
    company_in_order: CompanyInOrder,
) -> None:
    landed = company_in_order.lineage.of_job("land.payments")
    columns = {field["name"] for field in output(landed)["facets"]["schema"]["fields"]}
    from_files = set(output(landed)["facets"]["columnLineage"]["fields"])

    assert columns - from_files == {"arrival_date", "landing_file", "landing_row"}
    assert {"payment_id", "amount", "ingested_at"} <= from_files


def test_a_receiver_that_is_gone_stops_nothing(company_in_order: CompanyInOrder) -> None:
    with receiver() as told:
        settings = company_in_order.settings.model_copy(update={"openlineage_url": told.url})
    lineage.tell(settings, date(2026, 3, 2), lambda: lineage.of_load(settings))
    assert told.events == []
