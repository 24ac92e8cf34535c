"""What a step of a run leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segue.window import RunWindow


@dataclass(frozen=True)
class StepOutcome:
    """What a step leaves: the window for the next one, one line for a log, and rows by published mart.

    ``warnings`` are sentences for whoever runs it: the step did what it was asked, and somebody should know.
    ``trace_parent`` names the step's span, where it is traced, to the runs that it starts.
    """

    window: RunWindow
    summary: str
    published: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    trace_parent: str | None = None

    def lines(self) -> list[str]:
        """The summary and the warnings, as they are logged."""
        return [self.summary, *(f"warning: {each}" for each in self.warnings)]
