"""The embedded BigQuery as a process of a test's own."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.services.bigquery import command, import_spatial_extension
from segue.settings import PROJECT_ROOT

TRANSLATIONS = PROJECT_ROOT / ".segue/bqemulator-env/translations"
"""What emulators of the installed environment have translated."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port_to_keep() -> int:
    """A free port that no client's end of a connection is given while the server is down."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """The command, ended when its parent is: a killed test run must not leave a server behind.

    By setpriv of util-linux; elsewhere the fixture's end does it. Python would have to fork for it, and gRPC,
    whose threads do not survive that, now and then takes such a child with it.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


def _binary() -> Path:
    configured = os.environ.get("SEGUE_BQEMULATOR_BIN")
    binary = Path(configured) if configured else PROJECT_ROOT / ".segue/bqemulator-env/bin/bqemulator"
    if not binary.exists():
        pytest.fail(
            f"no BigQuery emulator at {binary}: run `make up` once or set SEGUE_BQEMULATOR_BIN", pytrace=False
        )
    import_spatial_extension(binary)
    return binary


@dataclass(frozen=True)
class BigQueryEmulator:
    """Addresses of an emulator and the folder that its ``gs://`` resolves under."""

    rest_endpoint: str
    storage_endpoint: str
    gcs_root: Path


class BigQueryProcess:
    """An emulator with its data in ``home``, on ports that it keeps when it is started again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._log = home / "bqemulator.log"
        self._rest, self._grpc = _port_to_keep(), _port_to_keep()
        self._command = command(_binary())
        self.emulator = BigQueryEmulator(
            f"http://127.0.0.1:{self._rest}", f"127.0.0.1:{self._grpc}", home / "gcs"
        )
        self.emulator.gcs_root.mkdir()
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                dying_with_parent([
                    *self._command, "start", "--persistent", "--data-dir", str(self._home / "data"),
                    "--rest-port", str(self._rest), "--grpc-port", str(self._grpc),
                    "--project", "segue-tests", "--log-level", "warning",
                ]),
                env=os.environ
                | {"BQEMU_GCS_LOCAL_ROOT": str(self.emulator.gcs_root), "SEGUE_BQEMULATOR_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._wait_until_healthy(f"{self.emulator.rest_endpoint}/bigquery/v2/projects/segue-tests/datasets")

    def kill(self) -> None:
        """SIGKILL: SIGTERM would wait for a running query."""
        self._process.kill()
        self._process.wait()

    def _wait_until_healthy(self, url: str) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        ended = self._process.poll()
        self.kill()
        why = "in time" if ended is None else f"and ended with {ended}"
        pytest.fail(
            f"the BigQuery emulator did not start {why}:\n{self._log.read_text()[-2000:]}", pytrace=False
        )
