"""The network to Bigtable goes during a load, and comes back without the connections that there were."""

from __future__ import annotations

import threading
import time
from datetime import date
from typing import Any

import grpc
import pytest

from loaders.bigtable import LoadOutcome, scan, verify
from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from segue.settings import Settings
from tests.bigtable_fixture import FaultyBigtable, account, offer, source
from tests.tcp_proxy import HASTY_KEEPALIVE, TcpProxy


def test_a_load_goes_on_when_the_network_is_back(
    faulty_bigtable: tuple[FaultyBigtable, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.bigtable.connection.KEEPALIVE", HASTY_KEEPALIVE)
    proxy, settings = faulty_bigtable
    network = TcpProxy(str(settings.bigtable_emulator_host))
    cut_at: list[float] = []

    def cut(_request: Any, _context: grpc.ServicerContext) -> None:
        if not cut_at:
            cut_at.append(time.monotonic())
            network.cut()
            threading.Timer(1, network.mend, kwargs={"forgotten": True}).start()

    proxy.fault = cut
    behind = settings.model_copy(update={"bigtable_emulator_host": network.address})

    loaded = load_generation(
        behind, date(2026, 1, 1), source(*(account(f"a-{n}", offer()) for n in range(50)))
    )

    network.close()
    assert (loaded.outcome, loaded.rows_out, loaded.dead_lettered) == (LoadOutcome.PUBLISHED, 50, 0)
    # A request that nobody answers is waited for a minute.
    assert time.monotonic() - cut_at[0] < 50
    assert loaded.generation_ms is not None
    assert verify(settings, loaded.generation_ms).rows_out == 50


def test_rows_that_are_being_read_come_when_the_network_is_back(
    faulty_bigtable: tuple[FaultyBigtable, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.bigtable.cells.KEEPALIVE", HASTY_KEEPALIVE)
    proxy, settings = faulty_bigtable
    accounts = [account(f"a-{n}", offer()) for n in range(50)]
    loaded = load_generation(settings, date(2026, 1, 1), source(*accounts))
    assert loaded.generation_ms is not None
    network = TcpProxy(str(settings.bigtable_emulator_host))
    # The first answer is given when the network has gone and come back.
    proxy.reads_to_delay = 1
    threading.Timer(1, network.cut).start()
    threading.Timer(2, network.mend, kwargs={"forgotten": True}).start()

    with open_table(settings.model_copy(update={"bigtable_emulator_host": network.address})) as table:
        found = scan.visible(table, loaded.generation_ms, scan.ALL_ACCOUNTS, time.monotonic() + 50)

    network.close()
    assert proxy.reads_to_delay == 0
    assert len(found.keys) == 50
