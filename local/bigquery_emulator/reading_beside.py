"""Who reads beside a transaction sees what was committed before it.

Statements run one after the other in the server's loop, on the emulator's one connection. The Storage Read
API, ``tabledata.list`` and what asks for metadata run in other threads: on that connection they may read what
a transaction has not committed, and they take each other's results. Each thread has one of its own.
"""

from __future__ import annotations

import threading
from typing import Any

from bqemulator.storage.engine import DuckDBEngine

_connection = DuckDBEngine.connection.fget
_start = DuckDBEngine.start


async def start(self: Any) -> None:
    """``DuckDBEngine.start``, in the thread that the loop runs in."""
    await _start(self)
    self.home, self.beside = threading.get_ident(), threading.local()


def connection(self: Any) -> Any:
    """The loop's connection, or that of the thread."""
    ours = _connection(self)
    if threading.get_ident() == getattr(self, "home", threading.get_ident()):
        return ours
    if not hasattr(self.beside, "connection"):
        self.beside.connection = ours.cursor()
        self.beside.connection.execute("set TimeZone = 'UTC'")
    return self.beside.connection


def install() -> None:
    """Put the replacements in their place."""
    DuckDBEngine.start = start
    DuckDBEngine.connection = property(connection)
