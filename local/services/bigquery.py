"""The embedded BigQuery: an emulator in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from local.services.errors import ServiceError
from local.services.ports import LOOPBACK
from local.services.service import Service, StateFolder
from segue.settings import PROJECT_ROOT

NAME = "bigquery"
REST_PORT, GRPC_PORT = "bigquery_rest", "bigquery_grpc"
PROJECT = PROJECT_ROOT / "local" / "bigquery_emulator"
BINARY_VARIABLE = "SEGUE_BQEMULATOR_BIN"
"""Names an emulator that is installed already; no environment is made then."""
_CHECK_SECONDS = 10.0


def specify(state: StateFolder, project_id: str) -> Service:
    """The emulator with its data under ``<state>/bigquery`` and ``gs://`` under ``<state>/gcs``."""
    rest, grpc = state.ports.get(REST_PORT), state.ports.get(GRPC_PORT)
    return Service(
        name=NAME,
        command=(
            *command(binary(state.path)),
            "start",
            "--persistent",
            "--data-dir",
            str(state.path / "bigquery"),
            "--rest-host",
            LOOPBACK,
            "--rest-port",
            str(rest),
            "--grpc-host",
            LOOPBACK,
            "--grpc-port",
            str(grpc),
            "--project",
            project_id,
            "--log-level",
            "warning",
        ),
        environment={"BQEMU_GCS_LOCAL_ROOT": str(state.path / "gcs")},
        port_names=(REST_PORT, GRPC_PORT),
        check=lambda _: _check(rest, grpc, project_id),
        address=f"http://{LOOPBACK}:{rest}",
        # SIGTERM waits for the query that runs; opening the database again recovers from a kill.
        stop_seconds=5,
    )


def binary(state_dir: Path) -> Path:
    """The emulator's executable."""
    return Path(os.environ.get(BINARY_VARIABLE) or state_dir / "bqemulator-env" / "bin" / "bqemulator")


def command(emulator: Path) -> tuple[str, str]:
    """How the ``emulator`` is started: through our own entry, in its environment's Python."""
    return str(emulator.with_name("python")), str(PROJECT / "main.py")


def prepare(state_dir: Path) -> None:
    """Make the emulator's environment from its lock, and the folders it works in.

    Raises:
        ServiceError: uv is missing or an installation failed.
    """
    for folder in ("bigquery", "gcs"):
        (state_dir / folder).mkdir(parents=True, exist_ok=True)
    environment = state_dir / "bqemulator-env"
    stamp = environment / "segue-lock.sha256"
    lock = hashlib.sha256((PROJECT / "uv.lock").read_bytes()).hexdigest()
    if BINARY_VARIABLE not in os.environ and not (
        binary(state_dir).exists() and stamp.exists() and stamp.read_text() == lock
    ):
        _run(
            [uv(), "sync", "--locked", "--quiet", "--project", str(PROJECT)],
            {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_COMPILE_BYTECODE": "1"},
        )
        stamp.write_text(lock)
    import_spatial_extension(binary(state_dir))


def import_spatial_extension(emulator: Path) -> None:
    """Put DuckDB's packaged spatial extension where the emulator looks for it, which would download it.

    Takes 0.2 s, every time, because that place is the user's home and not our environment.

    Raises:
        ServiceError: the emulator's environment lacks the package.
    """
    python = emulator.with_name("python")
    _run([str(python), "-c", "from duckdb_extensions import import_extension as i; i('spatial')"], {})


def uv() -> str:
    """The uv to call: the one that is named, installed, or the checkout's own.

    Raises:
        ServiceError: there is none.
    """
    own = PROJECT_ROOT / ".segue" / "uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        raise ServiceError("uv is missing: `pip install uv`, or start with `make up`, which brings its own")
    return found


def _run(command: list[str], environment: dict[str, str]) -> None:
    # The variable of an activated environment would only make uv warn that it is not this one.
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, env=variables | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{' '.join(command)} failed:\n{done.stderr.strip()[-1500:]}")


def _check(rest: int, grpc_port: int, project_id: str) -> str | None:
    import grpc
    import httpx

    try:
        # Without TLS no authorities have to be read.
        with httpx.Client(
            base_url=f"http://{LOOPBACK}:{rest}", timeout=_CHECK_SECONDS, verify=False
        ) as asked:
            for path in ("/readyz", f"/bigquery/v2/projects/{project_id}/datasets"):
                asked.get(path).raise_for_status()
        with grpc.insecure_channel(f"{LOOPBACK}:{grpc_port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=_CHECK_SECONDS)
    except httpx.HTTPError as error:
        return f"REST: {error or type(error).__name__}"
    except grpc.FutureTimeoutError:
        return "the Storage Read API does not answer"
    return None
