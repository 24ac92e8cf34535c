"""How a gRPC channel finds out that its connection has died without a word."""

from __future__ import annotations

from typing import Final

KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Of a ping that measures the network as well: while one is under way, no other is sent.
    ("grpc.http2.ping_timeout_ms", 10_000),
)
"""Asked after half a minute of silence; without an answer, calls fail at once and another connection is made.

Otherwise a router that has forgotten a connection leaves its calls waiting: nobody sends a reset.
"""
