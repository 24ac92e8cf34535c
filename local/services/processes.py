"""Starts, finds and stops background processes through pid files that survive any kill.

A pid file is written by the new process itself, before it becomes the service, so there is no moment in
which killing the starter leaves a service that nobody knows. The starter then adds the process's start time,
so that a pid which the system has since given to somebody else is never taken for ours, let alone killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local.services.ports import write_atomically

CLOCK_TOLERANCE_SECONDS = 1.0
"""Start times are kept in clock ticks since boot; reading them twice may differ a little."""
UNCONFIRMED_SECONDS = 10.0
"""How long before its pid file a process may have started whose starter was killed in between."""
MAXIMUM_LOG_BYTES = 20_000_000
"""A longer log is put aside, over the one put aside before, when its service starts."""

_WRITE_PID_THEN_BECOME = 'echo $$ >&0; exec "$@" </dev/null'
"""Its input is the pid file, opened for writing by us: a service may run as a user who cannot open it."""


@dataclass(frozen=True)
class ServiceProcess:
    """Who runs a service; ``created_at`` in seconds since the epoch, ``fingerprint`` of what it was told."""

    pid: int
    created_at: float
    fingerprint: str


class ProcessFiles:
    """The pid files (``run/``) and logs (``logs/``) of one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._run = state_dir / "run"
        self._logs = state_dir / "logs"

    def log(self, name: str) -> Path:
        """Where a service's output goes."""
        return self._logs / f"{name}.log"

    def recorded(self) -> list[str]:
        """Names of the services that have a pid file, alive or not."""
        return sorted(path.stem for path in self._run.glob("*.pid"))

    def find(self, name: str) -> ServiceProcess | None:
        """The running process of a service, or None when it is dead or its pid belongs to somebody else."""
        record = self._read(name)
        if record is None:
            return None
        try:
            process = psutil.Process(record.pid)
            alive = process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
            same = abs(process.create_time() - record.created_at) <= CLOCK_TOLERANCE_SECONDS
        except psutil.NoSuchProcess:
            return None
        return record if alive and same else None

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        fingerprint: str,
        user: str | None = None,
    ) -> ServiceProcess:
        """Start a service in a session of its own, its output appended to its log.

        Raises:
            OSError: the command cannot be executed.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log_file = self.log(name)
        if log_file.exists() and log_file.stat().st_size > MAXIMUM_LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
        with self._pid_file(name).open("wb") as pid_file, log_file.open("ab") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _WRITE_PID_THEN_BECOME, name, *command],
                env=dict(environment),
                stdin=pid_file,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
        # We follow it by pid from here on, as the next process that looks at this state folder must.
        child.returncode = 0
        try:
            created_at = psutil.Process(child.pid).create_time()
        except psutil.NoSuchProcess:
            created_at = time.time()
        record = ServiceProcess(child.pid, created_at, fingerprint)
        write_atomically(self._pid_file(name), json.dumps(asdict(record)) + "\n")
        return record

    def stop(self, name: str, stop_signal: signal.Signals, grace_seconds: float) -> bool:
        """End a service and everything it started; True when something was running.

        It gets ``stop_signal`` and ``grace_seconds`` to end by itself; what is left of it then is killed.
        """
        record = self._read(name)
        if record is None:
            self._pid_file(name).unlink(missing_ok=True)
            return False
        family = _family(record)
        leader = [process for process in family if process.pid == record.pid]
        if self.find(name) and leader:
            _signal(leader[0], stop_signal)
            psutil.wait_procs(leader, timeout=grace_seconds)
        # Whatever it forked meanwhile is killed too, until nothing is left.
        while remaining := [process for process in {*family, *_family(record)} if _is_alive(process)]:
            for process in remaining:
                _signal(process, signal.SIGKILL)
            psutil.wait_procs(remaining, timeout=5)
        psutil.wait_procs(family, timeout=0)
        self._pid_file(name).unlink(missing_ok=True)
        return bool(family)

    def _pid_file(self, name: str) -> Path:
        return self._run / f"{name}.pid"

    def _read(self, name: str) -> ServiceProcess | None:
        path = self._pid_file(name)
        try:
            content = json.loads(path.read_text())
            if isinstance(content, int):
                return _unconfirmed(content, path.stat().st_mtime)
            return ServiceProcess(**content)
        except (FileNotFoundError, ValueError, TypeError):
            return None


def _unconfirmed(pid: int, written_at: float) -> ServiceProcess | None:
    """The process that wrote its own pid and whose starter was killed before it added the start time."""
    try:
        created_at = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
    if not -CLOCK_TOLERANCE_SECONDS <= written_at - created_at <= UNCONFIRMED_SECONDS:
        return None
    return ServiceProcess(pid, created_at, fingerprint="")


def _family(record: ServiceProcess) -> set[psutil.Process]:
    """The service and all its descendants, also those whose parents are dead: they share its session.

    The system gives no new process a number that is still in use as a session, so members of the session are
    ours unless the leader's number belongs to a process that started at another time.
    """
    family: set[psutil.Process] = set()
    try:
        leader = psutil.Process(record.pid)
        if abs(leader.create_time() - record.created_at) > CLOCK_TOLERANCE_SECONDS:
            return family
        family.add(leader)
        family.update(leader.children(recursive=True))
    except psutil.NoSuchProcess:
        pass
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == record.pid:
                member = psutil.Process(pid)
                if member.create_time() >= record.created_at - CLOCK_TOLERANCE_SECONDS:
                    family.add(member)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return family


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, which: signal.Signals) -> None:
    try:
        # psutil checks the start time once more before it sends.
        process.send_signal(which)
    except psutil.NoSuchProcess:
        return
