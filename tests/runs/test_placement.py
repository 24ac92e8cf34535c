"""One parsed project serves every run: its nodes are moved to where the run builds and reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dbt.adapters.base.impl import DEFAULT_BASE_BEHAVIOR_FLAGS

from runs.dbt import ProjectError, parse
from runs.placement import placed_manifest
from segue.settings import Settings


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    return dbt_world(
        "placement", raw_dataset="raw_eu", history_dataset="history_eu", marts_dataset="marts_eu"
    )


@pytest.fixture
def project_of_one(settings: Settings, tmp_path: Path) -> Settings:
    """Of a project whose one model is yet to be written."""
    project = tmp_path / "dbt"
    (project / "models").mkdir(parents=True)
    shutil.copy(settings.dbt_project_dir / "profiles.yml", project)
    (project / "dbt_project.yml").write_text("{name: segue, profile: segue, config-version: 2}")
    return settings.model_copy(update={"dbt_project_dir": project, "dbt_parsed_dir": tmp_path / "parsed"})


def test_models_go_to_the_audit_dataset_and_sources_are_where_the_settings_say(settings: Settings) -> None:
    manifest = placed_manifest(settings, "audit_20260305")

    relations = {
        key: node.relation_name for part in (manifest.nodes, manifest.sources) for key, node in part.items()
    }
    project = settings.project_id
    assert relations["model.segue.dim_date"] == f"`{project}`.`audit_20260305`.`dim_date`"
    assert relations["seed.segue.vat_rates"] == f"`{project}`.`audit_20260305`.`vat_rates`"
    assert relations["source.segue.billing.plans"] == f"`{project}`.`raw_eu`.`plans`"
    history = "int_subscription_events"
    assert relations[f"source.segue.history.{history}"] == f"`{project}`.`history_eu`.`{history}`"
    decided = "fct_experiment_decision"
    assert relations[f"source.segue.published.{decided}"] == f"`{project}`.`marts_eu`.`{decided}`"


def test_each_run_has_a_project_of_its_own(settings: Settings) -> None:
    first, second = (placed_manifest(settings, f"audit_2026030{day}") for day in (4, 5))

    schemas = [{node.schema for node in manifest.nodes.values()} for manifest in (first, second)]
    assert schemas == [{"audit_20260304"}, {"audit_20260305"}]


def test_a_project_that_cannot_be_read_is_named_and_the_parsed_one_stays(
    project_of_one: Settings, tmp_path: Path
) -> None:
    models = project_of_one.dbt_project_dir / "models"
    (models / "broken.sql").write_text("select * from {{ ref('nobody') }}")

    with pytest.raises(ProjectError, match=r"'model\.segue\.broken'.*nobody") as failed:
        parse(project_of_one)

    assert failed.value.code == "dbt_project"
    assert [path.name for path in (tmp_path / "parsed").iterdir()] == ["parse.lock"]

    (models / "broken.sql").write_text("select 1 as n")
    assert parse(project_of_one).is_file()


def test_a_process_that_runs_dbt_again_and_again_has_as_many_of_its_flags(
    project_of_one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each adapter adds its own to one list, and would look through the whole stack for each flag of it."""
    monkeypatch.delattr("dbt_common.behavior_flags.inspect")
    before = list(DEFAULT_BASE_BEHAVIOR_FLAGS)

    for number in (1, 2):
        (project_of_one.dbt_project_dir / "models/one.sql").write_text(f"select {number} as n")
        parse(project_of_one)

    assert before == DEFAULT_BASE_BEHAVIOR_FLAGS
