"""The embedded Airflow: API server, scheduler, DAG processor and triggerer, each a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from local.services import postgres
from local.services.errors import ServiceError
from local.services.ports import LOOPBACK, write_atomically
from local.services.processes import ServiceProcess
from local.services.service import Service, StateFolder

API_SERVER = "airflow-api-server"
SCHEDULER = "airflow-scheduler"
DAG_PROCESSOR = "airflow-dag-processor"
TRIGGERER = "airflow-triggerer"
COMPONENTS = (API_SERVER, SCHEDULER, DAG_PROCESSOR, TRIGGERER)
PORT = "airflow"

COMMON: Mapping[str, str] = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # Everybody who reaches the UI is its administrator: it must listen on loopback only.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    # Forked before any task, so each costs little memory.
    "AIRFLOW__CORE__PARALLELISM": "8",
    # DAG files import in a second, but not while dbt has both cores.
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "60",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API__INSTANCE_NAME": "Segue",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    # A day's run is a chain of short tasks: much of its time would be the scheduler's sleep of a second.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "16",
    # What a kill left behind is taken up again after half a minute instead of five.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    # Nothing here talks to the internet.
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
"""What does not depend on where Airflow runs; docker-compose.yml sets the same."""

ARGUMENTS = {
    API_SERVER: ("api-server",),
    # Logs are read from the shared folder: no component needs a log server of its own.
    SCHEDULER: ("scheduler", "--skip-serve-logs"),
    DAG_PROCESSOR: ("dag-processor",),
    TRIGGERER: ("triggerer", "--skip-serve-logs"),
}
_HEARTBEAT = {SCHEDULER: "scheduler", DAG_PROCESSOR: "dag_processor", TRIGGERER: "triggerer"}
_CHECK_SECONDS = 10.0
_OPEN = ("AIRFLOW__CORE__EXECUTOR", "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL")
"""What whoever starts it may say otherwise."""
_INHERITED = ("SEGUE_", "AIRFLOW_", "OTEL_")


def url(state: StateFolder) -> str:
    """Where a browser finds the UI."""
    return f"http://{LOOPBACK}:{state.ports.get(PORT)}"


def specify(state: StateFolder, component: str, environment: Mapping[str, str]) -> Service:
    """One component, in the ``environment`` that all of them share."""
    base = url(state)
    return Service(
        name=component,
        command=(sys.executable, "-m", "airflow", *ARGUMENTS[component]),
        environment=environment,
        port_names=(PORT,) if component == API_SERVER else (),
        check=lambda process: _check(base, component, process),
        address=base if component == API_SERVER else "",
        start_seconds=120,
        # The scheduler would wait for its tasks to end; they are safe to be run again.
        stop_seconds=6,
        depends_on=(postgres.NAME,),
    )


def environment(state: StateFolder, settings: Mapping[str, str], dags_folder: Path) -> dict[str, str]:
    """Every variable of the components and of the ``airflow`` command line; it contains secrets."""
    base = url(state)
    home = state.path / "airflow"
    inherited = {name: value for name, value in os.environ.items() if name.startswith(_INHERITED)}
    keys = _keys(home)
    return {
        **inherited,
        **settings,
        **COMMON,
        **{name: inherited.get(name, COMMON[name]) for name in _OPEN},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet_key"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.uri(state.path),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(state.ports.get(PORT)),
        "AIRFLOW__API__SECRET_KEY": keys["secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(state.path / "logs" / "airflow"),
    }


def migrate(state: StateFolder, variables: Mapping[str, str]) -> None:
    """Bring Airflow's database to the installed version, with the pools that the DAGs' tasks run in.

    Does nothing when it was done already.

    Raises:
        ServiceError: a command failed; the message carries the end of its output.
    """
    from importlib.metadata import version

    postgres.ensure_database(state.path)
    pools = Path(variables["AIRFLOW__CORE__DAGS_FOLDER"]) / "pools.json"
    wanted = f"Airflow {version('apache-airflow-core')}, pools {sha256(pools.read_bytes()).hexdigest()[:12]}"
    if postgres.comment(state.path) == wanted:
        return
    for command in (["db", "migrate"], ["pools", "import", str(pools)]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        write_atomically(state.files.log(f"airflow-{command[0]}-{command[1]}"), output)
        if done.returncode:
            raise ServiceError(f"airflow {' '.join(command)} failed:\n{output[-2000:]}")
    # Noted in the database itself, so that the note cannot outlive it.
    postgres.set_comment(state.path, wanted)


def _keys(home: Path) -> dict[str, str]:
    """The secrets of this state folder, generated once, readable by its owner only."""
    path = home / "keys.json"
    if not path.exists():
        from cryptography.fernet import Fernet

        keys = {
            "fernet_key": Fernet.generate_key().decode(),
            "jwt_secret": secrets.token_urlsafe(48),
            "secret_key": secrets.token_urlsafe(48),
        }
        write_atomically(path, json.dumps(keys), mode=0o600)
    return {str(name): str(value) for name, value in json.loads(path.read_text()).items()}


def _check(base: str, component: str, process: ServiceProcess) -> str | None:
    """The API server answers and reaches the database; the others have beaten since they started."""
    import httpx

    try:
        # There is no TLS, for which each question would read all authorities: 24 ms of a core that starts.
        answer = httpx.get(f"{base}/api/v2/monitor/health", timeout=_CHECK_SECONDS, verify=False)
        health = answer.raise_for_status().json()
    except httpx.HTTPError as error:
        return f"the API server does not answer: {error or type(error).__name__}"
    if health["metadatabase"]["status"] != "healthy":
        return "Airflow's database does not answer"
    part = _HEARTBEAT.get(component)
    if part is None:
        return None
    beat = health[part][f"latest_{part}_heartbeat"]
    if beat is None or datetime.fromisoformat(beat).timestamp() < process.created_at:
        return "no heartbeat yet"
    return None if health[part]["status"] == "healthy" else f"the last heartbeat was at {beat}"
