"""Objects as files of a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from uuid import uuid4

import pyarrow as pa
from filelock import FileLock

from loaders.objects.store import (
    ABSENT,
    Level,
    ObjectConflictError,
    ObjectStore,
    ObjectStoreError,
    StoredObject,
)

_NEVER_LESS = chr(0x10FFFF)


class FolderStore(ObjectStore):
    """A folder of this machine; a file's time of change stands for its generation.

    A write that has not finished is an object whose name begins with ``_unfinished``; locks begin with a dot
    and are none.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def level(self, prefix: str) -> Level:
        """See ``ObjectStore``."""
        folders, objects = [], []
        with _explained(prefix):
            for entry in _entries(self.root / prefix):
                if not entry.is_dir():
                    objects.append(entry.name)
                elif next(_files(Path(entry.path)), None):
                    folders.append(entry.name)
        return Level(tuple(sorted(folders)), tuple(sorted(objects)))

    def objects(self, prefix: str, *, start: str = "", end: str = "") -> list[StoredObject]:
        """See ``ObjectStore``."""
        with _explained(prefix):
            found = self._below(prefix, start, end)
            return sorted(found, key=lambda stored: stored.name)

    def find(self, name: str) -> StoredObject | None:
        """See ``ObjectStore``."""
        with _explained(name):
            path = self.root / name
            return self._stored(name, path.stat()) if path.is_file() else None

    def open(self, stored: StoredObject) -> AbstractContextManager[pa.NativeFile]:
        """See ``ObjectStore``."""
        return self._opened(stored)

    @contextmanager
    def _opened(self, stored: StoredObject) -> Iterator[pa.NativeFile]:
        try:
            source = pa.OSFile(str(self.root / stored.name))
        except FileNotFoundError as error:
            raise ObjectConflictError(f"{stored.name}: is no longer there") from error
        except OSError as error:
            raise ObjectStoreError(f"{stored.name}: {error}") from error
        with source:
            self._refuse_another(stored)
            yield source
            # A file that is written in place changes under whoever reads it.
            self._refuse_another(stored)

    def _refuse_another(self, stored: StoredObject) -> None:
        if self.find(stored.name) != stored:
            raise ObjectConflictError(f"{stored.name}: has changed while it was being read")

    def write(self, name: str, content: bytes | IO[bytes], *, replacing: int | None = None) -> int:
        """See ``ObjectStore``."""
        target = self.root / name
        unfinished = target.with_name(f"_unfinished_{uuid4().hex[:8]}.{target.name}")
        with _explained(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("wb") as file:
                    if isinstance(content, bytes):
                        file.write(content)
                    else:
                        content.seek(0)
                        shutil.copyfileobj(content, file, 1 << 20)
                if replacing == ABSENT:
                    return self._create(name, unfinished)
                if replacing is None:
                    return self._replace(name, unfinished, replacing)
                with FileLock(target.with_name(f".{target.name}.lock")):
                    return self._replace(name, unfinished, replacing)
            finally:
                unfinished.unlink(missing_ok=True)

    def _create(self, name: str, unfinished: Path) -> int:
        try:
            os.link(unfinished, self.root / name)
        except FileExistsError as error:
            raise ObjectConflictError(f"{name}: is there already") from error
        return (self.root / name).stat().st_mtime_ns

    def _replace(self, name: str, unfinished: Path, replacing: int | None) -> int:
        present = self.find(name)
        before = present.generation if present else ABSENT
        if replacing is not None and replacing != before:
            raise ObjectConflictError(f"{name}: has changed since it was read")
        status = unfinished.stat()
        # The clock of a file system stands still for milliseconds.
        generation = max(status.st_mtime_ns, before + 1)
        os.utime(unfinished, ns=(status.st_atime_ns, generation))
        unfinished.replace(self.root / name)
        return generation

    def delete(self, name: str) -> None:
        """See ``ObjectStore``."""
        with _explained(name):
            (self.root / name).unlink(missing_ok=True)

    def _below(self, prefix: str, start: str, end: str) -> Iterator[StoredObject]:
        for entry in _entries(self.root / prefix):
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                # None of its names is before its own, or after its own with anything behind.
                if (not end or f"{name}/" < end) and f"{name}/{_NEVER_LESS}" >= start:
                    yield from self._below(f"{name}/", start, end)
            elif name >= start and (not end or name < end):
                try:
                    yield self._stored(name, entry.stat())
                except FileNotFoundError:
                    continue

    @staticmethod
    def _stored(name: str, status: os.stat_result) -> StoredObject:
        changed = datetime.fromtimestamp(status.st_mtime_ns // 1_000 / 1_000_000, UTC)
        return StoredObject(name, status.st_size, status.st_mtime_ns, changed)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, without locks; nothing where no folder is."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        else:
            yield entry.path


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObjectStoreError(f"{name}: {error}") from error
