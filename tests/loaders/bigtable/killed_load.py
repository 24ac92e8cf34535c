"""Run as a process of its own: a load that kills itself (SIGKILL) at the point named on the command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa

from loaders.bigtable import load, manifest, pointer, scan
from loaders.bigtable.load import load_generation
from loaders.bigtable.manifest import GenerationState
from loaders.bigtable.writer import RowWriter
from segue.settings import Settings
from tests.bigtable_fixture import account, offer, source

ROWS = [account(f"account-{number}", offer(f"offer-{number % 7}")) for number in range(300, 900)]


def kill_me(*_: Any, **__: Any) -> Any:
    """Dies as a lost machine does: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def until(rows: int) -> Any:
    """A source that dies after so many rows."""

    def read(settings: Settings, day: date) -> Iterator[pa.RecordBatch]:
        yield from source(*ROWS[:rows])(settings, day)
        kill_me()

    return read


def main(point: str, project_id: str, host: str, day: str) -> None:
    """Loads ROWS and dies at ``point``."""
    settings = Settings(_env_file=None, project_id=project_id, bigtable_emulator_host=host)
    load.RowWriter = partial(RowWriter, rows_per_request=100)  # type: ignore[assignment,misc]
    read = source(*ROWS)
    if point == "after the claim":
        load._Load._discard_unpublished = kill_me  # type: ignore[method-assign]
    elif point == "in the middle of the rows":
        read = until(450)
    elif point == "in the middle of the tombstones":
        found = scan.leftovers_from_before

        def some(*arguments: Any) -> Iterator[bytes]:
            for number, key in enumerate(found(*arguments)):
                if number == 220:  # two requests are on their way
                    kill_me()
                yield key

        scan.leftovers_from_before = some
    elif point == "before the pointer moves":
        pointer.publish = kill_me
    elif point == "after the pointer moved":
        write = manifest.write_manifest

        def unless_published(table: Any, changed: manifest.GenerationManifest) -> None:
            if changed.state is GenerationState.PUBLISHED:
                kill_me()
            write(table, changed)

        manifest.write_manifest = unless_published
    load_generation(settings, date.fromisoformat(day), read)


if __name__ == "__main__":
    main(*sys.argv[1:])
