"""What a content management system has to offer: ``pull(cursor)`` → upserts, tombstones, next cursor.

Everything else (comparing with what is known, landing files, the cursor) is done once, for all systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from segue.errors import SegueError


class ContentError(SegueError):
    """Nothing was pulled: landing files and cursor are what they were. Names the system and the reason."""

    code = "content"
    hint = "docs/content.md says what each answer of a content system means"


class CursorExpiredError(ContentError):
    """The system does not know the cursor (any more): only a pull from the start can help."""


@dataclass(frozen=True)
class Entry:
    """One entry in one locale, as it is in the system now.

    ``content_version`` grows with every publication of the entry in this locale. ``fields`` holds the values
    of this locale and those that are the same in all locales, by the names they have in the system.
    """

    entry_id: str
    locale: str
    content_type: str
    content_version: int
    is_published: bool
    published_at: datetime | None
    fields: Mapping[str, Any]


EntryLocale = tuple[str, str]
"""Entry id and locale."""


@dataclass(frozen=True)
class Changes:
    """What changed since a cursor.

    An entry in ``upserts`` comes with all its locales: one that is known and absent here is gone.
    ``tombstones`` are ids of entries that are gone in every locale. ``present``, where the system can tell,
    are all entries and locales that exist: whatever is known beyond them has vanished. ``next_cursor`` may be
    stored as soon as the changes are.
    """

    upserts: tuple[Entry, ...]
    tombstones: tuple[str, ...]
    next_cursor: str
    present: frozenset[EntryLocale] | None = None


class ContentSource(Protocol):
    """One content management system; a context manager, which closes its connections."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def name(self) -> str:
        """The ``source`` of its rows: lower case, stable for ever."""
        ...

    @property
    def origin(self) -> str:
        """Which body of content it reads; a cursor is worth nothing in another."""
        ...

    def pull(self, cursor: str | None) -> Changes:
        """All changes since ``cursor``; without one, everything there is.

        Raises:
            CursorExpiredError: the cursor is not valid any more.
            ContentError: the system cannot be read.
        """
        ...
