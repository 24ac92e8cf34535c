"""The lookup benchmark measures every reader at every concurrency; its numbers are no test's business."""

from __future__ import annotations

import itertools
import json

import pytest
from typer.testing import CliRunner

from local.bench.lookup import READERS

IN_FLIGHT = (1, 4)
"""Each costs a process for every reader."""


@pytest.mark.emulator
def test_the_report_has_every_reader_at_every_concurrency_against_the_official_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cli import app

    monkeypatch.setattr("local.bench.lookup.IN_FLIGHT", IN_FLIGHT)
    done = CliRunner().invoke(
        app, ["bench", "lookup", "--accounts", "200", "--seconds", "0.2", "--rounds", "1", "--json"]
    )

    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    rows = {(row["reader"], row["in_flight"]): row for row in report["rows"]}
    assert set(rows) == set(itertools.product(READERS, IN_FLIGHT))
    assert all(row["per_second"] > 0 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows.values())
    assert {
        (row["speed_ratio"], row["p99_ratio"]) for row in rows.values() if row["reader"] == "official"
    } == {(1.0, 1.0)}
