"""Who looks at a page, as far as pages care."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARTS_DAG: Final = "daily_marts"
"""The DAG whose runs the days are: who may see them may see pages."""


@dataclass(frozen=True)
class Visitor:
    """A user of the UI who may see pages; single accounts only where ``sees_accounts``."""

    name: str
    sees_accounts: bool = False
