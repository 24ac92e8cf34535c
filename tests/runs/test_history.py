"""Which partitions of the subscription history a run builds: those whose arrivals or code have changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import append_rows, ensure_ops_tables
from runs.dbt import ensure_parsed
from runs.history import code_version, history_window, project_vars
from runs.history_models import history_models
from segue.settings import Settings

EVENTS, VERSIONS = "int_subscription_events", "int_subscription_versions"
JOURNEYS = "int_offer_journey_states"
TRIALS = "int_offer_journey_trials"
MAY_30, MAY_31 = date(2026, 5, 30), date(2026, 5, 31)
JUNE_1, JUNE_2, JUNE_3, JUNE_4 = (date(2026, 6, day) for day in (1, 2, 3, 4))
DAYS = [MAY_30, MAY_31, JUNE_1, JUNE_2, JUNE_3]
NOON = datetime(2026, 6, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def empty(dbt_world: Callable[..., Settings]) -> Settings:
    settings = dbt_world("history", history_start_date=MAY_30)
    ensure_ops_tables(warehouse_of(settings))
    return settings


@pytest.fixture
def settings(empty: Settings, parsed_project: Path) -> Settings:
    """Nothing has landed and nothing was published; the project is as it was parsed."""
    take(empty, parsed_project, parsed_project)
    warehouse_of(empty).run("delete from ops.run_ledger where true; delete from ops.publications where true")
    return empty


def take(settings: Settings, manifest_of: Path, variables_of: Path) -> None:
    """The manifest last: the digest of what a run is made by is remembered by its time."""
    shutil.copy(project_vars(variables_of), project_vars(settings.dbt_manifest))
    shutil.copy(manifest_of, settings.dbt_manifest)


def landed(
    settings: Settings, *days: date, changed_at: datetime = NOON, table: str = "subscription_events"
) -> None:
    rows = [{"run_date": day, "step": "land", "table_name": table, "changed_at": changed_at} for day in days]
    append_rows(warehouse_of(settings), "run_ledger", rows)


def published(
    settings: Settings,
    *partitions: tuple[str, date],
    raw_read_at: datetime = LATER,
    code: str | None = None,
) -> None:
    """A publication a minute after its run began to read; by the present code unless ``code`` is given."""
    rows = [
        {
            "run_date": day,
            "mart": mart,
            "partition_date": day,
            "raw_read_at": raw_read_at,
            "published_at": raw_read_at + timedelta(minutes=1),
            "code_version": code or code_version(settings.dbt_manifest),
        }
        for mart, day in partitions
    ]
    append_rows(warehouse_of(settings), "publications", rows)


def everything_published(settings: Settings) -> None:
    landed(settings, *DAYS)
    published(settings, *((mart, day) for mart in (EVENTS, VERSIONS) for day in DAYS))


def journeys_published(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, *DAYS, table="offer_impressions")
    published(settings, (JOURNEYS, JUNE_1))


def edit_macro(settings: Settings, name: str) -> None:
    manifest = settings.dbt_target_dir / "manifest.json"
    content = json.loads(manifest.read_text())
    content["macros"][f"macro.segue.{name}"]["macro_sql"] += "-- edited"
    manifest.write_text(json.dumps(content))


def to_build(settings: Settings, as_of: date) -> tuple[date, date]:
    first_days = history_window(settings, as_of).first_days
    return first_days[EVENTS], first_days[VERSIONS]


def journeys_to_build(settings: Settings, as_of: date) -> date:
    return history_window(settings, as_of).first_days[JOURNEYS]


def test_the_next_day_is_built_alone(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_4)

    assert to_build(settings, JUNE_4) == (JUNE_4, JUNE_4)


def test_nothing_is_built_again_that_is_fresh(settings: Settings) -> None:
    everything_published(settings)

    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)


def test_an_arrival_day_that_landed_again_with_other_files_is_built_with_all_that_follows(
    settings: Settings,
) -> None:
    everything_published(settings)
    landed(settings, JUNE_2, changed_at=LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_a_change_before_the_month_rebuilds_the_log_of_the_month(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, MAY_31, changed_at=LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (MAY_31, JUNE_1)


def test_other_code_builds_everything(settings: Settings) -> None:
    everything_published(settings)
    edit_macro(settings, "entered_state")

    assert to_build(settings, JUNE_3) == (MAY_30, JUNE_1)


def test_an_edited_offer_rule_is_no_code_of_the_history(settings: Settings) -> None:
    everything_published(settings)
    edit_macro(settings, "rule_outcomes")

    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)


def test_what_read_raw_before_it_changed_is_not_fresh(settings: Settings) -> None:
    landed(settings, *DAYS, changed_at=LATER)
    published(settings, *((mart, day) for mart in (EVENTS, VERSIONS) for day in DAYS if day != JUNE_3))
    published(settings, (VERSIONS, JUNE_3))
    published(settings, (EVENTS, JUNE_3), raw_read_at=NOON)

    assert to_build(settings, JUNE_3) == (JUNE_3, JUNE_3)


def test_the_tables_are_there_before_anything_was_published(settings: Settings) -> None:
    landed(settings, JUNE_1)

    assert to_build(settings, JUNE_1) == (JUNE_1, JUNE_1)
    columns = warehouse_of(settings).run(
        f"select column_name from {settings.history_dataset}.INFORMATION_SCHEMA.COLUMNS "
        f"where table_name = '{VERSIONS}'",
    )
    assert {"subscription_id", "known_date", "state"} <= {row.column_name for row in columns}


def test_what_lands_while_a_run_builds_is_not_in_what_it_publishes(settings: Settings) -> None:
    """Also when the clock is behind what was recorded, so that each moment is just after the last one."""
    warehouse = warehouse_of(settings)
    everything_published(settings)
    ahead = ledger_time(warehouse) + timedelta(hours=2)
    landed(settings, JUNE_4, changed_at=ahead)
    read_at = history_window(settings, JUNE_4).raw_read_at
    assert read_at == ahead
    landed(settings, JUNE_4, changed_at=ledger_time(warehouse), table="stripe_events")
    published(settings, (EVENTS, JUNE_4), (VERSIONS, JUNE_4), raw_read_at=read_at)

    assert to_build(settings, JUNE_4) == (JUNE_4, JUNE_4)


def test_what_a_run_has_landed_itself_makes_nothing_stale_that_it_publishes(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_4, changed_at=LATER + timedelta(hours=1))
    read_at = history_window(settings, JUNE_4).raw_read_at
    published(settings, (EVENTS, JUNE_4), (VERSIONS, JUNE_4), raw_read_at=read_at)

    assert to_build(settings, JUNE_4) == (JUNE_4 + timedelta(days=1), JUNE_4 + timedelta(days=1))


def test_events_of_every_provider_count(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_2, changed_at=LATER + timedelta(hours=1), table="stripe_events")

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_a_changed_catalogue_is_read_by_its_day_and_all_that_follow(settings: Settings) -> None:
    everything_published(settings)
    landed(settings, JUNE_1, changed_at=LATER + timedelta(hours=1), table="plans")
    published(settings, (EVENTS, JUNE_1), (VERSIONS, JUNE_1), raw_read_at=LATER + timedelta(hours=2))

    # The first of the month was built again since; the days after it were not.
    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_what_other_code_has_replaced_since_is_not_fresh(settings: Settings) -> None:
    """A model was edited, run and reverted: the present code has published the day, but not last."""
    everything_published(settings)
    published(settings, (EVENTS, JUNE_2), raw_read_at=LATER + timedelta(hours=1), code="edited")

    assert to_build(settings, JUNE_3) == (JUNE_2, JUNE_2)


def test_what_the_present_code_has_published_last_is_fresh_whatever_came_before(settings: Settings) -> None:
    partitions = [(mart, day) for mart in (EVENTS, VERSIONS) for day in DAYS]
    landed(settings, *DAYS)
    published(settings, *partitions, code="earlier")
    published(settings, *partitions, raw_read_at=LATER + timedelta(hours=1))

    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)


def test_every_feed_that_a_history_table_is_made_of_is_declared(parsed_project: Path) -> None:
    """What no feed declares would change without the table becoming stale."""
    content = json.loads(parsed_project.read_text())

    def raw_tables(key: str) -> set[str]:
        if key.startswith("source."):
            source = content["sources"][key]
            return set() if source["source_name"] == "history" else {source["name"]}
        found: set[str] = set()
        for parent in content["parent_map"][key]:
            found |= raw_tables(parent)
        return found

    models = history_models(parsed_project)

    assert {model.name: set(model.feeds) for model in models} == {
        model.name: raw_tables(f"model.segue.{model.name}") for model in models
    }


def test_a_history_table_comes_after_those_that_it_follows(parsed_project: Path) -> None:
    assert [(model.name, model.follows) for model in history_models(parsed_project)] == [
        ("int_experiment_impressions", ()),
        ("int_notified_payments", ()),
        (EVENTS, ()),
        (VERSIONS, (EVENTS,)),
        (JOURNEYS, (EVENTS, VERSIONS)),
        (TRIALS, (JOURNEYS, EVENTS, VERSIONS)),
    ]


def test_impressions_of_the_next_day_leave_the_checkpoint_as_it_is(settings: Settings) -> None:
    journeys_published(settings)
    landed(settings, JUNE_4)
    landed(settings, JUNE_4, table="offer_impressions")

    assert journeys_to_build(settings, JUNE_4) == JUNE_4 + timedelta(days=1)


@pytest.mark.parametrize("table", ["offer_impressions", "offer_clicks", "accounts", "subscription_events"])
def test_what_arrived_before_the_checkpoint_changes_it_when_it_lands_again(
    settings: Settings, table: str
) -> None:
    journeys_published(settings)
    landed(settings, MAY_31, changed_at=LATER + timedelta(hours=1), table=table)

    assert journeys_to_build(settings, JUNE_3) == JUNE_1


def test_what_arrived_since_the_checkpoint_does_not_change_it(settings: Settings) -> None:
    journeys_published(settings)
    landed(settings, JUNE_2, changed_at=LATER + timedelta(hours=1), table="accounts")

    assert journeys_to_build(settings, JUNE_3) == JUNE_3 + timedelta(days=1)


def test_a_new_month_has_a_checkpoint_of_its_own(settings: Settings) -> None:
    journeys_published(settings)
    july_1 = date(2026, 7, 1)
    landed(settings, july_1, table="offer_impressions")

    assert journeys_to_build(settings, july_1) == july_1


JULY_1, AUGUST_1, AUGUST_2 = date(2026, 7, 1), date(2026, 8, 1), date(2026, 8, 2)


def test_a_new_month_goes_on_from_the_latest_that_was_published_whole(settings: Settings) -> None:
    journeys_published(settings)
    published(settings, (TRIALS, JUNE_1), (JOURNEYS, JULY_1))

    assert history_window(settings, AUGUST_2).goes_on_from == JUNE_1
    published(settings, (TRIALS, JULY_1))
    assert history_window(settings, AUGUST_2).goes_on_from == JULY_1
    # Never from itself, nor from a later one.
    published(settings, (TRIALS, AUGUST_1), (JOURNEYS, AUGUST_1))
    assert history_window(settings, AUGUST_2).goes_on_from == JULY_1
    assert history_window(settings, JUNE_3).goes_on_from is None


def test_a_new_month_goes_on_from_none_that_other_code_or_other_rows_made(settings: Settings) -> None:
    journeys_published(settings)
    published(settings, (TRIALS, JUNE_1))
    published(settings, (JOURNEYS, JULY_1), (TRIALS, JULY_1), code="other")
    assert history_window(settings, AUGUST_2).goes_on_from == JUNE_1

    landed(settings, MAY_31, changed_at=LATER + timedelta(hours=1), table="offer_impressions")
    assert history_window(settings, AUGUST_2).goes_on_from is None


@pytest.fixture(scope="module")
def edited(empty: Settings, parsed_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project, parsed after a model of the history and a variable have been edited."""
    folder = tmp_path_factory.mktemp("edited")
    project = folder / "dbt"
    shutil.copytree(empty.dbt_project_dir, project, ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copytree(parsed_project.parent, folder / "state" / empty.dbt_target_dir.name)
    with (project / "models/intermediate/history/int_subscription_events.sql").open("a") as model:
        model.write("\n-- edited\n")
    declared = project / "dbt_project.yml"
    text = declared.read_text()
    assert "renewal_tolerance_days: 30" in text
    declared.write_text(text.replace("renewal_tolerance_days: 30", "renewal_tolerance_days: 20"))
    settings = empty.model_copy(update={"dbt_project_dir": project, "state_dir": folder / "state"})
    ensure_parsed(settings)
    return settings.dbt_manifest


@pytest.mark.parametrize(
    ("is_model_edited", "is_variable_edited"), [(True, False), (False, True), (True, True)]
)
def test_an_edited_model_or_variable_has_its_history_built_again_and_a_reverted_one_has_not(
    settings: Settings,
    edited: Path,
    parsed_project: Path,
    is_model_edited: bool,
    is_variable_edited: bool,
) -> None:
    everything_published(settings)
    take(
        settings,
        edited if is_model_edited else parsed_project,
        edited if is_variable_edited else parsed_project,
    )

    assert to_build(settings, JUNE_3) == (MAY_30, JUNE_1)

    take(settings, parsed_project, parsed_project)
    assert to_build(settings, JUNE_3) == (JUNE_4, JUNE_4)
