"""Attempts that the gate has let through, for tests of what comes after it."""

from __future__ import annotations

from collections.abc import Sequence

from loaders.warehouse.client import warehouse_of
from runs.publish import marts_of
from runs.published import PublishedMart
from runs.verdict import read_contents, record_verdict
from segue.settings import Settings
from segue.window import RunWindow


def let_through(
    settings: Settings, window: RunWindow, marts: Sequence[PublishedMart] | None = None, failures: int = 0
) -> None:
    """Record that the gate has judged what the audit dataset holds now, and found so many failures."""
    warehouse = warehouse_of(settings)
    contents = read_contents(warehouse, window, marts_of(settings, window, marts))
    record_verdict(warehouse, window, contents, failures)
