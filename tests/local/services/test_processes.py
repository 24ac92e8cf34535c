"""Pid files: nothing of ours is ever lost, nothing of anybody else is ever touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local.services import processes
from local.services.processes import ProcessFiles

SLEEP = ("sleep", "300")
STUBBORN_WITH_CHILD = (
    sys.executable,
    "-c",
    "import signal, subprocess, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(subprocess.Popen(['sleep', '300']).pid, flush=True)\n"
    "time.sleep(300)\n",
)


@pytest.fixture
def files(tmp_path: Path) -> ProcessFiles:
    return ProcessFiles(tmp_path)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_started_process_is_found_and_stopped(files: ProcessFiles) -> None:
    started = files.start("sleeper", SLEEP, os.environ, "f1")

    assert files.find("sleeper") == started
    assert files.recorded() == ["sleeper"]
    assert files.stop("sleeper", signal.SIGTERM, 5)
    assert files.find("sleeper") is None
    assert files.recorded() == []
    assert not is_running(started.pid)
    assert not files.stop("sleeper", signal.SIGTERM, 5)


def test_a_process_that_ignores_the_signal_is_killed_with_its_children(files: ProcessFiles) -> None:
    files.start("stubborn", STUBBORN_WITH_CHILD, os.environ, "f1")
    assert eventually(lambda: files.log("stubborn").read_text().strip().isdigit())
    child = int(files.log("stubborn").read_text())
    assert is_running(child)

    files.stop("stubborn", signal.SIGTERM, 0.2)

    assert not is_running(child)


def test_children_of_a_killed_process_are_stopped_too(files: ProcessFiles) -> None:
    leader = files.start("stubborn", STUBBORN_WITH_CHILD, os.environ, "f1")
    assert eventually(lambda: files.log("stubborn").read_text().strip().isdigit())
    child = int(files.log("stubborn").read_text())
    os.kill(leader.pid, signal.SIGKILL)
    assert eventually(lambda: files.find("stubborn") is None)
    assert is_running(child)

    assert files.stop("stubborn", signal.SIGTERM, 5)

    assert not is_running(child)


def test_a_pid_that_now_belongs_to_somebody_else_is_neither_found_nor_touched(
    files: ProcessFiles, tmp_path: Path
) -> None:
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        pid_file = tmp_path / "run" / "service.pid"
        pid_file.parent.mkdir()
        earlier = psutil.Process(stranger.pid).create_time() - 3600
        pid_file.write_text(json.dumps({"pid": stranger.pid, "created_at": earlier, "fingerprint": "f"}))

        assert files.find("service") is None
        assert not files.stop("service", signal.SIGKILL, 1)

        assert stranger.poll() is None
        assert files.recorded() == []
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_whose_starter_was_killed_at_once_is_found_by_the_pid_it_wrote(
    files: ProcessFiles, tmp_path: Path
) -> None:
    started = files.start("service", SLEEP, os.environ, "f1")
    pid_file = tmp_path / "run" / "service.pid"
    pid_file.write_text(f"{started.pid}\n")

    found = files.find("service")

    assert found is not None
    assert (found.pid, found.fingerprint) == (started.pid, "")
    assert files.stop("service", signal.SIGTERM, 5)
    assert not is_running(started.pid)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": 1}', "null"])
def test_a_broken_pid_file_counts_as_stopped(files: ProcessFiles, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "service.pid").write_text(content)

    assert files.find("service") is None
    assert not files.stop("service", signal.SIGTERM, 1)


def test_a_start_that_is_interrupted_after_the_fork_is_still_found(
    files: ProcessFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "write_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.start("service", SLEEP, os.environ, "f1")

    assert eventually(lambda: files.find("service") is not None)
    assert files.stop("service", signal.SIGTERM, 5)
