"""A Bigtable emulator for one benchmark, with nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from local.services.bigtable import NAME, PORT, prepare, specify
from local.services.ports import LOOPBACK
from local.services.service import StateFolder, ensure
from segue.settings import Settings


@contextmanager
def empty_bigtable(settings: Settings) -> Iterator[Settings]:
    """Settings of an empty project on an emulator of its own, which ends with the block.

    Raises:
        ServiceError: there is no emulator on this machine, or it did not start.
    """
    with TemporaryDirectory() as folder:
        state = StateFolder.open(Path(folder))
        ensure(state, specify, lambda: prepare(state.path))
        try:
            yield settings.model_copy(
                update={
                    "project_id": f"segue-bench-{uuid4().hex[:8]}",
                    "bigtable_emulator_host": f"{LOOPBACK}:{state.ports.get(PORT)}",
                }
            )
        finally:
            service = specify(state)
            state.files.stop(NAME, service.stop_signal, service.stop_seconds)
