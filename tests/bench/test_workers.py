"""The benchmark of workers measures one against two; its numbers are no test's business."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from local.bench.cores import two_cores


@pytest.mark.emulator
@pytest.mark.skipif(two_cores() is None, reason="there are no two cores to choose")
def test_the_report_has_both_and_their_ratio() -> None:
    from cli import app

    done = CliRunner().invoke(
        app, ["bench", "workers", "--accounts", "100", "--seconds", "0.2", "--rounds", "1", "--json"]
    )

    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["one"] > 0
    assert report["ratio"] == report["two"] / report["one"]
