"""The lookup service on this machine: ``segue serve`` on loopback, without TLS and for everybody."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from local.services import bigtable
from local.services.ports import LOOPBACK
from local.services.service import Service, StateFolder

NAME = "offer-lookup"
PORT = "offer-lookup"
METRICS_PORT = "offer-lookup-metrics"

_CHECK_SECONDS = 5.0


def specify(state: StateFolder, environment: Mapping[str, str]) -> Service:
    """The service, told by the platform's settings and where to listen."""
    address = f"{LOOPBACK}:{state.ports.get(PORT)}"
    return Service(
        name=NAME,
        command=(str(Path(sys.executable).parent / "segue"), "serve"),
        environment={**environment, **addresses(state)},
        port_names=(PORT, METRICS_PORT),
        check=lambda _: _check(address),
        address=address,
        stop_seconds=12,
        depends_on=(bigtable.NAME,),
    )


def addresses(state: StateFolder) -> dict[str, str]:
    """The settings by which the service listens and its clients find it."""
    return {
        "SEGUE_SERVICE_ADDRESS": f"{LOOPBACK}:{state.ports.get(PORT)}",
        "SEGUE_SERVICE_METRICS_ADDRESS": f"{LOOPBACK}:{state.ports.get(METRICS_PORT)}",
    }


def _check(address: str) -> str | None:
    """Alive is enough: before the first load there is nothing to be ready with."""
    from serving.service.probe import health_of

    return health_of(address, "", _CHECK_SECONDS)
