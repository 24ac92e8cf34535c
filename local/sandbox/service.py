"""Runs the sandbox: an emulator of its own, the test accounts in it, and the lookup service before it.

Everything but the accounts that misbehave is what production runs: the loader writes a generation, the
service reads, judges, limits and refuses. It listens on loopback only, whatever the environment says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from local.sandbox.accounts import SandboxAccount, load_sandbox_accounts, sandbox_accounts
from local.services.bigtable import running_alone
from local.services.errors import ServiceError
from local.services.ports import LOOPBACK, is_free
from segue.settings import Settings, get_settings
from segue_client.answer import Lookup
from segue_client.bigtable.reader import AsyncOfferReader
from segue_client.errors import (
    LookupTimeoutError,
    NothingPublishedError,
    SegueClientError,
    UnavailableError,
    UnreadableOffersError,
)
from serving.service.callers import CallerEntry, hash_token, write_callers
from serving.service.server import RunningService
from serving.service.workers import serve_in_process

PROJECT_ID: Final = "segue-sandbox"

TOKENS: Final = {"test-token": 100_000.0, "test-token-5-per-second": 5.0}
"""The callers' tokens, no secrets, and how many accounts a second each may look up."""

_ASKED_FOR: Final = "the sandbox was asked for this"
_FAILURES: Final[dict[str, type[SegueClientError]]] = {
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": LookupTimeoutError,
    "FAILED_PRECONDITION": NothingPublishedError,
    "DATA_LOSS": UnreadableOffersError,
}
"""What the store does for the service to answer with such a status."""


class SandboxReader(AsyncOfferReader):
    """Reads as any other, but some accounts are slow, and some fail as a store may."""

    _flaky_calls = 0

    async def lookup(self, account_id: str) -> Lookup:
        """As ``AsyncOfferReader``, and whatever the test account stands for."""
        await self._behave([account_id])
        return await super().lookup(account_id)

    async def lookup_many(self, account_ids: Sequence[str]) -> list[Lookup]:
        """As ``AsyncOfferReader``, and whatever the test accounts stand for."""
        await self._behave(account_ids)
        return await super().lookup_many(account_ids)

    async def _behave(self, account_ids: Sequence[str]) -> None:
        declared = {each.account_id: each for each in sandbox_accounts()}
        for account_id in account_ids:
            if account_id in declared:
                await self._behave_as(declared[account_id])

    async def _behave_as(self, account: SandboxAccount) -> None:
        if account.status is not None:
            raise _FAILURES[account.status](_ASKED_FOR)
        if account.fails_every_second_call:
            self._flaky_calls += 1
            if self._flaky_calls % 2:
                raise UnavailableError(_ASKED_FOR)
        await asyncio.sleep(account.delay_seconds)


@dataclass(frozen=True)
class Addresses:
    """Where a sandbox answers (host:port): its service, and the emulator for those who read the table."""

    service: str
    bigtable_emulator: str


def run_sandbox(port: int, on_listening: Callable[[Addresses], None]) -> None:
    """Serves the test accounts on a port of loopback (0: any that is free) until SIGTERM or SIGINT.

    Raises:
        ServiceError: the port is taken, there is no Bigtable emulator on this machine, or it did not start.
    """
    if port and not is_free(port):
        raise ServiceError(
            f"port {port} is taken: choose another with --port, or any that is free with --port 0"
        )
    # what the loader has to say of ten rows would hide what the sandbox says
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with sandbox_settings(port) as settings:
        emulator = settings.bigtable_emulator_host or ""

        def say(running: RunningService) -> None:
            on_listening(Addresses(f"{LOOPBACK}:{running.port}", emulator))

        serve_in_process(settings, reader=SandboxReader, on_listening=say)


@contextmanager
def sandbox_settings(port: int) -> Iterator[Settings]:
    """Settings of a service on a new emulator in which the test accounts are loaded."""
    with TemporaryDirectory() as folder, running_alone(get_settings().state_dir) as emulator:
        callers = Path(folder) / "callers.yml"
        write_callers(callers, [_caller(token) for token in TOKENS])
        settings = Settings(  # type: ignore[call-arg]
            _env_file=None,
            project_id=PROJECT_ID,
            bigtable_emulator_host=emulator.host,
            service_address=f"{LOOPBACK}:{port}",
            service_metrics_address=None,
            service_callers_file=callers,
            service_drain_wait_seconds=0,
            service_drain_seconds=1,
        )
        load_sandbox_accounts(settings)
        yield settings


def _caller(token: str) -> CallerEntry:
    return CallerEntry(name=token, token_sha256=hash_token(token), lookups_per_second=TOKENS[token])
