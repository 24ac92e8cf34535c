"""A script's transaction is one of DuckDB's.

The emulator copies each table that a transaction changes, in full, and puts the copies back after an error:
it may have to keep what was done before a caught ``exception when error``, which DuckDB cannot. Publishing a
day would copy all that was ever published. Scripts without a handler, as all of ours are, need no copies; to
DuckDB they are one transaction also when the emulator is killed in the middle.
"""

from __future__ import annotations

import re
from typing import Any

from bqemulator.scripting.interpreter import ScriptInterpreter
from jobs_once import keep_with_transaction

_HANDLER = re.compile(r"\bexception\s+when\b", re.IGNORECASE)

# for procedures, which run in an interpreter of their own
ScriptInterpreter.is_native = False
_run = ScriptInterpreter.run
_handle = ScriptInterpreter._handle_txn_statement
_snapshot = ScriptInterpreter._snapshot_dml_targets
_drop = ScriptInterpreter._drop_txn_snapshots
_restore = ScriptInterpreter._restore_txn_snapshots


async def run(self: Any, source: str) -> Any:
    """``ScriptInterpreter.run``; nothing awaits anything while a script runs, so none comes in between."""
    self.is_native = not _HANDLER.search(source)
    return await _run(self, source)


async def handle(self: Any, operation: str) -> None:
    """Begin, commit or roll back."""
    if self.is_native and operation == "BEGIN" and self._active_txn is None:
        self._ctx.engine.execute("begin transaction")
    await _handle(self, operation)


async def snapshot(self: Any, sql: str) -> None:
    """Before a statement of a transaction."""
    if not self.is_native:
        await _snapshot(self, sql)


async def drop(self: Any) -> None:
    """At the end of a transaction that stays."""
    if self.is_native and self._active_txn is not None:
        keep_with_transaction(self._ctx)
        self._ctx.engine.execute("commit")
    await _drop(self)


async def restore(self: Any) -> None:
    """At the end of a transaction that must not have been."""
    if self.is_native and self._active_txn is not None:
        self._ctx.engine.execute("rollback")
    await _restore(self)
