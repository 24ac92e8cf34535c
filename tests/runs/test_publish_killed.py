"""The embedded BigQuery is killed while a run is published: readers see all of the old or all of the new.

``SEGUE_SOAK_SEEDS`` kills it more often than every test run has time for (``make soak``).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from runs.publish import publish
from runs.published import PublishedMart
from segue.settings import Settings
from segue.window import RunWindow
from tests.bigquery_process import BigQueryProcess
from tests.judged import let_through

SEEDS = range(int(os.environ.get("SEGUE_SOAK_SEEDS", "2")))
D1, D3 = date(2026, 3, 1), date(2026, 3, 3)
MARTS = [PublishedMart(f"fct_{name}", "day", 0, "Rows.") for name in ("one", "two", "three", "four")]
ROWS = 5_000
"""Of each mart and day."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryProcess]:
    process = BigQueryProcess(tmp_path_factory.mktemp("killed"))
    yield process
    process.kill()


@pytest.fixture(scope="module")
def settings(process: BigQueryProcess, world: Callable[..., Settings]) -> Settings:
    """A world with a published run, whose publisher gives up at once."""
    settings = world(
        "killed",
        bigquery_endpoint=process.emulator.rest_endpoint,
        bigquery_storage_endpoint=process.emulator.storage_endpoint,
        bigquery_deadline_seconds=20,
        bigquery_retry_seconds=0,
    )
    publish(settings, build(settings, "first"), MARTS)
    return settings


def build(settings: Settings, known: str) -> RunWindow:
    """An attempt that the gate has let through."""
    window = RunWindow.whole(settings, D1, D3).new_attempt(settings, "")
    warehouse_of(settings).ensure_dataset(window.audit_dataset)
    for mart in MARTS:
        warehouse_of(settings).run(
            f"create table {window.table(mart.name)} partition by day as "
            f"select day, '{known}' as known, n from unnest(generate_date_array('{D1}', '{D3}')) as day "
            f"cross join unnest(generate_array(1, {ROWS})) as n"
        )
    let_through(settings, window, MARTS)
    return window


def contents(warehouse: Warehouse) -> dict[str, int]:
    """In one query: how many rows of all marts know what."""
    union = " union all ".join(f"select known from `marts.{mart.name}`" for mart in MARTS)
    return {
        row.known: row.n for row in warehouse.run(f"select known, count(*) as n from ({union}) group by 1")
    }


def publications(warehouse: Warehouse) -> dict[str, int]:
    """Partitions recorded by each publication."""
    sql = "select publication_id, count(*) as n from `ops.publications` group by 1"
    return {row.publication_id: row.n for row in warehouse.run(sql)}


class Reader:
    """Reads one table after the other over the Storage Read API, as a dashboard may, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self.seen: Counter[tuple[tuple[str, int], ...]] = Counter()
        self._warehouse = Warehouse(settings)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stopped.is_set():
            for mart in MARTS:
                with suppress(GoogleAPIError):
                    table = self._warehouse.table("marts", mart.name)
                    found: Counter[str] = Counter()
                    for batch in self._warehouse.read_arrow(table, columns=["known"]):
                        found.update(batch.column(0).to_pylist())
                    self.seen[tuple(sorted(found.items()))] += 1


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_a_random_point_of_a_publication_all_marts_are_old_or_all_are_new(
    seed: int, process: BigQueryProcess, settings: Settings
) -> None:
    warehouse = warehouse_of(settings)
    [(old, every)] = contents(warehouse).items()
    new = f"of seed {seed}"
    window = build(settings, new)
    recorded = publications(warehouse)
    reader = Reader(settings)
    failed: list[Exception] = []

    def publish_meanwhile() -> None:
        try:
            publish(settings, window, MARTS)
        except (WarehouseError, GoogleAPIError, OSError) as error:
            failed.append(error)

    publisher = threading.Thread(target=publish_meanwhile)
    publisher.start()
    publisher.join(random.Random(f"kill {seed}").uniform(0.05, 0.6))
    process.kill()
    process.start()
    publisher.join()

    found = contents(warehouse)
    assert found in ({old: every}, {new: every})
    assert bool(publications(warehouse).keys() - recorded.keys()) is (new in found)

    publish(settings, window, MARTS)
    reader.stop()
    assert contents(warehouse) == {new: every}
    made = {key: n for key, n in publications(warehouse).items() if key not in recorded}
    assert list(made.values()) == [len(MARTS) * 3], "one publication, each partition once"
    whole = every // len(MARTS)
    assert set(reader.seen) <= {((old, whole),), ((new, whole),)}
    assert reader.seen, "the reader saw nothing"


def test_who_reads_beside_a_transaction_sees_what_was_before_it(settings: Settings) -> None:
    """Between its statements too, whichever way it is read."""
    warehouse = warehouse_of(settings)
    [(old, every)] = contents(warehouse).items()
    slow = "select sum(sqrt(n)) from unnest(generate_array(1, 1000000)) as n"
    window = build(settings, old)
    moved = [
        f"delete from `marts.{mart.name}` where true; {slow}; "
        f"insert into `marts.{mart.name}` select * from {window.table(mart.name)}"
        for mart in MARTS
    ]
    readers = [Reader(settings) for _ in range(4)]
    for _ in range(3):
        warehouse.run(f"begin transaction; {'; '.join(moved)}; commit transaction;")
    for reader in readers:
        reader.stop()
        assert set(reader.seen) == {((old, every // len(MARTS)),)}


def test_a_statement_whose_answer_was_lost_with_the_server_is_found_after_the_restart(
    process: BigQueryProcess, settings: Settings
) -> None:
    """What a job has committed and that it has is one transaction."""
    patient = settings.model_copy(update={"bigquery_retry_seconds": 30.0})
    warehouse = warehouse_of(patient)
    warehouse.ensure_dataset("d")
    table = warehouse.table("d", "counted")
    warehouse.ensure_table(table, [bigquery.SchemaField("n", "INTEGER")])
    script = f"begin transaction; insert into `{table}` values (1); commit transaction;"
    warehouse.client.query(script, job_id="lost", job_retry=None).result()
    process.kill()
    process.start()

    def send(job_id: str) -> Any:
        return warehouse.client.query(script, job_id=job_id, retry=None, job_retry=None)

    job = warehouse._jobs._sent(lambda _: send("lost"), "lost", time.monotonic() + 30)
    assert job.state == "DONE"
    assert [row.n for row in warehouse.run(f"select n from `{table}`")] == [1]
