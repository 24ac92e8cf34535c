"""Slack, and what takes the same webhooks (Mattermost, Rocket.Chat)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from loaders.alerts.alert import Alert
from loaders.alerts.webhook import post

SECTION_LENGTH: Final = 3_000
"""Slack refuses a message with a longer section for good (docs.slack.dev, "Section block")."""
_VALUE_LENGTH: Final = 400
"""Of every fact but the first, which gets what they leave."""


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
    title = _escaped(alert.title, _VALUE_LENGTH)
    (first, what), *others = alert.facts
    rest = [f"*{name}:* {_escaped(value, _VALUE_LENGTH)}" for name, value in others]
    left = SECTION_LENGTH - len("\n".join([f"*{title}*", f"*{first}:* ", *rest]))
    text = "\n".join([f"*{title}*", f"*{first}:* {_escaped(what, left)}", *rest])
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    # The text is what a notification shows of it.
    return {"text": title, "blocks": [section]}


def _escaped(text: str, length: int) -> str:
    """At most ``length`` characters: Slack reads `<…>` as a link or a mention of everybody."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= length:
        return escaped
    # Not in the middle of an entity.
    return re.sub(r"&\w*$", "", escaped[: length - 1]) + "…"
