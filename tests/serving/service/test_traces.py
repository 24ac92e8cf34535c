"""Traces and metrics reach an OTLP collector, as children of the caller's trace, without account ids."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from segue.settings import Settings
from segue_client.wire.offers_pb2 import LookupRequest
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from tests.serving.service.conftest import served

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: set[str] = set()

    def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
            return trace_service_pb2.ExportTraceServiceResponse()
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics.update(metric.name for metric in scope.metrics)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def test_a_call_is_a_span_of_the_callers_trace_when_the_caller_samples_it(published: Settings) -> None:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with (
        served(published, otlp_endpoint=f"http://127.0.0.1:{port}", trace_sample_ratio=0.0) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        sampled = (("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01"),)
        stub.Lookup(LookupRequest(account_id="found"), metadata=sampled, timeout=5)
        stub.Lookup(LookupRequest(account_id="found"), timeout=5)
    server.stop(0).wait()

    [span] = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert span.name == "segue.offers.v1.OfferLookup/Lookup"
    assert "found" not in str(span.attributes)
    assert {"rpc.server.call.duration", "segue.lookups", "segue.generation"} <= collector.metrics
