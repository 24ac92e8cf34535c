"""The one way to objects: what a folder and a bucket have in common, and which of the two a URI means.

Names are paths below the root, with ``/`` between their parts. A bucket has no folders, only names that begin
alike; so an empty folder is nothing here either, and whoever writes an object makes no folder for it first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import IO
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from segue.errors import SegueError, SettingsError
from segue.settings import Settings

ABSENT = 0
"""The generation of what is not there; as a precondition: nothing may be there yet."""


class ObjectStoreError(SegueError):
    """An object cannot be listed, read or written; the message names it."""

    code = "object_store"
    hint = "look at the name, the identity's rights on the bucket (Storage Object Admin), and the network"


class ObjectConflictError(ObjectStoreError):
    """Somebody else has written or removed the object since it was looked at; nothing was written."""

    code = "object_conflict"
    hint = "another process changed the object at the same moment; run again"


@dataclass(frozen=True)
class StoredObject:
    """One version of an object, as a listing told of it.

    ``generation`` is the version's number: it grows with every write, by Cloud Storage or by us.
    """

    name: str
    size: int
    generation: int
    updated_at: datetime

    @property
    def base_name(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Level:
    """What lies directly below a prefix: names of what has objects below it, and of objects, both without the
    prefix."""

    folders: tuple[str, ...]
    objects: tuple[str, ...]


class ObjectStore(ABC):
    """Objects below one root. Prefixes are empty or end with ``/``."""

    @abstractmethod
    def level(self, prefix: str) -> Level:
        """What lies directly below ``prefix``, in order; nothing when there is no such prefix.

        Raises:
            ObjectStoreError: it cannot be listed.
        """

    @abstractmethod
    def objects(self, prefix: str, *, start: str = "", end: str = "") -> list[StoredObject]:
        """Every object below ``prefix`` at any depth, by name, whose name is in [``start``, ``end``).

        An empty bound is none.

        Raises:
            ObjectStoreError: they cannot be listed.
        """

    @abstractmethod
    def find(self, name: str) -> StoredObject | None:
        """The object's present version, None when there is none.

        Raises:
            ObjectStoreError: the store does not say.
        """

    @abstractmethod
    def open(self, stored: StoredObject) -> AbstractContextManager[pa.NativeFile]:
        """The bytes of exactly this version, to read from and seek in.

        Raises:
            ObjectConflictError: this version is no longer there.
            ObjectStoreError: it cannot be read.
        """

    @abstractmethod
    def write(self, name: str, content: bytes | IO[bytes], *, replacing: int | None = None) -> int:
        """Write an object, whole or not at all; returns its generation.

        ``replacing`` is the generation that has to be there, ``ABSENT`` for none; without it whatever is
        there is replaced. Writing again what was written, because its answer was lost, succeeds.

        Raises:
            ObjectConflictError: another generation is there.
            ObjectStoreError: it cannot be written.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove an object, if there is one.

        Raises:
            ObjectStoreError: it cannot be removed.
        """

    def read(self, name: str) -> tuple[bytes, int]:
        """The whole object and its generation; nothing and ``ABSENT`` when there is none.

        Raises:
            ObjectStoreError: it cannot be read.
        """
        stored = self.find(name)
        if stored is None:
            return b"", ABSENT
        with self.open(stored) as source:
            return bytes(source.read()), stored.generation


def open_store(settings: Settings, uri: str) -> ObjectStore:
    """The objects below ``uri``: gs://bucket/…, file:///… or the path of a folder.

    Raises:
        SettingsError: the URI is of another kind.
    """
    parts = urlsplit(uri)
    if parts.scheme == "gs":
        # Two thirds of a second that a run over a folder need not wait for.
        from loaders.objects.bucket import BucketStore

        return BucketStore(settings, parts.netloc, parts.path.strip("/"))
    if parts.scheme in ("", "file"):
        from loaders.objects.folder import FolderStore

        return FolderStore(unquote(parts.path) if parts.scheme else uri)
    raise SettingsError(f"{uri}: objects lie in gs://… or file:///…")
