"""Metrics and traces of the service, by OpenTelemetry: scraped by Prometheus, pushed to an OTLP collector.

Names and attributes never contain account ids. Providers belong to the service that made them; nothing is
registered for the process.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Final
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, start_http_server

from segue.settings import Settings

SERVICE: Final = "segue.offers.v1.OfferLookup"
_DURATION: Final = "rpc.server.call.duration"
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_RECORDED_TOGETHER: Final = 64
"""One behind the other, durations take 8 us each to record; one a call, in between other work, 45 us."""

Gauge = Callable[[], float | None]
"""Gives a value of the moment, or ``None`` when there is none."""


class Telemetry:
    """The instruments of one service."""

    def __init__(self, settings: Settings, gauges: dict[str, tuple[str, str, Gauge]]) -> None:
        """Opens what the settings ask for; ``gauges`` maps a name to unit, description and its value."""
        resource = Resource.create({"service.name": "segue-offer-lookup"})
        self._server: WSGIServer | None = None
        self.metrics_port: int | None = None
        readers: list[MetricReader] = []
        if settings.service_metrics_address:
            registry = CollectorRegistry()
            readers.append(PrometheusMetricReader(registry=registry))
            host, _, port = settings.service_metrics_address.rpartition(":")
            self._server, _ = start_http_server(int(port), addr=host.strip("[]"), registry=registry)
            self.metrics_port = self._server.server_port
        self._tracers: TracerProvider | None = None
        if settings.otlp_endpoint:
            insecure = not settings.otlp_endpoint.startswith("https://")
            readers.append(
                PeriodicExportingMetricReader(
                    OTLPMetricExporter(endpoint=settings.otlp_endpoint, insecure=insecure)
                )
            )
            self._tracers = TracerProvider(
                resource=resource,
                sampler=ParentBasedTraceIdRatio(settings.trace_sample_ratio),
                shutdown_on_exit=False,
            )
            self._tracers.add_span_processor(
                BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=insecure))
            )
            self._tracer = self._tracers.get_tracer("segue")
        self._meters = MeterProvider(
            metric_readers=readers,
            resource=resource,
            views=[View(instrument_name=_DURATION, aggregation=ExplicitBucketHistogramAggregation(_SECONDS))],
            shutdown_on_exit=False,
        )
        meter = self._meters.get_meter("segue")
        self._duration = meter.create_histogram(
            _DURATION, "s", "Time from the arrival of a call to its answer."
        )
        self._ended: deque[tuple[float, dict[str, str]]] = deque()
        # counted in plain dictionaries and read when somebody asks: an OpenTelemetry counter costs a tenth
        # of a lookup
        self._lookups: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[tuple[str, str]] = Counter()
        meter.create_observable_counter(
            "segue.lookups",
            # who collects gets every call that has ended, also those that wait to be recorded together
            [self._record_ended, _observe_counts(self._lookups, "outcome")],
            "1",
            "Accounts looked up, by outcome.",
        )
        meter.create_observable_counter(
            "segue.calls.refused",
            [_observe_counts(self._refusals, "reason")],
            "1",
            "Calls refused, by reason.",
        )
        for name, (unit, description, gauge) in gauges.items():
            meter.create_observable_gauge(name, [_observe(gauge)], unit, description)
        self._propagator = TraceContextTextMapPropagator()

    def span(self, method: str, metadata: Iterable[tuple[str, Any]]) -> AbstractContextManager[Any]:
        """A server span of one call, child of the caller's when it sent ``traceparent``."""
        if self._tracers is None:
            return nullcontext()
        parent = self._propagator.extract(dict(metadata))
        return self._tracer.start_as_current_span(
            f"{SERVICE}/{method}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"rpc.system.name": "grpc", "rpc.method": f"{SERVICE}/{method}"},
        )

    def called(self, method: str, caller: str, status: str, seconds: float) -> None:
        """Counts a call that ended with a gRPC status."""
        self._ended.append(
            (seconds, {"rpc.method": method, "rpc.response.status_code": status, "caller": caller})
        )
        if len(self._ended) >= _RECORDED_TOGETHER:
            self._record_ended()

    def _record_ended(self, _: CallbackOptions | None = None) -> list[Observation]:
        """Gives OpenTelemetry the durations of the calls that ended since; several threads ask at once."""
        with suppress(IndexError):
            while True:
                seconds, attributes = self._ended.popleft()
                self._duration.record(seconds, attributes)
        return []

    def looked_up(self, caller: str, outcome: str, accounts: int = 1) -> None:
        """Counts answers."""
        self._lookups[outcome, caller] += accounts

    def refused(self, reason: str, caller: str) -> None:
        """Counts a call that was turned away before it was looked at."""
        self._refusals[reason, caller] += 1

    def close(self) -> None:
        """Sends what is left and stops listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._tracers is not None:
            self._tracers.shutdown()
        self._meters.shutdown(timeout_millis=2_000)


def _observe(gauge: Gauge) -> Callable[[CallbackOptions], list[Observation]]:
    def observe(_: CallbackOptions) -> list[Observation]:
        value = gauge()
        return [] if value is None else [Observation(value)]

    return observe


def _observe_counts(
    counts: Counter[tuple[str, str]], label: str
) -> Callable[[CallbackOptions], list[Observation]]:
    def observe(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(count, {label: value, "caller": caller})
            for (value, caller), count in list(counts.items())
        ]

    return observe
