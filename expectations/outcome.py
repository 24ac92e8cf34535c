"""What one expectation found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExpectationOutcome:
    """One expectation on one model in one run."""

    model: str
    expectation: str
    column: str | None
    severity: str
    success: bool
    unexpected_count: int | None
    observed_value: str | None
    sample: str

    def describe(self) -> str:
        """One line for a log: what failed, where, how often, for example."""
        subject = f"{self.model}.{self.column}" if self.column else self.model
        count = f", {self.unexpected_count} rows" if self.unexpected_count else ""
        observed = f", observed {self.observed_value}" if self.observed_value else ""
        sample = f", e.g. {self.sample}" if self.sample != "[]" else ""
        return f"[{self.severity}] {subject}: {self.expectation}{count}{observed}{sample}"
