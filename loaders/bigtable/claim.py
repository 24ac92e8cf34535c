"""Whether a load may still write: the one that started last holds the claim in the pointer row."""

from __future__ import annotations

import threading
import time
from typing import Final

from google.cloud.bigtable.data import Table

from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.pointer import read_loading

_CHECKED_EVERY_SECONDS: Final = 0.25
_TIMEOUT_SECONDS: Final = 60.0
"""As long as a request that writes: a busy server is no reason to give a load up."""


class Claim:
    """The claim of one generation (milliseconds), looked up at most every quarter of a second."""

    def __init__(self, table: Table, generation: int) -> None:
        self._table = table
        self._generation = generation
        self._lock = threading.Lock()
        self._checked_at = float("-inf")

    def is_held(self) -> bool:
        """Asks Bigtable now."""
        return read_loading(self._table, _TIMEOUT_SECONDS) == self._generation

    def check(self) -> None:
        """Raises LoadError ``OVERTAKEN`` when another load or a rollback came in between."""
        with self._lock:
            if time.monotonic() - self._checked_at < _CHECKED_EVERY_SECONDS:
                return
            if not self.is_held():
                raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between")
            self._checked_at = time.monotonic()
