"""The Grafana dashboard asks for metrics that exist, by the names that Prometheus knows them by."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from segue.settings import Settings
from segue.telemetry import MEASURES
from segue_client.wire.offers_pb2 import LookupRequest
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from tests.serving.service.conftest import served

ROOT = Path(__file__).parents[3]
_NAME = re.compile(r"\b(?:segue|rpc_server)_[a-z_]+")
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)[{ ]", re.MULTILINE)


def asked_for() -> dict[str, str]:
    """Metric → a panel that asks for it."""
    dashboard: dict[str, Any] = json.loads((ROOT / "docs/examples/grafana.json").read_text())
    return {
        name: panel["title"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        for name in _NAME.findall(target["expr"])
    }


def of_runs() -> set[str]:
    registry = CollectorRegistry()
    meter = MeterProvider([PrometheusMetricReader(registry=registry)]).get_meter("segue")
    for name, (unit, description) in MEASURES.items():
        meter.create_gauge(name, unit, description).set(1)
    return set(_SAMPLE.findall(generate_latest(registry).decode()))


def of_lookups(settings: Settings) -> set[str]:
    """With every counter begun: many calls at once, of which some are refused."""
    no_retries = [("grpc.enable_retries", 0)]
    with (
        served(settings, service_max_in_flight=1) as service,
        grpc.insecure_channel(service.settings.service_address, no_retries) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        calls = [stub.Lookup.future(LookupRequest(account_id="found"), timeout=5) for _ in range(300)]
        for each in calls:
            each.exception()
        text = httpx.get(f"http://127.0.0.1:{service.running.metrics_port}/metrics").text
    return set(_SAMPLE.findall(text))


def test_each_panel_asks_for_a_metric_of_runs_or_of_the_lookup_service(published: Settings) -> None:
    exist = of_runs() | of_lookups(published)

    missing = {name: panel for name, panel in asked_for().items() if name not in exist}
    assert missing == {}, sorted(exist)


def test_each_metric_of_runs_stands_in_the_dashboard_and_in_the_page() -> None:
    assert of_runs() <= set(asked_for()) | {"target_info"}
    page = (ROOT / "docs/watch.md").read_text()
    assert [name for name in MEASURES if f"`{name}`" not in page] == []
