"""What a service is, and how it is brought to health whatever state it was left in."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.services.errors import ServiceError
from local.services.ports import Ports
from local.services.processes import ProcessFiles, ServiceProcess

ATTEMPTS = 3
"""A service that ends while starting is started again: a port may have been taken in that moment."""

Check = Callable[[ServiceProcess], str | None]
"""None when the service does its work, else what is wrong with it."""


@dataclass(frozen=True)
class Service:
    """One background process: how to start it and how to tell that it does its work."""

    name: str
    command: tuple[str, ...]
    check: Check
    address: str
    environment: Mapping[str, str] = field(default_factory=dict)
    port_names: tuple[str, ...] = ()
    start_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    user: str | None = None
    depends_on: tuple[str, ...] = ()
    """Services whose restart restarts this one."""

    def full_environment(self) -> dict[str, str]:
        """The environment of this process and, on top, the service's own."""
        return {**os.environ, **self.environment}

    def fingerprint(self, files: ProcessFiles) -> str:
        """Changes whenever a running process would differ from one started now."""
        dependencies = [str(files.find(name)) for name in self.depends_on]
        text = json.dumps([self.command, dict(self.environment), dependencies], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class StateFolder:
    """Everything that the services of one platform share on disk."""

    path: Path
    files: ProcessFiles
    ports: Ports

    @classmethod
    def open(cls, path: Path) -> StateFolder:
        """Read what an earlier start remembered, if anything."""
        path = path.expanduser().resolve()
        return cls(path, ProcessFiles(path), Ports(path / "ports.json"))


Specification = Callable[[StateFolder], Service]
"""Describes a service with the ports of the moment."""


def ensure(
    state: StateFolder, specify: Specification, before_start: Callable[[], None] | None = None
) -> bool:
    """Leave a healthy service alone, else clean up after it and start it; True when it was started.

    Raises:
        ServiceError: it ended or was not healthy in time; the message carries the end of its log.
    """
    service = specify(state)
    running = state.files.find(service.name)
    as_wanted = running is not None and running.fingerprint == service.fingerprint(state.files)
    # Alive means patience: it may be starting, or busy with a long query.
    if running and as_wanted and _wait(state, service, running) is None:
        return False
    state.files.stop(service.name, service.stop_signal, service.stop_seconds)
    if before_start:
        before_start()
    problem: str | None = None
    for _ in range(ATTEMPTS):
        state.ports.replace_taken(service.port_names)
        service = specify(state)
        process = state.files.start(
            service.name,
            service.command,
            service.full_environment(),
            service.fingerprint(state.files),
            service.user,
        )
        problem = _wait(state, service, process)
        if problem is None:
            return True
        ended = state.files.find(service.name) is None
        state.files.stop(service.name, service.stop_signal, service.stop_seconds)
        if not ended:
            break
    raise ServiceError(
        f"{service.name} did not start: {problem}\n{_log_end(state.files.log(service.name))}"
        f"\nIts log is {state.files.log(service.name)}"
    )


def _wait(state: StateFolder, service: Service, process: ServiceProcess) -> str | None:
    """Wait until the service is healthy; else, at the end of its time or when it ends, say what is wrong."""
    deadline = time.monotonic() + service.start_seconds
    pause = 0.05
    while True:
        if state.files.find(service.name) is None:
            return "the process ended"
        problem = service.check(process)
        # Asked again: it may have answered with its last breath.
        if problem is None and state.files.find(service.name):
            return None
        if time.monotonic() > deadline:
            return f"not healthy after {service.start_seconds:.0f} s: {problem}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _log_end(log: Path, characters: int = 1500) -> str:
    try:
        return log.read_bytes()[-characters:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
