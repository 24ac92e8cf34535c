"""Traces and metrics reach an OTLP collector, as children of the caller's trace, without account ids."""

from __future__ import annotations

import grpc

from segue.settings import Settings
from segue_client.wire.offers_pb2 import LookupRequest
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from tests.otlp_collector import collector
from tests.serving.service.conftest import served

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def test_a_call_is_a_span_of_the_callers_trace_when_the_caller_samples_it(published: Settings) -> None:
    with (
        collector() as watching,
        served(published, otlp_endpoint=watching.endpoint, trace_sample_ratio=0.0) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]
        sampled = (("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01"),)
        stub.Lookup(LookupRequest(account_id="found"), metadata=sampled, timeout=5)
        stub.Lookup(LookupRequest(account_id="found"), timeout=5)

    [span] = watching.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert span.name == "segue.offers.v1.OfferLookup/Lookup"
    assert "found" not in str(span.attributes)
    assert {"rpc.server.call.duration", "segue.lookups", "segue.generation"} <= set(watching.metrics)
