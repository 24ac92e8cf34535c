"""One deadline for all steps of a load, in whichever process they run."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from tenacity.stop import stop_base

from segue.settings import Settings


def load_deadline(settings: Settings, deadline_at: datetime | None = None) -> float:
    """When a load is given up (``time.monotonic``); without ``deadline_at``, as if it began now."""
    if deadline_at is None:
        return time.monotonic() + settings.bigtable_load_deadline_seconds
    return time.monotonic() + (deadline_at - datetime.now(UTC)).total_seconds()


class StopAt(stop_base):
    """Has tenacity stop before an attempt that would begin after ``deadline_at`` (``time.monotonic``)."""

    def __init__(self, deadline_at: float) -> None:
        self._deadline_at = deadline_at

    def __call__(self, retry_state: Any) -> bool:
        """As tenacity asks."""
        return time.monotonic() + (retry_state.upcoming_sleep or 0) >= self._deadline_at
