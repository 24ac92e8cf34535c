"""What a source's pulls have reached: cursor, known versions, and the landing file that is being written.

The state lies beside the landing files it speaks of, in ``<landing>/_cursors/content_entries/<source>.json``:
a pull needs no warehouse, and both can only be lost together. It is replaced as a whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from loaders.cms.contract import ContentError
from loaders.cms.rows import Known, Row, Version
from loaders.objects.store import ABSENT, ObjectStore

TABLE = "content_entries"


@dataclass(frozen=True)
class Pending:
    """Rows that are decided but perhaps not landed yet; the rest of the state already counts them in."""

    file: str
    ingested_at: str
    rows: list[Row]


@dataclass(frozen=True)
class PullState:
    """``sequence`` counts the landing files, ``origin`` says which body of content the cursor belongs to."""

    origin: str = ""
    cursor: str | None = None
    sequence: int = 0
    last_ingested_at: str | None = None
    known: Known = field(default_factory=dict)
    pending: Pending | None = None

    def landed(self) -> PullState:
        """The state once the pending rows are in their file."""
        return replace(self, pending=None)


class Landing:
    """The landing as one pull sees it: it replaces the state that it has read, and no other pull's."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._generations: dict[str, int] = {}

    def read_state(self, source: str) -> PullState:
        """The source's state, a new one before its first pull.

        Raises:
            ContentError: the state is there but cannot be understood.
        """
        path = self._state_path(source)
        text, generation = self._store.read(path)
        self._generations[path] = generation
        if generation == ABSENT:
            return PullState()
        try:
            return _from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ContentError(f"{path} cannot be understood: {error!r}; restore or remove it") from error

    def write_state(self, source: str, state: PullState) -> None:
        """Replace the source's state as it was last read or written.

        Raises:
            ObjectConflictError: another pull has replaced it.
        """
        self.write(self._state_path(source), json.dumps(asdict(state), ensure_ascii=False))

    def exists(self, path: str) -> bool:
        """Whether there is a file at ``path`` below the root."""
        return self._store.find(path) is not None

    def write(self, path: str, text: str) -> None:
        """Write a file that is there whole or not at all: a new one, or over what was read or written before.

        Raises:
            ObjectConflictError: somebody else has written it.
        """
        before = self._generations.get(path, ABSENT)
        self._generations[path] = self._store.write(path, text.encode(), replacing=before)

    @staticmethod
    def _state_path(source: str) -> str:
        return f"_cursors/{TABLE}/{source}.json"


def _from_json(values: dict[str, Any]) -> PullState:
    known = {
        entry_id: {locale: Version(**version) for locale, version in locales.items()}
        for entry_id, locales in values["known"].items()
    }
    pending = Pending(**values["pending"]) if values["pending"] else None
    return PullState(**{**values, "known": known, "pending": pending})
