"""An OTLP collector on loopback that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

Attributes = dict[str, Any]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """Spans, and the points of gauges by name, as they came."""

    endpoint: str = ""
    spans: list[Any] = field(default_factory=list)
    metrics: dict[str, list[tuple[float, Attributes]]] = field(default_factory=dict)

    def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
            return trace_service_pb2.ExportTraceServiceResponse()
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = self.metrics.setdefault(metric.name, [])
                    points += [
                        (each.as_double or each.as_int, attributes_of(each))
                        for each in metric.gauge.data_points
                    ]
        return metrics_service_pb2.ExportMetricsServiceResponse()


def attributes_of(told: Any) -> Attributes:
    """Of a span or a point, as plain values."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in told.attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens, on a free port."""
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(kept, server)
    kept.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield kept
    server.stop(0).wait()
