"""What ends a failure of the day's run, of what watches it, of an erasure or of the embedded platform."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.read_days import deliveries_of
from loaders.objects.folder import FolderStore
from loaders.objects.store import ABSENT
from runs.handover import left_by
from runs.steps import asked_by_trigger
from segue.settings import Settings, get_settings
from tests.loaders.landing.rates import declare, declared, deliver
from tests.runbook.drills import Drill, Trial

SECTIONS = ["Anywhere", "Land", "Build", "Validate", "Publish", "Watch", "Erase", "Embedded"]
DAY = date(2026, 3, 1)


def wrong_setting(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "a fortnight")

    def read() -> Settings:
        get_settings.cache_clear()
        return get_settings()

    return read, lambda: monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "14")


def impossible_days(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    ends: dict[str, str | None] = {"start_date": "2026-03-01", "end_date": None}
    settings = Settings(_env_file=None)
    return (
        lambda: asked_by_trigger(settings, ends["start_date"], ends["end_date"], None),
        lambda: ends.update(end_date="2026-03-02"),
    )


def nothing_left(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    left: list[str | None] = [None]
    return lambda: left_by("build", "validate", left), lambda: left.append("the window of the build")


def landing_refused(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    settings = Settings(_env_file=None, landing_files_uri=folder.as_uri())
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"), declared(DAY, "SEK", file="p1.ndjson"))
    arrivals = Arrivals(date(2020, 1, 1), {}, {"fx_rates": frozenset([DAY])})
    return (
        lambda: deliveries_of(settings, arrivals, [CONTRACTS["fx_rates"]], [DAY]),
        lambda: deliver(settings, DAY, "SEK", file="p1.ndjson"),
    )


def object_conflict(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    store, known = FolderStore(folder), {"generation": ABSENT}
    store.write("state", b"another's")

    def look_again() -> None:
        known["generation"] = store.read("state")[1]

    return lambda: store.write("state", b"mine", replacing=known["generation"]), look_again


def file_system(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Trial:
    target = folder / "not yet" / "page.html"
    return lambda: target.write_text("page"), lambda: target.parent.mkdir()


DRILLS: list[Drill] = [
    wrong_setting,
    impossible_days,
    nothing_left,
    landing_refused,
    object_conflict,
    file_system,
]

ENDED_ELSEWHERE: dict[str, list[str]] = {
    "validation_failed": [
        "expectations/test_gate.py::test_revenue_at_a_rate_that_nobody_tells_any_more_stops_the_run"
    ],
    "publication_refused": ["runs/test_publish.py::test_a_changed_column_is_named_and_nothing_is_published"],
    "job_adrift": ["loaders/warehouse/test_jobs.py::test_a_job_that_cannot_be_cancelled_either_is_named"],
}
"""Tests that cause a failure in a world of an emulator, and do what the entry says until it is over;
several where several steps of the entry are followed."""

CAUSED_ELSEWHERE: dict[str, str] = {
    "warehouse": "loaders/warehouse/test_jobs.py",
    "service_unavailable": "cli/test_failures.py",
    "object_store": "loaders/objects/test_store.py",
    "landing_reader_killed": "loaders/landing/test_reader.py",
    "content": "loaders/cms/test_contentful.py",
    "build_failed": "dbt/test_rebuilding.py",
    "dbt_project": "runs/test_placement.py",
    "other_project": "runs/test_verdict.py",
    "not_built": "runs/test_verdict.py",
    "unjudged": "runs/test_verdict.py",
    "nothing_to_plan": "runs/test_segment_plan.py",
    "alert_not_sent": "loaders/alerts/test_channels.py",
    "marts_late": "runs/test_incidents.py",
    "segments_late": "runs/test_incidents.py",
    "fault": "runs/test_incidents.py",
    "feed_stale": "runs/test_day_watch.py",
    "volume": "runs/test_day_watch.py",
    "not_erased": "loaders/erasure/test_erase.py",
    "account_was_merged": "loaders/erasure/test_every_feed.py",
    "embedded_service": "local/services/test_service.py",
    "not_an_emulator": "local/test_sandbox.py",
}
"""Modules whose tests cause a failure and see that it is refused."""

CAUSED_NOWHERE = {"demo_failed"}
"""Failures that no test causes yet."""
