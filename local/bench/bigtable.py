"""A Bigtable emulator for one benchmark, with nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from local.bench.cores import pin
from local.services.bigtable import running_alone
from segue.settings import Settings


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
    patience = {"GOGC": "800", "GOMEMLIMIT": "6GiB"} if collects_rarely else {}
    with running_alone(settings.state_dir, patience) as emulator:
        if core is not None:
            pin(emulator.pid, {core})
        yield settings.model_copy(
            update={
                "project_id": f"segue-bench-{uuid4().hex[:8]}",
                "bigtable_emulator_host": emulator.host,
            }
        )
