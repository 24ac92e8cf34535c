"""What one expectation found."""

from __future__ import annotations

import json
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
        """One line for a log: what failed, where, how often, and how many sample keys are kept.

        The keys name people, so they stand in ``ops.validation_results`` and the data docs, which whoever was
        erased is taken out of; a log goes where nobody can take anything back.
        """
        subject = f"{self.model}.{self.column}" if self.column else self.model
        count = f", {self.unexpected_count} rows" if self.unexpected_count else ""
        observed = f", observed {self.observed_value}" if self.observed_value else ""
        keys = len(json.loads(self.sample))
        sample = f", {keys} sample key(s) in ops.validation_results" if keys else ""
        return f"[{self.severity}] {subject}: {self.expectation}{count}{observed}{sample}"
