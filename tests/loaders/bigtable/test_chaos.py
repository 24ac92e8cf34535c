"""Whatever the server does and whenever the loader is killed: the content is the source minus dead letters.

``SEGUE_SOAK_SEEDS`` runs more seeds than the few that every test run has time for (``make soak``).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from loaders.bigtable import list_generations, rollback, verify
from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.pointer import read_pointer
from loaders.bigtable.scan import payloads_of
from segue.settings import Settings
from segue_client.bigtable.row_key import row_key
from segue_client.wire.offers_pb2 import AccountOffers
from tests.bigtable_fixture import FaultyBigtable, MutateRowsResponse, source
from tests.loaders.bigtable import killed_load
from tests.loaders.bigtable.killed_load import DAY_1, DAY_2, rows_after, rows_before, settings_of
from tests.tcp_proxy import TcpProxy

SEEDS = range(int(os.environ.get("SEGUE_SOAK_SEEDS", "2")))
KILLS = 2
TRIES = 20
"""Runs that are not killed may still be cut off from Bigtable: whoever schedules them runs them again."""

CERTAIN = {"failed call", "omitted", "entries"}
_TRANSIENT = (code_pb2.UNAVAILABLE, code_pb2.ABORTED, code_pb2.RESOURCE_EXHAUSTED)


class Chaos:
    """Misbehaves at random, but by a seed: each request draws what happens to it."""

    def __init__(self, proxy: FaultyBigtable, seed: int) -> None:
        self._proxy = proxy
        self._draw = random.Random(f"chaos {seed}")
        self._lock = threading.Lock()
        self.refused = {row_key(f"account-{number}") for number in self._draw.sample(range(900), 12)}
        self.happened: dict[str, int] = {}
        proxy.fault = self._before
        proxy.lose = self._after

    def _choose(self, *choices: tuple[str, float]) -> str:
        with self._lock:
            # also a load of few requests meets each of these once
            for name, _ in choices:
                if name in CERTAIN and name not in self.happened:
                    self.happened[name] = 1
                    return name
            lot = self._draw.random()
            for name, share in choices:
                lot -= share
                if lot < 0:
                    self.happened[name] = self.happened.get(name, 0) + 1
                    return name
        return ""

    def _before(self, request: Any, context: grpc.ServicerContext) -> Any:
        what = self._choose(
            ("failed call", 0.1), ("slow", 0.1), ("nothing acknowledged", 0.05), ("entries", 0.2)
        )
        if what == "failed call":
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        if what == "slow":
            time.sleep(0.1)
        if what == "nothing acknowledged":
            return MutateRowsResponse()

        def code_of(entry: Any) -> int:
            if entry.row_key in self.refused and any(each.set_cell.value for each in entry.mutations):
                return int(code_pb2.OUT_OF_RANGE)
            with self._lock:
                if what == "entries" and self._draw.random() < 0.3:
                    return int(self._draw.choice(_TRANSIENT))
            return 0

        return self._proxy.apply(request, code_of)

    def _after(self, _response: Any) -> None:
        pass


class Acknowledgements:
    """Takes acknowledgements out of answers on their way back: what was written looks as if it was not."""

    def __init__(self, chaos: Chaos, proxy: FaultyBigtable) -> None:
        before = proxy.fault

        def fault(request: Any, context: grpc.ServicerContext) -> Any:
            answer = before(request, context)
            if answer is not None and answer.entries and chaos._choose(("omitted", 0.15)):
                del answer.entries[:: 1 + len(answer.entries) // 3]
            return answer

        proxy.fault = fault


@pytest.fixture
def unreliable(faulty_bigtable: tuple[FaultyBigtable, Settings]) -> Iterator[tuple[FaultyBigtable, TcpProxy]]:
    """The emulator behind a proxy that may misbehave, behind a network that may reset."""
    proxy, settings = faulty_bigtable
    network = TcpProxy(str(settings.bigtable_emulator_host))
    yield proxy, network
    network.close()


@pytest.fixture(scope="module")
def processes() -> Any:
    """Starts processes at once: copies of one that has imported everything and opened nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.loaders.bigtable.killed_load"])
    return context


def visible(settings: Settings) -> dict[str, AccountOffers]:
    """What readers see, by account, without which attempt wrote it."""
    with open_table(settings) as table:
        current = read_pointer(table)
        assert current is not None
        found = [
            AccountOffers.FromString(payload)
            for _, payload in payloads_of(table, current.generation_ms, time.monotonic() + 60)
        ]
    for each in found:
        each.ClearField("generation_ms")
        each.ClearField("segment_date")
    return {each.account_id: each for each in found}


def contents(emulator: str, name: str, rows: list[dict[str, Any]]) -> dict[str, AccountOffers]:
    """What readers see after an undisturbed load of rows into an empty table."""
    settings = settings_of(f"segue-undisturbed-{name}", emulator)
    load_generation(settings, DAY_2, source(*rows))
    return visible(settings)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_points_under_every_fault_the_content_is_the_source_minus_dead_letters(
    seed: int,
    bigtable_world: Settings,
    bigtable_emulator: str,
    unreliable: tuple[FaultyBigtable, TcpProxy],
    processes: Any,
    tmp_path: Path,
) -> None:
    proxy, network = unreliable
    direct = settings_of(bigtable_world.project_id, bigtable_emulator)
    first = load_generation(direct, DAY_1, source(*rows_before(seed))).generation_ms
    before = visible(direct)
    chaos = Chaos(proxy, seed)
    Acknowledgements(chaos, proxy)
    draw = random.Random(f"kills {seed}")
    arguments = (bigtable_world.project_id, network.address, seed, str(tmp_path))

    for _ in range(KILLS):
        process = processes.Process(target=killed_load.load, args=arguments)
        process.start()
        process.join(draw.uniform(0.2, 2.0))
        if process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            chaos.happened["killed"] = chaos.happened.get("killed", 0) + 1
    for _ in range(TRIES):
        process = processes.Process(target=killed_load.load, args=arguments)
        process.start()
        while process.is_alive():
            process.join(draw.uniform(0.5, 2.0))
            network.reset()
        ended = json.loads((tmp_path / "ended").read_text())
        if ended["outcome"] == "published":
            break
        assert ended["outcome"] == "unacknowledged", ended
    assert ended["outcome"] == "published", ended

    after = rows_after(seed)
    same = {row["account_id"] for row in rows_before(seed)} & {
        row["account_id"] for row in after if row in rows_before(seed)
    }
    dead = {
        row["account_id"]
        for row in after
        if row_key(row["account_id"]) in chaos.refused and row["account_id"] not in same
    }
    kept = [name for file in tmp_path.glob("refused.*") for name in json.loads(file.read_text())]
    assert sorted(kept) == sorted(dead)
    assert (ended["rows_in"], ended["dead_lettered"]) == (len(after), len(dead))
    assert ended["rows_in"] == ended["rows_out"] + ended["dead_lettered"]
    expected = contents(
        bigtable_emulator,
        f"{bigtable_world.project_id}-{seed}",
        [row for row in after if row["account_id"] not in dead],
    )
    assert visible(direct) == expected
    assert verify(direct, ended["generation_ms"]).rows_out == len(expected)
    assert chaos.happened.keys() >= CERTAIN
    # and what was published before is still whole
    assert first is not None
    rollback(direct, first)
    assert visible(direct) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_two_loaders_at_the_same_time_publish_one_consistent_generation(
    seed: int, bigtable_world: Settings, bigtable_emulator: str, processes: Any, tmp_path: Path
) -> None:
    settings = settings_of(bigtable_world.project_id, bigtable_emulator)
    load_generation(settings, DAY_1, source(*rows_before(seed)))
    draw = random.Random(f"race {seed}")
    # every third race is between two processes that load the same rows: they share a generation
    loaders = ("one", "one") if seed % 3 == 2 else ("one", "two")
    running = []
    for number, loader in enumerate(loaders):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = (bigtable_world.project_id, bigtable_emulator, seed, str(folder), loader)
        process = processes.Process(target=killed_load.load, args=arguments)
        process.start()
        running.append((process, folder / f"ended{loader}"))
        time.sleep(draw.uniform(0.0, 0.3))
    for process, _ in running:
        process.join()
    ends = [json.loads(file.read_text()) for _, file in running]
    assert "published" in [each["outcome"] for each in ends], ends
    assert {each["outcome"] for each in ends} <= {"published", "overtaken", "superseded"}, ends
    possible = [
        contents(bigtable_emulator, f"{bigtable_world.project_id}-{loader}", rows_after(seed, loader))
        for loader in dict.fromkeys(loaders)
    ]
    assert visible(settings) in possible
    (published,) = [row for row in list_generations(settings) if row.is_published]
    verify(settings, published.manifest.generation_ms)
