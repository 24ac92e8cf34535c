"""``segue serve``: the lookup service."""

from __future__ import annotations


def serve() -> None:
    """Answer lookups over gRPC until SIGTERM, then let the calls in flight end.

    Exit code: 0 stopped as told, 1 it cannot be started as configured.
    """
    import structlog
    import uvloop

    from segue.settings import get_settings
    from serving.service.server import serve as run

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ]
    )
    uvloop.run(run(get_settings()))
