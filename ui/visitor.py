"""Who looks at a page, as far as pages care."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Visitor:
    """A user of the UI who may see pages; single accounts only where ``sees_accounts``."""

    name: str
    sees_accounts: bool = False
