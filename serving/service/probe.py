"""Asks a service for its health: ``python -m serving.service.probe [SERVICE]``, exit code 0 when it serves.

Without SERVICE it asks whether the process lives, with ``segue.offers.v1.OfferLookup`` whether it is ready.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def health_of(address: str, service: str = "", timeout_seconds: float = 5.0) -> str | None:
    """``None`` when the service serves, else what is wrong; over a connection without TLS."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds
            )
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


if __name__ == "__main__":
    listening = os.environ.get("SEGUE_SERVICE_ADDRESS", "127.0.0.1:8087")
    problem = health_of(listening.replace("0.0.0.0", "127.0.0.1"), "".join(sys.argv[1:2]))
    if problem is not None:
        sys.exit(problem)
