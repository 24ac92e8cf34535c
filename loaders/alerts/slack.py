"""Slack, and what takes the same webhooks (Mattermost, Rocket.Chat)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loaders.alerts.alert import Alert
from loaders.alerts.webhook import post


@dataclass(frozen=True)
class Slack:
    """A channel behind an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks")."""

    url: str = field(repr=False)
    timeout_seconds: float
    name: str = "slack"

    def send(self, alert: Alert) -> None:
        """Post a message.

        Raises:
            AlertNotSentError: Slack did not take it.
        """
        post(self.name, self.url, _message(alert), self.timeout_seconds)


def _message(alert: Alert) -> dict[str, Any]:
    facts = "\n".join(f"*{name}:* {_escaped(value)}" for name, value in alert.facts)
    title = f"*{_escaped(alert.title)}*"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": f"{title}\n{facts}"}}
    # The text is what a notification shows of it.
    return {"text": _escaped(alert.title), "blocks": [section]}


def _escaped(text: str) -> str:
    """Slack reads `<…>` as a link or a mention of everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
