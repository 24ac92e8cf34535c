"""What dbt does when the answer to a statement is lost: it finds the job again, and builds nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from segue.settings import Settings
from segue.window import RunWindow
from tests.bigquery_process import BigQueryEmulator
from tests.bigquery_proxy import BigQueryProxy, Request

DAY = date(2026, 3, 5)


def test_a_model_whose_answer_is_lost_is_built_once(
    dbt_world: Callable[..., Settings], bigquery_emulator: BigQueryEmulator
) -> None:
    sent: list[str] = []

    def lose_the_first(request: Request) -> str:
        if request.inserts and b"dim_date" in request.body:
            sent.append(request.inserts)
            return "lost" if len(sent) == 1 else ""
        return ""

    proxy = BigQueryProxy(bigquery_emulator.rest_endpoint, lose_the_first)
    settings = dbt_world("lost", bigquery_endpoint=proxy.address)
    window = RunWindow.whole(settings, DAY, DAY)
    try:
        build(settings, window, ["dim_date"])
    finally:
        proxy.close()

    warehouse = warehouse_of(
        settings.model_copy(update={"bigquery_endpoint": bigquery_emulator.rest_endpoint})
    )
    # Sent again under the same id, which BigQuery runs once (tests/loaders/warehouse/test_jobs.py).
    assert sent == [sent[0]] * 2
    assert warehouse.find_table(warehouse.table(window.audit_dataset, "dim_date")) is not None
