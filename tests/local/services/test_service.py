"""A service is brought to health whatever state it was left in."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from local.services.errors import ServiceError
from local.services.ports import LOOPBACK, is_free
from local.services.processes import ServiceProcess
from local.services.service import Service, StateFolder, ensure

SERVER = (
    "import socket, sys, time\n"
    "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
    "s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()\n"
    "time.sleep(300)\n"
)


def listener(state: StateFolder) -> Service:
    port = state.ports.get("listener")

    def check(_: ServiceProcess) -> str | None:
        return "nobody listens" if is_free(port) else None

    return Service(
        name="listener",
        command=(sys.executable, "-c", SERVER, str(port)),
        check=check,
        address=f"{LOOPBACK}:{port}",
        port_names=("listener",),
        start_seconds=20,
        stop_seconds=1,
    )


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder.open(tmp_path)


@pytest.fixture(autouse=True)
def _stop_it(state: StateFolder) -> object:
    yield
    state.files.stop("listener", signal.SIGKILL, 1)


def test_a_healthy_service_is_left_alone(state: StateFolder) -> None:
    assert ensure(state, listener)
    first = state.files.find("listener")

    assert not ensure(state, listener)

    assert state.files.find("listener") == first


def test_a_killed_service_is_started_again_on_its_port(state: StateFolder) -> None:
    ensure(state, listener)
    first, port = state.files.find("listener"), state.ports.get("listener")
    assert first is not None
    victim = psutil.Process(first.pid)
    victim.kill()
    victim.wait(10)

    assert ensure(state, listener)

    assert state.files.find("listener") != first
    assert state.ports.get("listener") == port


def test_a_service_whose_port_was_taken_meanwhile_moves(state: StateFolder) -> None:
    ensure(state, listener)
    port = state.ports.get("listener")
    state.files.stop("listener", signal.SIGKILL, 1)
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind((LOOPBACK, port))
        somebody.listen()

        assert ensure(state, listener)

        assert state.ports.get("listener") != port


def test_a_service_started_with_other_settings_is_restarted(state: StateFolder) -> None:
    ensure(state, listener)
    first = state.files.find("listener")

    def changed(folder: StateFolder) -> Service:
        service = listener(folder)
        return Service(**{**service.__dict__, "environment": {"COLOUR": "blue"}})

    assert ensure(state, changed)
    assert state.files.find("listener") != first


def test_a_service_is_restarted_with_what_it_depends_on(state: StateFolder) -> None:
    def dependent(folder: StateFolder) -> Service:
        return Service(**{**listener(folder).__dict__, "depends_on": ("database",)})

    state.files.start("database", ("sleep", "300"), {}, "f1")
    assert ensure(state, dependent)
    assert not ensure(state, dependent)
    state.files.stop("database", signal.SIGKILL, 1)
    state.files.start("database", ("sleep", "300"), {}, "f1")

    assert ensure(state, dependent)
    state.files.stop("database", signal.SIGKILL, 1)


def test_a_service_that_ends_while_starting_says_why_and_leaves_nothing(state: StateFolder) -> None:
    def broken(_: StateFolder) -> Service:
        return Service(
            name="listener",
            command=(sys.executable, "-c", "raise SystemExit('the disk is full')"),
            check=lambda _: "not yet",
            address="",
            start_seconds=20,
        )

    with pytest.raises(ServiceError, match=r"(?s)did not start: the process ended.*the disk is full"):
        ensure(state, broken)

    assert state.files.find("listener") is None

    assert ensure(state, listener)
