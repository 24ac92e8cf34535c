"""What the log of a failed task says: the sentence, what to do, where; no pages of frames."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segue.settings import PROJECT_ROOT
from tests.otlp_collector import Collector, collector

# Runs in a process of its own: importing Airflow decides its home folder for the whole process.
FAIL = """
import json, sys
from datetime import date
from types import SimpleNamespace
from structlog.contextvars import get_contextvars
from airflow.sdk.execution_time.context import set_current_context
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.landing.errors import LandingError
from loaders.landing.header import check_columns
from loaders.landing.contracts import CONTRACTS
from runs.task_defaults import failures_told, task_told
from runs.handover import left_by
from airflow.sdk._shared.logging.structlog import structlog_processors
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

def landing():
    try:
        json.loads("{")
    except ValueError as error:
        raise LandingError("fx_rates/2026-03-10/a.csv: is empty") from error

def columns():
    check_columns(CONTRACTS["fx_rates"], "a.csv", ["day"])

def disk_full():
    raise OSError(28, "No space left on device", "/state/scratch")

def nothing_left():
    left_by("land", "build", [None])

def product():
    {}["oops"]

def skipped():
    raise AirflowSkipException("later")

told = {}
for fail in (landing, columns, disk_full, nothing_left, product, skipped):
    print(f"--- {fail.__name__}")
    try:
        with failures_told():
            fail()
    except Exception as error:
        processors = structlog_processors(json_output=True)[0]
        event = {"event": "Task failed with exception", "exc_info": sys.exc_info()}
        for processor in processors:
            if type(processor).__name__ == "ExceptionRenderer":
                event = processor(None, "error", event)
        told[fail.__name__] = [type(error).__name__, event["exception"]]
print("--- end")
shard = SimpleNamespace(task_id="load_shard", dag_id="offer_segments")
published = AssetEventDagRunReferenceResult.model_validate({
    "asset": {"name": "offer_segments", "uri": "segue://marts/offer_segments", "extra": {}},
    "extra": {"segment_date": "2026-03-02", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"},
    "source_task_id": "publish", "source_dag_id": "daily_marts", "source_run_id": "scheduled__2026-03-03",
    "source_map_index": -1, "source_aliases": [], "timestamp": "2026-03-03T06:00:00Z",
})
before_this_was_kept = published.model_copy(update={"extra": {"segment_date": "2026-03-01"}})
events = TriggeringAssetEventsAccessor.build([published, before_this_was_kept])
context = {"run_id": "scheduled__2026-03-02", "ti": shard, "triggering_asset_events": events}
with set_current_context(context):
    with task_told(date(2026, 3, 2)):
        told["bound"] = get_contextvars()
    told["after"] = get_contextvars()
print("JSON" + json.dumps(told))
"""


@pytest.fixture(scope="module")
def watching() -> Iterator[Collector]:
    with collector() as kept:
        yield kept


@pytest.fixture(scope="module")
def failed(
    tmp_path_factory: pytest.TempPathFactory, watching: Collector
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """What each task prints, and what Airflow logs of its exception."""
    state: Path = tmp_path_factory.mktemp("airflow")
    environment = os.environ | {
        "AIRFLOW_HOME": str(state),
        "PYTHONPATH": str(PROJECT_ROOT),
        "SEGUE_ENV_FILE": os.devnull,
        "SEGUE_OTLP_ENDPOINT": watching.endpoint,
    }
    done = subprocess.run(
        [sys.executable, "-c", FAIL], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed, _, answer = done.stdout.rpartition("JSON")
    parts = [part.splitlines() for part in printed.split("--- ")[1:]]
    return {lines[0]: lines[1:] for lines in parts}, json.loads(answer)


def test_a_foreseen_failure_is_its_sentence_its_hint_and_the_place(failed: Any) -> None:
    printed, _ = failed
    assert printed["landing"] == [
        "landing_refused: fx_rates/2026-03-10/a.csv: is empty",
        "hint: have the file delivered again, then land the day again; raw still holds what it held",
        "see docs/runbook.md#landing_refused",
    ]
    assert printed["columns"][0] == "landing_refused: a.csv: required column currency is missing"
    assert printed["columns"][3].startswith("raised at loaders.landing.header:")
    assert printed["columns"][3].endswith(" in check_columns")
    assert printed["disk_full"][0] == ("file_system: [Errno 28] No space left on device: '/state/scratch'")


@pytest.mark.parametrize("name", ["landing", "columns", "disk_full", "nothing_left"])
def test_what_airflow_logs_of_it_is_one_exception_with_the_sentence_and_hardly_a_frame(
    failed: Any, name: str
) -> None:
    printed, logged = failed
    _, exceptions = logged[name]
    [only] = exceptions
    assert only["exc_value"].splitlines()[0] == printed[name][0]
    assert len(only["frames"]) <= 3


def test_what_no_try_can_mend_ends_the_task_and_the_rest_is_tried_again(failed: Any) -> None:
    printed, logged = failed
    assert {name: logged[name][0] for name in printed if name != "end"} == {
        "landing": "TaskFailedError",
        "columns": "TaskFailedError",
        "disk_full": "TaskFailedError",
        "nothing_left": "AirflowFailException",
        "product": "KeyError",
        "skipped": "AirflowSkipException",
    }


def test_a_fault_of_the_product_keeps_its_frames(failed: Any) -> None:
    printed, logged = failed
    assert printed["product"] == []
    assert logged["product"][1][0]["frames"][-1]["name"] == "product"


def test_each_line_that_a_task_logs_says_of_which_run_day_and_task_it_is(failed: Any) -> None:
    _, logged = failed
    assert logged["bound"] == {"run_id": "scheduled__2026-03-02", "day": "2026-03-02", "step": "load_shard"}
    assert logged["after"] == {}


@pytest.mark.usefixtures("failed")
def test_a_task_of_a_run_that_a_publication_started_is_linked_to_the_task_that_published(
    watching: Collector,
) -> None:
    [span] = watching.spans

    assert span.name == "segue.load_shard"
    # A trace of its own: https://opentelemetry.io/docs/concepts/signals/traces/#span-links
    assert span.trace_id.hex() != "a" * 32
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [("a" * 32, "b" * 16)]


CHOOSES_THE_DAY = {"choose_day", "choose_days", "run_when_ready", "chunk"}
"""Tasks that only find out which day the run is about, or whether it may begin."""


@pytest.mark.parametrize("file", sorted((PROJECT_ROOT / "dags").glob("*.py")), ids=lambda file: file.stem)
def test_every_task_of_every_dag_binds_them(file: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
    tasks = [node for node in functions if node.name == "run_step" or node.decorator_list]
    bound = [node.name for node in tasks if re.search(r"(task_told|perform_step)\(", ast.unparse(node))]

    assert tasks
    assert {node.name for node in tasks} - set(bound) <= CHOOSES_THE_DAY
