"""Deliveries of a small feed, exchange rates as NDJSON, with or without a manifest."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

from loaders.landing.listing import landing_store
from segue.settings import Settings


def rates(day: date, *currencies: str) -> bytes:
    """A rate of each currency that arrived on ``day``, a row a line."""
    rows = [
        {"ingested_at": f"{day}T06:00:00Z", "day": str(day), "currency": currency, "usd_rate": 1.25}
        for currency in currencies
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def name_of(day: date, file: str) -> str:
    """Where a file of the day's rates lies."""
    return f"fx_rates/{day}/{file}"


def deliver(settings: Settings, day: date, *currencies: str, file: str = "p0.ndjson") -> None:
    """The day's rates, or the like under another name."""
    landing_store(settings).write(name_of(day, file), rates(day, *currencies))


def declare(settings: Settings, day: date, *files: dict[str, Any]) -> None:
    """A manifest of the day's rates."""
    text = json.dumps({"files": files, "written_by": "the exporter"})
    landing_store(settings).write(name_of(day, "_manifest.json"), text.encode())


def declared(day: date, *currencies: str, file: str = "p0.ndjson", **otherwise: Any) -> dict[str, Any]:
    """A file as a manifest tells of it, truly but for what is said otherwise."""
    digest = hashlib.sha256(rates(day, *currencies)).hexdigest()
    return {"name": file, "rows": len(currencies), "sha256": digest} | otherwise
