"""What one expectation found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segue.redaction import WITHHELD, is_tellable, redacted

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|True|False|None")

_LONGEST = 500
"""Characters of what was observed: where a query failed, the query stands behind the reason."""


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a sample: of keys, of rows, or of values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)
    elif isinstance(value, str):
        yield value


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

        The keys name people, and so may what was observed: they stand in ``ops.validation_results`` and the
        data docs, which whoever was erased is taken out of. A log goes where nobody can take anything back:
        it has days, codes of currencies and markets, and numbers that were observed.
        """
        subject = f"{self.model}.{self.column}" if self.column else self.model
        count = f", {self.unexpected_count} rows" if self.unexpected_count else ""
        observed = f", observed {_told(self.observed_value)}" if self.observed_value else ""
        keys = json.loads(self.sample)
        told = ", ".join(sorted({text for text in texts_in(keys) if text and is_tellable(text)}))
        sample = f", {len(keys)} sample key(s) in ops.validation_results" if keys else ""
        sample += f" ({told})" if told else ""
        return f"[{self.severity}] {subject}: {self.expectation}{count}{observed}{sample}"


def _told(observed: str) -> str:
    """What was observed: a number, a list of values, what a query failed with; or a value by itself."""
    is_said = ": " in observed or observed.startswith(("[", "{", "("))
    if not (is_said or _NUMBER.fullmatch(observed) or is_tellable(observed)):
        return WITHHELD
    return " ".join(redacted(observed).split())[:_LONGEST]
