"""PagerDuty, and what takes the same events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loaders.alerts.alert import Alert
from loaders.alerts.webhook import post

SUMMARY_LENGTH = 1024
"""PagerDuty refuses longer ones."""


@dataclass(frozen=True)
class PagerDuty:
    """A service's integration key (developer.pagerduty.com, Events API v2).

    An incident's events have one ``dedup_key``: however often one is sent, also while it cannot be recorded,
    it pages once, and the event that it is over resolves it. What comes back after that pages anew.
    """

    url: str
    routing_key: str = field(repr=False)
    source: str
    timeout_seconds: float
    name: str = "pagerduty"

    def send(self, alert: Alert) -> None:
        """Send an event.

        Raises:
            AlertNotSentError: it was not accepted.
        """
        post(self.name, self.url, self._event(alert), self.timeout_seconds)

    def _event(self, alert: Alert) -> dict[str, Any]:
        event = {
            "routing_key": self.routing_key,
            "dedup_key": f"segue:{self.source}:{alert.thread}",
            "event_action": "resolve" if alert.transition == "closed" else "trigger",
        }
        links = [
            {"href": address, "text": name}
            for name, address in (("What to do", alert.runbook), ("The day", alert.day_page))
            if address.startswith("http")
        ]
        return event | {
            "payload": {
                "summary": f"{alert.title}: {alert.what}"[:SUMMARY_LENGTH],
                "source": self.source,
                "severity": alert.severity,
                "timestamp": alert.since.isoformat(),
                "component": "segue",
                "class": alert.cause,
                "custom_details": dict(alert.facts),
            },
            "links": links,
        }
