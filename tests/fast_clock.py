"""A worker whose clock is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo


class FastClock(datetime):
    """Stands for ``datetime`` where the clock is ten minutes ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> FastClock:
        """Ten minutes from now."""
        return super().now(tz) + timedelta(minutes=10)
