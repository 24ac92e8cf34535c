"""The load benchmark reports what it promises; its numbers are no test's business."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from segue.settings import Settings


def test_the_report_has_every_writer_and_ratio(
    world: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli import app

    settings = world("bench")
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    done = CliRunner().invoke(
        app, ["bench", "load", "--rows", "2000", "--rounds", "1", "--memory-rows", "1000", "--json"]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [(each["name"], each["rows"]) for each in report["writers"]] == [
        ("bulk_mutate_rows", 100), ("prebuilt bytes", 2000), ("segue", 2000),
    ]  # fmt: skip
    assert all(each["rows_per_second"] > 0 for each in report["writers"])
    for name in ("times_bulk_mutate_rows", "share_of_ceiling", "client_cpu_us_per_row", "payload_bytes"):
        assert report[name] > 0
    (memory,) = report["memory"]
    assert (memory["rows"], memory["peak_mb"] > 0) == (1000, True)
