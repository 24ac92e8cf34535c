"""What the platform writes about rows: results of validations and data docs, dbt's artefacts, logs.

Ids in them are overwritten, at their own length: a process that is writing the file goes on, and what was
validated when, and how it went, can still be read. Accepted rows that a killed landing has left
beside the landing files are removed, and rows of scores that the platform itself has put there; all other
landing files belong to who delivers them.
"""

from __future__ import annotations

import mmap
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loaders.erasure.mentions import mention_patterns
from loaders.landing.contracts import Score
from loaders.landing.listing import OWN_FILES, landing_store
from loaders.landing.scratch import SCRATCH_FOLDER
from loaders.objects.store import ObjectConflictError, StoredObject, open_store
from segue.settings import Settings

_HEAD_BYTES: Final = 8_192
_FOLDERS: Final = ("dbt_runs", "dbt_target", "logs")
SITE: Final = "data_docs"
"""Pages of Great Expectations, below the results' root …"""
RESULTS: Final = "validation_results"
"""… and the results that they are made of."""


class Files:
    """Looks for, and overwrites, erased ids in one installation's state folder and kept results."""

    def __init__(self, settings: Settings, ids: list[str]) -> None:
        self._settings = settings
        self._store = landing_store(settings)
        self._results = open_store(settings, settings.results_root)
        self._ids = pa.array(ids, pa.string())
        patterns = mention_patterns(ids, quoted_is_enough=True)
        self._pattern = "|".join(patterns)
        self._compiled = [re.compile(pattern.encode()) for pattern in patterns]

    def count(self) -> dict[str, int]:
        """Mentions, by file, below the state folder, the results' root or the landing root."""
        found = {self._name(path): len(list(self._spans(path))) for path in self._written()}
        found |= {stored.name: len(spans) for stored, _, spans in self._mentioning_results()}
        found |= {stored.name: 1 for stored in self._scratch()}
        found |= {stored.name: rows for stored, rows in self._own_scores()}
        return {name: count for name, count in found.items() if count}

    def remove(self) -> None:
        """Overwrites every mention, and removes scratch files that hold one."""
        for path in self._written():
            spans = list(self._spans(path))
            if spans:
                with path.open("r+b") as file:
                    for start, end in spans:
                        file.seek(start)
                        file.write(b"*" * (end - start))
        for stored, content, spans in self._mentioning_results():
            for start, end in spans:
                content[start:end] = b"*" * (end - start)
            self._results.write(stored.name, bytes(content), replacing=stored.generation)
        for stored in self._scratch():
            self._store.delete(stored.name)
        for stored, _ in self._own_scores():
            self._leave_out(stored)

    def _mentioning_results(self) -> Iterator[tuple[StoredObject, bytearray, list[tuple[int, int]]]]:
        """Kept results that mention an id, with their content and where they do."""
        for kind in (SITE, RESULTS):
            for stored in self._results.objects(f"{kind}/"):
                try:
                    with self._results.open(stored) as source:
                        content = bytearray(source.read())
                except (
                    ObjectConflictError
                ):  # another erasure is writing it, and looks for all that are erased
                    continue
                spans = list(self._found(content))
                if spans:
                    yield stored, content, spans

    def _written(self) -> Iterator[Path]:
        for folder in (self._settings.state_dir / name for name in _FOLDERS):
            yield from (path for path in sorted(folder.rglob("*")) if path.is_file())

    def _name(self, path: Path) -> str:
        root = self._settings.state_dir
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def _spans(self, path: Path) -> Iterator[tuple[int, int]]:
        """Where the file mentions an id; one that vanishes meanwhile mentions nobody."""
        try:
            with path.open("rb") as file:
                if path.stat().st_size == 0:
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield from self._found(content)
        except FileNotFoundError:
            return

    def _found(self, content: mmap.mmap | bytearray) -> Iterator[tuple[int, int]]:
        # What dbt keeps of its project is no text.
        if b"\0" in content[:_HEAD_BYTES]:
            return
        for pattern in self._compiled:
            at = 0
            # What ends one mention may begin the next.
            while found := pattern.search(content, at):
                at = found.end(2)
                yield found.span(2)

    def _scratch(self) -> Iterator[StoredObject]:
        listed = self._store.objects(f"{SCRATCH_FOLDER}/")
        return (stored for stored in listed if self._is_mentioned(stored))

    def _own_scores(self) -> Iterator[tuple[StoredObject, int]]:
        """Files of scores that models in use gave, with how many rows are of the ids."""
        for stored in self._store.objects(f"{Score.table}/"):
            if stored.base_name.startswith(OWN_FILES):
                with self._store.open(stored) as source:
                    accounts = pq.read_table(source, columns=["account_id"]).column("account_id")
                rows = pc.sum(pc.is_in(accounts, self._ids)).as_py() or 0
                if rows:
                    yield stored, rows

    def _leave_out(self, stored: StoredObject) -> None:
        with self._store.open(stored) as source:
            rows = pq.read_table(source)
        others = rows.filter(pc.invert(pc.is_in(rows.column("account_id"), self._ids)))
        with tempfile.TemporaryFile() as file:
            pq.write_table(others, file)
            self._store.write(stored.name, file, replacing=stored.generation)

    def _is_mentioned(self, stored: StoredObject) -> bool:
        try:
            with self._store.open(stored) as source:
                rows = pq.read_table(source)
        except (ObjectConflictError, pa.ArrowInvalid):  # gone, or not finished: its landing goes on, or died
            return False
        texts = [column for column in rows.columns if pa.types.is_string(column.type)]
        return any(
            pc.any(pc.or_(pc.is_in(text, self._ids), pc.match_substring_regex(text, self._pattern))).as_py()
            for text in texts
        )
