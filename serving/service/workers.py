"""Several processes that answer on one port: Python uses one core, and the kernel deals connections out."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
import sys
from contextlib import closing
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

import structlog
import uvloop

from segue.errors import SegueError
from segue.settings import Settings
from serving.service.certificates import ServiceConfigurationError
from serving.service.server import serve

_SPAWN: Final = multiprocessing.get_context("spawn")
"""A copy of a process that uses gRPC cannot use it."""

_log = structlog.get_logger()


def serve_in_process(settings: Settings, **arguments: Any) -> None:
    """Answers lookups until SIGTERM or SIGINT, as ``serve``; logs JSON lines to standard error.

    Raises:
        ServiceConfigurationError: it cannot be started like this.
    """
    _log_as_json()
    uvloop.run(serve(settings, **arguments))


def serve_in_workers(settings: Settings, workers: int) -> None:
    """As ``serve_in_process``, in so many processes on one port; their metrics ports follow each other.

    Raises:
        ServiceConfigurationError: it cannot be started like this.
        WorkerDiedError: a worker ended by itself; the others were told to end.
    """
    _log_as_json()
    host, port = _refuse_taken(settings.service_address)
    with closing(_reserve(host, port)) as reserved:
        address = f"{settings.service_address.rpartition(':')[0]}:{reserved.getsockname()[1]}"
        running = [
            _SPAWN.Process(
                target=_work,
                args=(
                    settings.model_copy(
                        update={
                            "service_address": address,
                            "service_metrics_address": _nth_port(settings.service_metrics_address, number),
                        }
                    ),
                ),
                name=f"worker {number}",
            )
            for number in range(workers)
        ]
        _run(running)


class WorkerDiedError(ServiceConfigurationError):
    """A worker ended though nobody told it to; its log says why."""

    code = "worker_died"
    hint = "the lines before in the log are the worker's; whatever runs the service starts it again"


def _run(workers: list[SpawnProcess]) -> None:
    told = False

    def tell(_number: int, _frame: object) -> None:
        nonlocal told
        told = True
        for each in workers:
            if each.is_alive():
                each.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    for each in workers:
        each.start()
    running: dict[object, SpawnProcess] = {each.sentinel: each for each in workers}
    died = []
    while running:
        for sentinel in wait([each.sentinel for each in running.values()]):
            ended = running.pop(sentinel)
            ended.join()
            if not told or ended.exitcode:
                died.append(f"{ended.name} ended with {ended.exitcode}")
                _log.error("a worker died", worker=ended.name, exit_code=ended.exitcode)
                tell(0, None)
    if died:
        raise WorkerDiedError("; ".join(died))


def _work(settings: Settings) -> None:
    _log_as_json()

    async def until_told_or_left_alone() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        left_alone = asyncio.Event()
        asyncio.get_running_loop().add_reader(parent.sentinel, left_alone.set)
        await serve(settings, shares_port=True, also_until=left_alone)

    try:
        uvloop.run(until_told_or_left_alone())
    except SegueError as error:
        _log.error("the worker cannot serve", cause=str(error))
        sys.exit(error.exit_code)


def _refuse_taken(address: str) -> tuple[str, int]:
    """The host and port to listen on; raises when somebody else does, who would get half of the calls."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with closing(_socket(host)) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, int(port)))
    except OSError as error:
        raise ServiceConfigurationError(f"cannot listen on {address}: {error.strerror}") from error
    return host, int(port)


def _reserve(host: str, port: int) -> socket.socket:
    """Keeps the port, or finds one for port 0, without listening: connections go to the workers only."""
    reserved = _socket(host)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    return reserved


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _nth_port(address: str | None, number: int) -> str | None:
    """The address of the nth of several processes; a free port stays a free port."""
    if not address:
        return address
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + number if int(port) else 0}"


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        # a line in one write, so that lines of several processes do not mix
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
