"""A Bigtable emulator for one benchmark, with nothing else in it, and the shape of the rows it is given."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

import pyarrow as pa

from loaders.bigtable.manifest import GenerationManifest
from loaders.warehouse.erasures import ErasedSubjects
from local.bench.cores import pin
from local.services.bigtable import NAME, PORT, prepare, specify
from local.services.ports import LOOPBACK
from local.services.service import StateFolder, ensure
from segue.settings import Settings


class NobodyErased:
    """The part of a ``SegmentSource`` that a warehouse answers, for made-up segments."""

    def erased_since(self, _began: datetime) -> None:
        """Nobody, ever."""

    def take_out(self, _name: str, _erased: ErasedSubjects, _shards: int) -> list[int]:
        """Not asked for: nobody is erased."""
        raise NotImplementedError

    def forget_refused(self, _manifest: GenerationManifest, _complete: Collection[int]) -> None:
        """Nothing is ever kept."""


_OFFER: Final = pa.struct(
    [
        ("offer_id", pa.string()),
        ("rule_id", pa.string()),
        ("rule_version", pa.int64()),
        ("priority", pa.int64()),
        ("score", pa.float64()),
        ("reason_code", pa.string()),
        ("experiment_id", pa.string()),
        ("variant", pa.string()),
        ("is_control", pa.bool_()),
        ("content_id", pa.string()),
        ("content_version", pa.int64()),
        ("valid_until_at", pa.timestamp("us", tz="UTC")),
        ("content_locale", pa.string()),
    ]
)

SEGMENTS_SCHEMA: Final = pa.schema(
    [
        ("row_key", pa.string()),
        ("account_id", pa.string()),
        ("offers", pa.list_(_OFFER)),
        ("held_back", pa.list_(_OFFER)),
        ("suppressed_reason", pa.string()),
        ("valid_until_at", pa.timestamp("us", tz="UTC")),
        ("market", pa.string()),
    ]
)
"""The mart's columns that a payload is made of: without types, columns of nothing but nulls have none."""


@contextmanager
def empty_bigtable(
    settings: Settings, core: int | None = None, *, collects_rarely: bool = False
) -> Iterator[Settings]:
    """Settings of an empty project on an emulator of its own, which ends with the block; it may have a core.

    ``collects_rarely``: on one core, Go's garbage collection of old versions halves the emulator's speed for
    whichever writer it comes upon.

    Raises:
        ServiceError: there is no emulator on this machine, or it did not start.
    """
    with TemporaryDirectory() as folder:
        state = StateFolder.open(Path(folder))
        patience = {"GOGC": "800", "GOMEMLIMIT": "6GiB"} if collects_rarely else {}
        ensure(
            state,
            lambda opened: replace(specify(opened), environment=patience),
            lambda: prepare(state.path),
        )
        try:
            running = state.files.find(NAME)
            if core is not None and running is not None:
                pin(running.pid, {core})
            yield settings.model_copy(
                update={
                    "project_id": f"segue-bench-{uuid4().hex[:8]}",
                    "bigtable_emulator_host": f"{LOOPBACK}:{state.ports.get(PORT)}",
                }
            )
        finally:
            service = specify(state)
            state.files.stop(NAME, service.stop_signal, service.stop_seconds)
