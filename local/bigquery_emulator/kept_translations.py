"""Translations that outlive the process, beside the environment that made them.

A model's first translation takes longer than running it, and each test run, demo and worker starts an
emulator of its own. A file is of one state of this folder and of its locked libraries; those of other states
are removed.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from pathlib import Path

SHORTEST = 500
"""Characters; shorter statements are translated as fast as they are found, and tests make thousands."""
FOLDER = "SEGUE_BQEMULATOR_TRANSLATIONS"
"""Names another folder, for environments that do not last."""
_LARGEST = 64 * 2**20
_HERE = Path(__file__).parent


class KeptTranslations:
    """SQL by key; what cannot be read or written is not kept, and nothing fails because of it."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, timeout=1, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = off")
        self._connection.execute("create table if not exists kept (key text primary key, sql text not null)")

    def find(self, key: str) -> str | None:
        """What was kept under the key."""
        try:
            row = self._connection.execute("select sql from kept where key = ?", [key]).fetchone()
        except sqlite3.Error:
            return None
        return str(row[0]) if row else None

    def keep(self, key: str, sql: str) -> None:
        """For whoever asks for the key later, in this process or another."""
        try:
            self._connection.execute("insert or ignore into kept values (?, ?)", [key, sql])
        except sqlite3.Error:
            return


def open_kept(folder: Path | None = None) -> KeptTranslations | None:
    """The file of this state of the code; None where none can be written."""
    folder = folder or Path(os.environ.get(FOLDER) or Path(sys.prefix) / "translations")
    try:
        folder.mkdir(exist_ok=True)
        file = folder / f"{_state()}.sqlite"
        is_full = file.exists() and file.stat().st_size > _LARGEST
        for each in folder.iterdir():
            # SQLite has files of its own beside it.
            if is_full or not each.name.startswith(file.name):
                each.unlink(missing_ok=True)
        return KeptTranslations(file)
    except (OSError, sqlite3.Error):
        return None


def _state() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted([*_HERE.glob("*.py"), _HERE / "uv.lock"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
