"""The network to BigQuery goes, and comes back: with the connections that there were, or without them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from urllib3.connection import HTTPConnection

from loaders.warehouse.client import Warehouse
from loaders.warehouse.connections import notice_dead_connections
from segue.settings import Settings
from tests.tcp_proxy import HASTY_KEEPALIVE, TcpProxy

ROWS = 1_000_000
"""Too many for what a network holds: they are still coming when it goes."""

AND_BACK = pytest.mark.parametrize("forgotten", [False, True], ids=["resumed", "forgotten"])


@pytest.fixture(scope="module")
def made(world: Callable[..., Settings]) -> Settings:
    """A world with a table that is read, and one that is written to."""
    settings = world("network", bigquery_request_seconds=1.0, bigquery_retry_seconds=5.0)
    warehouse = Warehouse(settings)
    warehouse.ensure_dataset("d")
    warehouse.run(f"create table `d.many` as select n from unnest(generate_array(1, {ROWS})) as n")
    return settings


@pytest.fixture
def networks(
    made: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Warehouse, TcpProxy, TcpProxy]]:
    """The warehouse behind two networks: of its requests, and of what it reads."""
    monkeypatch.setattr("loaders.warehouse.client.KEEPALIVE", HASTY_KEEPALIVE)
    requests = TcpProxy(str(made.bigquery_endpoint).removeprefix("http://"))
    reads = TcpProxy(str(made.bigquery_storage_endpoint))
    behind = {
        "bigquery_endpoint": f"http://{requests.address}",
        "bigquery_storage_endpoint": reads.address,
    }
    yield Warehouse(made.model_copy(update=behind)), requests, reads
    requests.close()
    reads.close()


@AND_BACK
def test_rows_that_are_being_read_come_each_once(
    networks: tuple[Warehouse, TcpProxy, TcpProxy], forgotten: bool
) -> None:
    warehouse, _, network = networks
    batches = warehouse.read_arrow(warehouse.table("d", "many"))
    numbers = next(batches).column("n").to_pylist()
    network.cut()
    threading.Timer(1, network.mend, kwargs={"forgotten": forgotten}).start()

    for batch in batches:
        numbers += batch.column("n").to_pylist()

    assert len(numbers) == ROWS
    assert set(numbers) == set(range(1, ROWS + 1))


@AND_BACK
def test_a_statement_under_way_is_done_once(
    networks: tuple[Warehouse, TcpProxy, TcpProxy], forgotten: bool
) -> None:
    warehouse, network, _ = networks
    warehouse.run("create or replace table `d.written` (n int64)")
    threading.Timer(0.05, network.cut).start()
    # Longer than a request is waited for, so that it is made again.
    threading.Timer(2, network.mend, kwargs={"forgotten": forgotten}).start()
    began = time.monotonic()

    warehouse.run(
        "begin transaction; insert into `d.written` select count(*) from "
        "unnest(generate_array(1, 5000000)) as n where sqrt(n) > 3; commit transaction;"
    )

    assert time.monotonic() - began > 2, "it was done before the network went"
    assert [row.n for row in warehouse.run("select count(*) as n from `d.written`")] == [1]


def test_the_kernel_asks_for_whoever_answers_no_more(made: Settings) -> None:
    """Of dbt's requests as well, whose own limit is that of the job."""
    notice_dead_connections()
    connection = HTTPConnection(*str(made.bigquery_endpoint).removeprefix("http://").split(":"))
    connection.connect()

    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    connection.close()
