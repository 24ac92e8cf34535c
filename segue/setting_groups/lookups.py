"""Lookups in the library and in the service: what it listens on, and what a client of it needs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class LookupSettings(BaseSettings):
    """Lookups in the library and in the service: what it listens on, and what a client of it needs."""

    pointer_refresh_seconds: float = Field(
        default=5,
        ge=0,
        le=30,
        description="Readers follow a publication or rollback within this.",
    )
    lookup_timeout_seconds: float = Field(
        default=2, gt=0, description="A lookup with its retries is given up after this."
    )
    hedge_after_seconds: float | None = Field(
        default=None, gt=0, description="A read not answered by then is sent again; None: never."
    )

    # The lookup service: what it listens on, and what a client of it needs
    service_address: str = Field(
        default="127.0.0.1:8087", description="host:port where the service listens and clients find it."
    )
    service_metrics_address: str | None = Field(
        default="127.0.0.1:9464", description="host:port of the Prometheus endpoint; empty: none."
    )
    service_certificate_file: Path | None = Field(
        default=None, description="PEM certificate chain of the service; with its key: TLS."
    )
    service_key_file: Path | None = Field(default=None, description="PEM private key of the service.")
    service_client_ca_file: Path | None = Field(
        default=None, description="PEM authorities of client certificates; set: mutual TLS."
    )
    service_callers_file: Path | None = Field(
        default=None, description="Who may call and how often, with hashed tokens; see `segue callers`."
    )
    service_insecure: bool = Field(
        default=False, description="Serve without TLS or callers on an address that is not loopback."
    )
    service_workers: int = Field(
        default=1, ge=1, description="Processes that answer on the one port; each has all limits to itself."
    )
    service_max_in_flight: int = Field(
        default=256, ge=1, description="Calls beyond are refused at once, as UNAVAILABLE."
    )
    service_max_batch: int = Field(default=1_000, ge=1, description="Most accounts of one BatchLookup.")
    service_max_connection_age_seconds: float | None = Field(
        default=300,
        gt=0,
        description="Clients connect again after this, and so find new replicas; None: never.",
    )
    service_drain_wait_seconds: float = Field(
        default=5,
        ge=0,
        description="After SIGTERM the service says that it is not ready, and answers on for this long: "
        "load balancers take a moment to look.",
    )
    service_drain_seconds: float = Field(
        default=10, ge=0, description="After that wait, calls in flight get this long to end."
    )
    service_token: SecretStr | None = Field(default=None, description="A client's bearer token.")
    service_ca_file: Path | None = Field(
        default=None, description="PEM authorities by which a client knows the service; set: TLS."
    )
    service_client_certificate_file: Path | None = Field(
        default=None, description="PEM certificate of a client, for mutual TLS."
    )
    service_client_key_file: Path | None = Field(default=None, description="PEM private key of a client.")
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/gRPC collector for traces and metrics, http(s)://host:port."
    )
    trace_sample_ratio: float = Field(
        default=0.01, ge=0, le=1, description="Share of lookups traced when the caller has not decided."
    )
