"""The same Airflow with people of different roles: one more API server, which knows who may do what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from local.platform import Platform
from local.services.ports import LOOPBACK
from tests.bigquery_process import dying_with_parent, free_port

ROLES = {"viewer": "viewer", "operator": "op", "admin": "admin"}
"""User name → role; each name is the password too."""
_START_SECONDS = 240


@contextmanager
def api_server_with_roles(platform: Platform) -> Iterator[str]:
    """Its address; it shares database, DAGs and settings with the platform's own, and serves the UI too."""
    folder = Path(platform.state_dir) / "roles"
    folder.mkdir(exist_ok=True)
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in ROLES}))
    port = free_port()
    address = f"http://{LOOPBACK}:{port}"
    environment = {
        **os.environ,
        **platform.airflow_environment,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{n}:{role}" for n, role in ROLES.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__PORT": str(port),
    }
    log = folder / "api-server.log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            dying_with_parent([sys.executable, "-m", "airflow", "api-server"]),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            assert serving.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
        yield address
    finally:
        serving.terminate()
        try:
            serving.wait(10)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/v2/monitor/health", timeout=5, verify=False).is_success
    except httpx.HTTPError:
        return False
