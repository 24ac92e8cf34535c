"""What ends a failure of the day's run, of what watches it, of an erasure or of the embedded platform."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.read_days import deliveries_of
from loaders.objects.folder import FolderStore
from loaders.objects.store import ABSENT, open_store
from local import platform
from runs.landing_report import refuse_unread_days
from runs.restate_range import refuse_unknown_days
from runs.steps import asked, asked_by_trigger, given
from segue.settings import Settings, get_settings
from tests.loaders.landing.rates import declare, declared, deliver
from tests.runbook.drills import Drill, Trial
from tests.runbook.steps import says

SECTIONS = ["Anywhere", "Land", "Build", "Validate", "Publish", "Watch", "Erase", "Embedded"]
DAY = date(2026, 3, 1)


def wrong_setting(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("wrong_setting", "Correct it where it is set")
    monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "a fortnight")

    def read() -> Settings:
        get_settings.cache_clear()
        return get_settings()

    return read, lambda: monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "14")


def impossible_days__one_end(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("impossible_days", "trigger it again with `start_date` and `end_date`")
    ends: dict[str, str | None] = {"start_date": "2026-03-01", "end_date": None}
    settings = Settings(_env_file=None)
    return (
        lambda: asked_by_trigger(settings, ends["start_date"], ends["end_date"], None),
        lambda: ends.update(end_date="2026-03-02"),
    )


def impossible_days__before_the_history(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("impossible_days", "set it to their first day")
    early = date(2019, 12, 31)
    return (
        lambda: asked(Settings(_env_file=None), early, DAY),
        lambda: monkeypatch.setenv("SEGUE_HISTORY_START_DATE", str(early)),
    )


def impossible_days__files_that_no_run_reads(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("impossible_days", "set it to their first day")
    early = date(2019, 12, 31)

    def begin_to_land() -> None:
        settings = Settings(_env_file=None)
        files = {"fx_rates": frozenset([early, DAY])}
        refuse_unread_days(settings, Arrivals(settings.history_start_date, {}, files))

    return begin_to_land, lambda: monkeypatch.setenv("SEGUE_HISTORY_START_DATE", str(early))


def impossible_days__not_arrived(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("impossible_days", "have `restate_range` end with a day that has")
    settings, today = Settings(_env_file=None), DAY + timedelta(days=9)
    arrivals, asked_for = Arrivals(DAY, {DAY: frozenset(["fx_rates"])}, {}), {"last": today}
    return (
        lambda: refuse_unknown_days(settings, arrivals, DAY, asked_for["last"], today),
        lambda: asked_for.update(last=DAY),
    )


def nothing_left(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("nothing_left", "Clear the task that the message names")
    window = asked(Settings(_env_file=None), DAY, DAY)
    left: dict[str, Any] = {"land": None}
    return (
        lambda: given("build", left["land"], lambda: window),
        lambda: left.update(land=window.model_dump(mode="json")),
    )


def landing_refused(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("landing_refused", "Have the file delivered again, right and whole.")
    settings = Settings(_env_file=None, landing_files_uri=folder.as_uri())
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"), declared(DAY, "SEK", file="p1.ndjson"))
    arrivals = Arrivals(date(2020, 1, 1), {}, {"fx_rates": frozenset([DAY])})
    return (
        lambda: deliveries_of(settings, arrivals, [CONTRACTS["fx_rates"]], [DAY]),
        lambda: deliver(settings, DAY, "SEK", file="p1.ndjson"),
    )


def object_conflict(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("object_conflict", "Repeat the command")
    store, known = FolderStore(folder), {"generation": ABSENT}
    store.write("state", b"another's")

    def look_again() -> None:
        known["generation"] = store.read("state")[1]

    return lambda: store.write("state", b"mine", replacing=known["generation"]), look_again


def object_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("object_store", "Look whether the name is right")
    (folder / "notes.txt").write_text("no folder")
    monkeypatch.setenv("SEGUE_RESULTS_URI", (folder / "notes.txt" / "results").as_uri())

    def keep() -> int:
        settings = Settings(_env_file=None)
        return open_store(settings, settings.results_root).write("data_docs/index.html", b"page")

    return keep, lambda: monkeypatch.setenv("SEGUE_RESULTS_URI", (folder / "results").as_uri())


def embedded_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    says("embedded_service", "wait for it")
    monkeypatch.setattr(platform, "LOCK_SECONDS", 0.1)
    another = FileLock(folder / "platform.lock", thread_local=False)
    another.acquire()
    return lambda: platform.up(folder, []), another.release


DRILLS: list[Drill] = [
    wrong_setting, impossible_days__one_end, impossible_days__before_the_history,
    impossible_days__files_that_no_run_reads, impossible_days__not_arrived, nothing_left, landing_refused,
    object_conflict, object_store,
    embedded_service,
]  # fmt: skip

FOLLOWED_ELSEWHERE: dict[str, dict[str, str]] = {
    "warehouse": {
        "loaders/warehouse/test_jobs.py::"
        "test_a_step_that_needs_longer_has_the_time_that_its_deadline_is_raised_to": (
            "raise the step's deadline"
        ),
        "loaders/warehouse/test_client.py::test_a_table_is_widened_and_never_bent": "or rename the table",
    },
    "job_adrift": {
        "loaders/warehouse/test_jobs.py::test_a_job_that_cannot_be_cancelled_either_is_named": (
            "Clear the task."
        ),
    },
    "service_unavailable": {
        "local/test_platform.py::test_tables_survive_a_kill_and_addresses_stay": (
            "`segue local up` starts it"
        ),
    },
    "file_system": {
        "cli/test_failures.py::test_a_folder_that_is_closed_is_named_and_opened_it_is_written": (
            "give the user of the process the folder"
        ),
    },
    "object_store": {
        "loaders/objects/test_store.py::test_an_identity_that_gets_its_role_back_goes_on": (
            "the identity needs Storage Object Admin"
        ),
    },
    "fault": {
        "runs/test_late_day.py::"
        "test_the_publication_of_a_late_day_ends_marts_late_and_the_fault_that_was_told_of": (
            "Clear the task once."
        ),
    },
    "landing_refused": {
        "e2e/test_airflow.py::test_a_broken_day_that_is_fixed_publishes": (
            "Have the file delivered again, right and whole."
        ),
        "loaders/landing/test_land.py::"
        "test_a_feed_that_never_delivered_need_not_be_there_and_one_that_did_must": (
            "name those that go on in `SEGUE_FEEDS`"
        ),
        "loaders/landing/test_late.py::test_where_nothing_may_be_late_the_run_stops_and_names_it": (
            "`segue land day` takes the named day as it is now"
        ),
        "loaders/landing/test_land.py::"
        "test_a_file_that_had_landed_and_is_gone_does_not_take_its_rows_with_it": (
            "an empty file takes its place"
        ),
        "loaders/landing/test_land.py::test_too_many_refused_rows_stop_the_day_and_are_kept": (
            "raise `SEGUE_MAX_QUARANTINED_SHARE` for this run"
        ),
    },
    "landing_reader_killed": {
        "loaders/landing/test_land.py::test_a_day_whose_readers_were_killed_lands_with_one_process": (
            "with `SEGUE_LANDING_PROCESSES=1` the task reads by itself"
        ),
    },
    "content": {
        "loaders/cms/test_contentful.py::"
        "test_the_command_says_the_code_of_a_refusal_and_pulls_once_the_token_is_right": (
            "Set the right one"
        ),
        "loaders/cms/test_landing.py::test_the_command_line_fails_when_a_system_could_not_be_pulled": (
            "wait for the next hour; nothing is missed"
        ),
        "loaders/cms/test_contentful.py::"
        "test_entries_that_vanish_all_at_once_are_taken_for_a_mistake_until_somebody_means_it": (
            "`segue content pull --allow-deletions`"
        ),
    },
    "build_failed": {
        "dbt/test_rebuilding.py::test_a_failing_node_is_named_with_its_reason": (
            "Clear `build` with the tasks after it."
        ),
    },
    "dbt_project": {
        "runs/test_placement.py::test_a_project_that_cannot_be_read_is_named_and_the_parsed_one_stays": (
            "Mend it, or deploy the version before."
        ),
    },
    "other_project": {
        "runs/test_verdict.py::test_a_project_that_is_not_the_one_of_the_build_does_not_go_on": (
            "Clear `build` with the tasks after it: the days are built by the project of now."
        ),
    },
    "validation_failed": {
        "e2e/test_airflow.py::test_a_broken_day_that_is_fixed_publishes": (
            "have the file delivered again and clear from `land`"
        ),
        "expectations/test_gate.py::test_revenue_at_a_rate_that_nobody_tells_any_more_stops_the_run": (
            "set the limit and clear `validate`"
        ),
        "runs/test_verdict.py::test_somebody_with_a_reason_publishes_against_the_gate_and_it_is_recorded": (
            "publish against the gate"
        ),
    },
    "not_built": {
        "runs/test_verdict.py::test_an_attempt_whose_dataset_is_gone_says_what_to_clear": (
            "Clear `build` with the tasks after it: it builds the days anew."
        ),
    },
    "unjudged": {
        "runs/test_verdict.py::test_what_nobody_has_judged_is_not_published": (
            "Clear `validate` with the tasks after it."
        ),
        "runs/test_verdict.py::test_rows_that_changed_after_they_were_judged_are_not_published": (
            "If rows were changed in the audit dataset, clear `build`"
        ),
    },
    "publication_refused": {
        "runs/test_publish.py::test_a_changed_column_is_named_and_nothing_is_published": (
            "restore the column's type in the model"
        ),
        "runs/test_publish.py::"
        "test_a_column_that_is_meant_to_change_gets_a_new_name_and_the_old_one_is_null_from_then_on": (
            "give the column a new name"
        ),
    },
    "nothing_to_plan": {
        "runs/test_segment_plan.py::test_without_published_features_there_is_nothing_to_plan": (
            "Publish a day"
        ),
        "runs/test_segment_plan.py::test_a_day_without_published_features_is_not_a_plan_of_nobody": (
            "leave `--day` out"
        ),
    },
    "marts_late": {
        "runs/test_late_day.py::"
        "test_the_publication_of_a_late_day_ends_marts_late_and_the_fault_that_was_told_of": (
            "By hand: `segue run D D`"
        ),
    },
    "segments_late": {
        "loaders/bigtable/test_segments.py::"
        "test_segments_that_were_late_are_no_incident_any_more_once_they_are_loaded": (
            "trigger it with `segment_date`"
        ),
    },
    "feed_stale": {
        "runs/test_day_watch.py::test_a_feed_that_has_stopped_is_told_of_until_it_comes_again": (
            "Have the files delivered again"
        ),
        "runs/test_day_watch.py::test_a_feed_that_the_settings_say_has_ended_is_not_waited_for": (
            "`SEGUE_FEEDS` names those that go on"
        ),
    },
    "volume": {
        "runs/test_day_watch.py::test_what_is_unusual_is_one_incident_of_its_day_until_it_is_as_usual": (
            "have it delivered again and run the day"
        ),
        "cli/test_alerts.py::test_what_is_open_is_listed_until_somebody_says_that_it_is_over": (
            "segue alerts close ID --because"
        ),
    },
    "alert_not_sent": {
        "cli/test_alerts.py::test_a_channel_that_does_not_take_it_is_said_and_the_exit_code_is_1": (
            "make a new one and set it"
        ),
        "runs/test_incidents.py::"
        "test_a_channel_that_did_not_take_it_is_tried_by_the_next_call_and_others_are_not_told_again": (
            "what was not told is told then, or with the next alert"
        ),
    },
    "not_erased": {
        "loaders/erasure/test_erase.py::test_without_a_salt_nothing_is_erased": (
            "set it to the salt of the earlier erasures"
        ),
        "loaders/erasure/test_erase.py::"
        "test_what_a_service_that_is_away_has_interrupted_is_erased_by_erasing_again": (
            "Erase the same accounts again"
        ),
    },
    "account_was_merged": {
        "loaders/erasure/test_erase.py::test_who_was_merged_into_the_account_is_erased_with_it": (
            "Erase that one"
        ),
    },
    "embedded_service": {
        "local/services/test_service.py::"
        "test_a_service_that_ends_while_starting_says_why_and_leaves_nothing": (
            "Start again: `segue local up`"
        ),
    },
    "demo_failed": {
        "local/test_demo.py::test_a_load_that_fails_ends_the_demo_and_the_next_start_of_it_goes_on": (
            "whatever has failed before"
        ),
        "local/test_demo.py::test_a_demo_that_is_started_again_goes_on_with_the_same_company": (
            "it goes on with the same company"
        ),
    },
    "not_an_emulator": {
        "local/test_sandbox.py::test_test_accounts_are_never_written_into_a_real_bigtable": (
            "start it without settings of a project, `segue sandbox`"
        ),
    },
}
"""Code → tests of other modules that cause the failure and do what the entry says until it is over, each with
the words of the step that it follows."""
ENDED_ELSEWHERE = {code: list(tests) for code, tests in FOLLOWED_ELSEWHERE.items()}

NOT_FOLLOWED: dict[str, str] = {
    "impossible_days": "step 3: what follows the refusal is a whole build as of a day",
    "warehouse": "step 2: the embedded BigQuery has no identities and no quotas",
    "job_adrift": "step 1 and 2: `bq` asks Google Cloud; the next try, which waits by itself, is followed",
    "service_unavailable": "step 2: network and identity of Google Cloud",
    "file_system": "step 1: a disk that is full would be full for all other tests",
    "fault": "step 3: an issue that somebody files",
    "landing_reader_killed": "readers are killed as the kernel kills them, but memory does not run out",
}
"""Steps that no test follows, and why. To clear a task is to have what it calls called again."""
