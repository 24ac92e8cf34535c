"""What a validation looks at: the partitions that one run is about to publish."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class AuditWindow:
    """Partitions [start_date − a mart's restated days, end_date] in a run's audit dataset."""

    project: str
    audit_dataset: str
    start_date: date
    end_date: date

    def table(self, model: str) -> str:
        """The quoted name of a model as this run built it."""
        return f"`{self.project}.{self.audit_dataset}.{model}`"

    def days(self, column: str, restates_days: int = 0) -> str:
        """The constant partition filter of the window."""
        first = self.start_date - timedelta(days=restates_days)
        return f"{column} between date '{first}' and date '{self.end_date}'"

    def day_before(self, column: str) -> str:
        """The constant partition filter of the days that the window's days are compared with."""
        first, last = self.start_date - timedelta(days=1), self.end_date - timedelta(days=1)
        return f"{column} between date '{first}' and date '{last}'"
