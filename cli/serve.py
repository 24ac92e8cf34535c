"""``segue serve``: the lookup service."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on the one port; by default SEGUE_SERVICE_WORKERS."),
    ] = None,
) -> None:
    """Answer lookups over gRPC until SIGTERM, then let the calls in flight end.

    Exit code: 0 stopped as told, 1 it cannot be started as configured, or a worker died.
    """
    from segue.settings import get_settings
    from serving.service.workers import serve_in_process, serve_in_workers

    settings = get_settings()
    processes = settings.service_workers if workers is None else workers
    if processes == 1:
        serve_in_process(settings)
    else:
        serve_in_workers(settings, processes)
