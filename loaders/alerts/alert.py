"""What somebody is told of an incident, whichever channel it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol

from segue.errors import SegueError

Transition = Literal["opened", "closed"]
Severity = Literal["error", "warning"]
"""``error``: something is not served as it should be. ``warning``: somebody should look."""


class AlertNotSentError(SegueError):
    """Whoever has to know was not told; the next try tells them.

    The message names the channel and what it answered, and neither its address nor a key: both are secrets.
    """

    code = "alert_not_sent"
    hint = "`segue alerts test` tries every channel; what was not told is told with the next alert"


@dataclass(frozen=True)
class Alert:
    """One incident as it is told: that it is there, or that it is over. It names no account.

    ``incident_id`` is the same for both. ``runbook`` and ``day_page`` are addresses, as far as the settings
    know where the documentation and the UI are.
    """

    incident_id: str
    transition: Transition
    day: date
    cause: str
    severity: Severity
    what: str
    since: datetime
    owner: str
    still_served: str
    runbook: str
    day_page: str
    closed_at: datetime | None = None
    closed_because: str | None = None

    @property
    def thread(self) -> str:
        """What all that is told of one day and cause has in common, however often it has come back."""
        return self.incident_id.rpartition("#")[0] or self.incident_id

    @property
    def title(self) -> str:
        """One line: the day, the cause, and whether it is over."""
        over = "over: " if self.transition == "closed" else ""
        return f"Segue {self.day}: {over}{self.cause}"

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """Whatever the title does not say, by name."""
        facts = [("What", self.what), ("Since", _utc(self.since))]
        if self.closed_at:
            facts.append(("Until", f"{_utc(self.closed_at)}: {self.closed_because}"))
        else:
            facts.append(("Still served", self.still_served))
        return [*facts, ("Owner", self.owner), ("What to do", self.runbook), ("The day", self.day_page)]

    @property
    def text(self) -> str:
        """Title and facts, a line each."""
        return "\n".join([self.title, *(f"{name}: {value}" for name, value in self.facts)])

    def to_dict(self) -> dict[str, Any]:
        """For programs: days and times as ISO 8601."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }


class Channel(Protocol):
    """One way to tell; ``send`` returns when whoever listens there has taken the alert."""

    @property
    def name(self) -> str:
        """The name that ``ops.incidents`` notes who was told by."""

    def send(self, alert: Alert) -> None:
        """Tell.

        Raises:
            AlertNotSentError: it was not taken.
        """


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
