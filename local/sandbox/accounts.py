"""The test accounts, as ``accounts.json`` declares them: what is stored of each, and what a lookup gives.

Their ids, and everything about them, stay what they are: clients of every language are tested against them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from loaders.bigtable.load import load_generation
from local.segment_rows import SegmentRows
from segue.errors import SegueError
from segue.settings import Settings
from segue_client.answer import Outcome

SEGMENT_DATE: Final = date(2026, 1, 31)
"""Always the same, and so is the generation that is made of it, and the name of every decision."""


class NotAnEmulatorError(SegueError):
    """Test accounts were about to be written into a real Bigtable."""

    code = "not_an_emulator"
    hint = "test accounts exist in the sandbox only: `segue sandbox`"
    is_final = True


class SandboxAccount(BaseModel):
    """An account: ``stored`` is its row of the mart ``offer_segments``, ``status`` what calls end with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_id: str
    about: str
    outcome: Outcome | None = None
    status: str | None = None
    stored: dict[str, Any] | None = None
    delay_seconds: float = 0.0
    fails_every_second_call: bool = False

    @model_validator(mode="after")
    def _is_answered_or_refused(self) -> SandboxAccount:
        if (self.outcome is None) == (self.status is None):
            raise ValueError(f"{self.account_id} needs an outcome or a status")
        return self

    @property
    def answer(self) -> str:
        """The outcome or the status."""
        return str(self.status or self.outcome)

    def row(self) -> dict[str, Any]:
        """The row of the mart."""
        stored = self.stored or {}
        offers = {name: [_with_instants(each) for each in stored[name]] for name in ("offers", "held_back")}
        return {"account_id": self.account_id} | _with_instants(stored) | offers


@lru_cache(maxsize=1)
def sandbox_accounts() -> tuple[SandboxAccount, ...]:
    """All of them, in the order in which they are shown."""
    declared = Path(__file__).with_name("accounts.json").read_bytes()
    return tuple(TypeAdapter(list[SandboxAccount]).validate_json(declared))


def load_sandbox_accounts(settings: Settings) -> None:
    """Publishes a generation with nothing but the test accounts, through the loader.

    Raises:
        NotAnEmulatorError: the settings name no emulator.
        LoadError: it was not published.
    """
    if settings.bigtable_emulator_host is None:
        raise NotAnEmulatorError("test accounts are loaded into an emulator only")
    rows = [each.row() for each in sandbox_accounts() if each.stored is not None]
    load_generation(settings, SEGMENT_DATE, SegmentRows(rows))


def _with_instants(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value).astimezone(UTC) if name.endswith("_at") else value
        for name, value in values.items()
    }
