"""A Python callable of others: whatever has no channel of its own here."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass

from loaders.alerts.alert import Alert, AlertNotSentError


@dataclass(frozen=True)
class Callback:
    """``module:callable``, which is given the alert as a dictionary."""

    target: str
    name: str = "callback"

    def send(self, alert: Alert) -> None:
        """Call it.

        Raises:
            AlertNotSentError: it raised; told by the kind only, its text may show an address or a token.
        """
        try:
            pkgutil.resolve_name(self.target)(alert.to_dict())
        except Exception as error:
            raise AlertNotSentError(f"{alert.cause}: {self.target}: {type(error).__name__}") from None
