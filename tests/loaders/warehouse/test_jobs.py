"""A job runs once, whatever becomes of requests and answers, and never after it was given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from google.api_core.exceptions import Conflict
from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, WarehouseError, warehouse_of
from loaders.warehouse.jobs import JobAdriftError
from segue.settings import Settings
from tests.bigquery_process import BigQueryEmulator
from tests.bigquery_proxy import BigQueryProxy, Fault, Request

DEADLINE = 2.0


@pytest.fixture(scope="module")
def proxy(bigquery_emulator: BigQueryEmulator) -> Iterator[BigQueryProxy]:
    proxy = BigQueryProxy(bigquery_emulator.rest_endpoint)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings], proxy: BigQueryProxy) -> Settings:
    return world(
        "jobs",
        bigquery_endpoint=proxy.address,
        bigquery_deadline_seconds=DEADLINE,
        publish_deadline_seconds=DEADLINE,
        bigquery_request_seconds=0.5,
        bigquery_retry_seconds=2,
    )


@pytest.fixture(scope="module")
def patient_warehouse(settings: Settings) -> Warehouse:
    """Who prepares a test waits for a machine that is busy with other tests."""
    patient = warehouse_of(settings.model_copy(update={"bigquery_request_seconds": 30.0}))
    patient.ensure_dataset("d")
    return patient


@pytest.fixture(scope="module")
def warehouse(settings: Settings, patient_warehouse: Warehouse) -> Warehouse:  # noqa: ARG001 - of its dataset
    return warehouse_of(settings)


@pytest.fixture
def table(patient_warehouse: Warehouse, proxy: BigQueryProxy) -> Iterator[str]:
    """A new, empty table of numbers; afterwards nothing goes wrong any more."""
    name = f"{patient_warehouse.settings.project_id}.d.t{time.monotonic_ns()}"
    patient_warehouse.ensure_table(name, [bigquery.SchemaField("n", "INTEGER")])
    yield name
    proxy.fault = lambda _: ""
    proxy.done_seconds = 0.15


def once(what: str, which: Callable[[Request], Any] = lambda request: request.inserts) -> Fault:
    """What happens to the first of such requests."""
    left = count()

    def fault(request: Request) -> str:
        return what if which(request) and next(left) == 0 else ""

    return fault


def numbers(warehouse: Warehouse, table: str) -> list[int]:
    return [row.n for row in warehouse.run(f"select n from `{table}` order by n")]


@pytest.mark.parametrize(
    "what", ["reset", "lost", "late", "twice", "busy", "broken", "cut", "running", "failed job"]
)
def test_a_statement_runs_once_whatever_happens_to_it(
    what: str, proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.fault = once(what)
    warehouse.run(f"insert into `{table}` values (1)")
    assert numbers(warehouse, table) == [1]


@pytest.mark.parametrize("what", ["reset", "lost", "late", "twice", "busy", "broken", "cut"])
def test_rows_are_appended_once_whatever_happens_to_the_load(
    what: str, proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.fault = once(what, lambda request: request.is_upload)
    warehouse.append_json(table, '{"n": 1}\n{"n": 2}', [bigquery.SchemaField("n", "INTEGER")])
    assert numbers(warehouse, table) == [1, 2]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("what", ["reset", "lost", "busy", "broken"])
def test_other_calls_are_made_again(
    what: str, method: str, proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    def is_it(request: Request) -> bool:
        return request.method == method and not request.inserts

    proxy.fault = once(what, is_it)
    made = f"{table}_made"
    warehouse.ensure_table(made, [bigquery.SchemaField("n", "INTEGER")])
    warehouse.ensure_table(
        made, [bigquery.SchemaField("n", "INTEGER"), bigquery.SchemaField("m", "STRING", description="new")]
    )
    assert [field.name for field in warehouse.columns(made)] == ["n", "m"]
    warehouse.drop_table(made)
    assert warehouse.find_table(made) is None


@pytest.mark.usefixtures("table")
def test_pages_of_a_result_are_asked_for_again(proxy: BigQueryProxy, warehouse: Warehouse) -> None:
    proxy.fault = once("reset", lambda request: "pageToken" in request.path)
    rows = warehouse.run("select n from unnest(generate_array(1, 25000)) as n order by n")
    assert [row.n for row in rows] == list(range(1, 25_001))
    assert "reset" in proxy.happened


def test_what_is_not_done_by_its_deadline_is_cancelled_and_never_happens(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.done_seconds = DEADLINE + 1
    proxy.fault = once("running")
    with pytest.raises(WarehouseError, match=r"not done within 2 s; job segue_other_.* was cancelled"):
        warehouse.run(f"insert into `{table}` values (1)")
    time.sleep(1.5)
    assert numbers(warehouse, table) == []


def test_a_step_that_needs_longer_has_the_time_that_its_deadline_is_raised_to(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.done_seconds = DEADLINE + 0.5
    insert = f"insert into `{table}` values (1)"
    proxy.fault = once("running")
    with pytest.raises(WarehouseError, match="not done within 2 s"), warehouse.step("publish", "20260301"):
        warehouse.run(insert)

    raised = warehouse.settings.model_copy(update={"publish_deadline_seconds": 60})
    proxy.fault = once("running")
    with warehouse_of(raised).step("publish", "20260301"):
        warehouse_of(raised).run(insert)
    assert numbers(warehouse, table) == [1]


def test_a_job_that_is_done_when_it_is_given_up_is_done(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    """The emulator answers when the statement is done, here longer after the deadline than anybody waits."""

    def late(request: Request) -> str:
        # the insertion and every question about it
        return (
            "late" if request.inserts or ("/jobs/" in request.path and "cancel" not in request.path) else ""
        )

    before = time.monotonic()
    proxy.fault = lambda request: late(request) if time.monotonic() < before + DEADLINE else ""
    warehouse.run(f"insert into `{table}` values (1)")
    proxy.fault = lambda _: ""
    assert numbers(warehouse, table) == [1]


def test_a_statement_that_was_given_up_before_it_arrived_is_refused_when_it_does(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    held: list[Request] = []

    def hold(request: Request) -> str:
        if b"insert into" in request.body:
            held.append(request)
            return "reset"
        return ""

    proxy.fault = hold
    with pytest.raises(WarehouseError, match="was cancelled"):
        warehouse.run(f"insert into `{table}` values (1)")
    proxy.fault = lambda _: ""
    assert proxy.forward(held[0]).status == 409
    assert numbers(warehouse, table) == []


def test_a_job_that_cannot_be_cancelled_either_is_named(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.fault = lambda request: "reset" if "/jobs" in request.path else ""
    with pytest.raises(JobAdriftError, match=r"job segue_other_.* was given up and cannot be cancelled"):
        warehouse.run(f"insert into `{table}` values (1)")
    proxy.fault = lambda _: ""
    warehouse.run(f"insert into `{table}` values (1)")
    assert numbers(warehouse, table) == [1]


def test_a_later_try_waits_for_what_an_earlier_one_has_left_running(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    proxy.done_seconds = 1.0
    proxy.fault = once("running")
    warehouse.client.query(
        f"insert into `{table}` values (1)",
        job_id=f"segue_publish_20260301_{time.monotonic_ns()}",
        job_retry=None,
    )
    assert numbers(warehouse, table) == []
    with warehouse.step("publish", "20260302"):
        assert numbers(warehouse, table) == []
    with warehouse.step("publish", "20260301"):
        assert numbers(warehouse, table) == [1]


def test_a_job_says_whose_it_is_and_ends_by_itself(
    proxy: BigQueryProxy, warehouse: Warehouse, table: str
) -> None:
    seen: list[Request] = []
    proxy.fault = lambda request: seen.append(request) or ""  # type: ignore[func-returns-value]
    with warehouse.step("land", "2026-03-01"):
        warehouse.run(f"insert into `{table}` values (1)")
    [job_id] = [request.inserts for request in seen if request.inserts]
    assert job_id.startswith("segue_land_20260301_")
    job = warehouse.client.get_job(job_id)
    assert job.labels == {"step": "land"}
    assert job.configuration.job_timeout_ms == "1800000"


@pytest.mark.parametrize(("left", "milliseconds"), [(60, "60000"), (7_200, "1800000")])
def test_a_job_has_the_time_that_is_left_and_no_more_than_its_step_gives(
    proxy: BigQueryProxy, warehouse: Warehouse, left: float, milliseconds: str
) -> None:
    seen: list[Request] = []
    proxy.fault = lambda request: seen.append(request) or ""  # type: ignore[func-returns-value]
    with warehouse.step("land", "2026-03-01"), warehouse.within(left):
        warehouse.run("select 1")
    [job_id] = [request.inserts for request in seen if request.inserts]
    assert warehouse.client.get_job(job_id).configuration.job_timeout_ms == milliseconds


def test_an_id_that_is_known_is_answered_with_409_and_runs_nothing(warehouse: Warehouse, table: str) -> None:
    """What the service does, and the emulator by itself does not."""
    name = f"again_{time.monotonic_ns()}"
    insert = f"insert into `{table}` values (1)"
    warehouse.client.query(insert, job_id=name, retry=None, job_retry=None).result()
    for statement in (insert, "select 1"):
        with pytest.raises(Conflict, match="Already Exists: Job"):
            warehouse.client.query(statement, job_id=name, retry=None, job_retry=None)
    assert numbers(warehouse, table) == [1]


def test_a_script_that_raises_fails_as_a_job_and_not_as_a_server(warehouse: Warehouse) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseError, match="that will do"):
        warehouse.run("raise using message = 'that will do';")
    assert time.monotonic() - started < 2
