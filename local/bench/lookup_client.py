"""One measurement of ``local.bench.lookup``: READER IN_FLIGHT ACCOUNTS SECONDS; prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any

import grpc
import psutil
import uvloop

from loaders.bigtable.filters import visible_at
from local.bench.lookup import account_id
from segue.settings import Settings, get_settings
from segue_client.bigtable.row_key import row_key
from segue_client.wire.offers_pb2 import LookupRequest
from serving.configured import open_async_reader

LookUp = Callable[[str], Awaitable[Any]]
_WARM_UP_SECONDS = 0.5


@asynccontextmanager
async def _official(settings: Settings) -> AsyncIterator[LookUp]:
    """Google's async data client, with the pointer known: one read a lookup, as ours."""
    from google.cloud.bigtable.data import BigtableDataClientAsync

    async with open_async_reader(settings) as reader:
        visible = visible_at((await reader.pointer()).generation_ms)
    os.environ["BIGTABLE_EMULATOR_HOST"] = settings.bigtable_emulator_host or ""
    async with (
        BigtableDataClientAsync(project=settings.project_id) as client,
        client.get_table(settings.bigtable_instance, settings.bigtable_table) as table,
    ):
        yield lambda account: table.read_row(row_key(account), row_filter=visible)


@asynccontextmanager
async def _library(settings: Settings) -> AsyncIterator[LookUp]:
    async with open_async_reader(settings, timeout_seconds=settings.lookup_timeout_seconds) as reader:
        yield reader.lookup


@asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[LookUp]:
    """The service, asked with as little client work as can be: what is measured is the service."""
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(int(os.environ.get("SEGUE_BENCH_CONNECTIONS", "1"))):
            channel = grpc.aio.insecure_channel(
                settings.service_address, options=[("grpc.use_local_subchannel_pool", 1)]
            )
            await stack.enter_async_context(channel)
            calls.append(
                channel.unary_unary(
                    "/segue.offers.v1.OfferLookup/Lookup", request_serializer=LookupRequest.SerializeToString
                )
            )
        turns = cycle(calls)
        yield lambda account: next(turns)(LookupRequest(account_id=account))


READERS = {"official": _official, "library": _library, "service": _service}


async def measure(reader: str, in_flight: int, accounts: int, seconds: float) -> dict[str, float]:
    """Looks random accounts up, ``in_flight`` at a time, for some seconds."""
    took: list[float] = []
    chosen = random.Random(1)
    async with READERS[reader](get_settings()) as look_up:

        async def keep_looking(until: float, note: Callable[[float], None]) -> None:
            while (started := time.perf_counter()) < until:
                await look_up(account_id(chosen.randrange(accounts)))
                note(time.perf_counter() - started)

        async def all_of_them(length: float, note: Callable[[float], None]) -> float:
            started = time.perf_counter()
            await asyncio.gather(*(keep_looking(started + length, note) for _ in range(in_flight)))
            return time.perf_counter() - started

        await all_of_them(_WARM_UP_SECONDS, lambda _: None)
        cpu = _cpu_seconds()
        elapsed = await all_of_them(seconds, took.append)
        cpu = _cpu_seconds() - cpu
    took.sort()
    return {
        "lookups": len(took),
        "per_second": len(took) / elapsed,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "cpu_us": cpu / len(took) * 1e6,
    }


def _cpu_seconds() -> float:
    """CPU time of whoever reads the table: this process, or the service that it asks."""
    times = psutil.Process(int(os.environ.get("SEGUE_BENCH_CPU_OF", os.getpid()))).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if core := os.environ.get("SEGUE_BENCH_CORE"):
        psutil.Process().cpu_affinity([int(core)])
    name, in_flight_, accounts_, seconds_ = sys.argv[1:]
    print(json.dumps(uvloop.run(measure(name, int(in_flight_), int(accounts_), float(seconds_)))))
