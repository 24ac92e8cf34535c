"""A BigQuery emulator for one benchmark, with nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.platform import LANDING_BUCKET
from local.services.bigquery import GRPC_PORT, NAME, REST_PORT, prepare, specify
from local.services.errors import ServiceError
from local.services.ports import LOOPBACK
from local.services.service import StateFolder, ensure
from segue.settings import PROJECT_ROOT, Settings

PROJECT_ID = "segue-bench"


@contextmanager
def empty_bigquery(settings: Settings) -> Iterator[Settings]:
    """Settings of an empty project on an emulator of its own, which ends with the block, as its data does.

    Raises:
        ServiceError: the emulator cannot be installed, or did not start.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        state = StateFolder.open(Path(folder))
        # The environment is the checkout's: making another would take longer than a small benchmark.
        shared = PROJECT_ROOT / ".segue" / "bqemulator-env"
        if shared.exists():
            (state.path / "bqemulator-env").symlink_to(shared)
        ensure(state, lambda opened: specify(opened, PROJECT_ID), lambda: prepare(state.path))
        landing = state.path / "gcs" / LANDING_BUCKET
        landing.mkdir()
        try:
            yield settings.model_copy(
                update={
                    "project_id": PROJECT_ID,
                    "bigquery_endpoint": f"http://{LOOPBACK}:{state.ports.get(REST_PORT)}",
                    "bigquery_storage_endpoint": f"{LOOPBACK}:{state.ports.get(GRPC_PORT)}",
                    "landing_uri": f"gs://{LANDING_BUCKET}",
                    "landing_files_uri": landing.as_uri(),
                    "state_dir": state.path,
                    "bigquery_deadline_seconds": 7_200.0,
                }
            )
        finally:
            service = specify(state, PROJECT_ID)
            state.files.stop(NAME, service.stop_signal, service.stop_seconds)


def bigquery_pid(settings: Settings) -> int:
    """Process id of the emulator of ``empty_bigquery``."""
    process = StateFolder.open(settings.state_dir).files.find(NAME)
    if process is None:
        raise ServiceError("the emulator has ended")
    return process.pid
