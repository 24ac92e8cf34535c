"""Every line that a run logs is an object with the run, the day and the step, where a machine reads it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import structlog

from runs import step_record, steps
from runs.outcome import StepOutcome
from runs.steps import Step
from segue.logs import configure_logs
from segue.settings import Settings, get_settings
from segue.window import RunWindow

DAY = date(2026, 3, 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def _configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(steps, "STEPS", (step("land"), step("build")))
    configure_logs()
    yield
    structlog.reset_defaults()
    get_settings.cache_clear()


def step(name: str) -> Step:
    def perform(_: Settings, window: RunWindow) -> StepOutcome:
        structlog.get_logger("loaders.anywhere").info("read", rows=3, file="Årleg.csv")
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            structlog.get_logger().exception("not written")
        return StepOutcome(window, "done")

    return Step(name, "", perform, ())


def logged(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, log_format: str) -> list[str]:
    monkeypatch.setenv("SEGUE_LOG_FORMAT", log_format)
    get_settings.cache_clear()
    monkeypatch.setattr(sys, "stderr", stream)
    # Nobody keeps what these steps do: there is no warehouse.
    monkeypatch.setattr(step_record, "_keep", lambda *_: None)
    steps.run(get_settings(), DAY, DAY, lambda *_: None)
    return stream.getvalue().splitlines()


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(("stream", "log_format"), [(io.StringIO(), "auto"), (Terminal(), "json")])
def test_each_line_is_an_object_that_says_of_which_run_day_and_step_it_is(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, log_format: str
) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in logged(monkeypatch, stream, log_format)]
    assert [(line["step"], line["day"], line["level"], line["event"]) for line in lines] == [
        ("land", "2026-03-02", "info", "read"),
        ("land", "2026-03-02", "error", "not written"),
        ("build", "2026-03-02", "info", "read"),
        ("build", "2026-03-02", "error", "not written"),
    ]
    assert len({line["run_id"] for line in lines}) == 1
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["file"] == "Årleg.csv"
    assert "No space left on device" in lines[1]["exception"]
    structlog.get_logger().info("after the run")
    assert "run_id" not in json.loads(stream.getvalue().splitlines()[-1])


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(("stream", "log_format"), [(Terminal(), "auto"), (io.StringIO(), "text")])
def test_a_person_at_a_terminal_reads_text_without_frames_around_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, log_format: str
) -> None:
    lines = logged(monkeypatch, stream, log_format)
    assert "read" in lines[0]
    assert "rows=3" in lines[0]
    assert not any("─" in line or "╭" in line for line in lines)
