"""The embedded platform: starts, heals, shows and stops everything that one machine needs to run Segue."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from local.services import airflow, bigquery, bigtable, offer_lookup, postgres
from local.services.errors import ServiceError
from local.services.ports import LOOPBACK, write_atomically
from local.services.service import Service, Specification, StateFolder, ensure
from segue.settings import Settings
from segue.shipped import DAGS_DIR

EMULATORS = frozenset({bigquery.NAME, bigtable.NAME})
AIRFLOW = frozenset({postgres.NAME, *airflow.COMPONENTS})
SERVICES = (bigquery.NAME, bigtable.NAME, offer_lookup.NAME, postgres.NAME, *airflow.COMPONENTS)
"""In the order in which they start; they stop in reverse."""

PROJECT_ID = "segue-local"
LANDING_BUCKET = "segue-landing"
LOCK_SECONDS = 300.0

_PARSE = """
from runs.dbt import ensure_parsed
from segue.settings import get_settings
ensure_parsed(get_settings())
"""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Platform:
    """Addresses of a started platform; its ports are chosen once and stay as long as they are free."""

    state_dir: Path
    settings: Settings
    airflow_url: str
    bigquery_endpoint: str
    bigquery_storage_endpoint: str
    bigtable_emulator_host: str
    service_address: str
    env_file: Path
    airflow_environment: Mapping[str, str]
    """What the ``airflow`` command line needs to reach this Airflow; it contains secrets."""


@dataclass(frozen=True)
class ServiceStatus:
    """One line of ``segue local status``; ``state`` is healthy, unhealthy or stopped."""

    name: str
    state: str
    pid: int | None
    address: str
    detail: str
    log: Path


def up(
    state_dir: Path, services: Iterable[str] | None = None, on_progress: Progress | None = None
) -> Platform:
    """Start ``services`` (all by default) and wait until they do their work; what is healthy is left alone.

    It may be killed at any moment and called again. Two calls for one state folder wait for each other.

    Raises:
        ServiceError: something could not be found, built or started; the rest stays up for a next try.
    """
    chosen = _chosen(services)
    state = StateFolder.open(state_dir)
    say = on_progress or (lambda _: None)
    state.path.mkdir(parents=True, exist_ok=True)
    with _locked(state, say):
        state = StateFolder.open(state_dir)
        _together(
            partial(_start_emulators, state, chosen, say),
            partial(_start_airflow_database, state, chosen, say),
        )
        if chosen & AIRFLOW:
            _start_airflow(state, chosen, say)
        return _platform(state)


def down(state_dir: Path, on_progress: Progress | None = None) -> list[str]:
    """Stop everything that was started from this state folder; returns the names of what was running.

    Raises:
        ServiceError: another process has been starting or stopping this platform for minutes.
    """
    state = StateFolder.open(state_dir)
    if not state.path.exists():
        return []
    say = on_progress or (lambda _: None)
    with _locked(state, say):
        stopped: list[str] = []
        # Airflow's processes need nothing of each other to stop; the database has to outlive them.
        for group in (
            (*airflow.COMPONENTS, offer_lookup.NAME),
            (postgres.NAME,),
            (bigtable.NAME, bigquery.NAME),
        ):
            with ThreadPoolExecutor(len(group)) as pool:
                ran = pool.map(partial(_stop, state), group)
                stopped += [name for name, was_running in zip(group, ran, strict=True) if was_running]
        for name in stopped:
            say(f"{name} stopped")
        return stopped


def status(state_dir: Path, services: Iterable[str] | None = None) -> list[ServiceStatus]:
    """Ask every service how it is; starts, changes and waits for nothing."""
    state = StateFolder.open(state_dir)
    names = [name for name in SERVICES if name in _chosen(services)]
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(partial(_status, state), names))


def _chosen(services: Iterable[str] | None) -> frozenset[str]:
    chosen = frozenset(SERVICES if services is None else services)
    if unknown := chosen - frozenset(SERVICES):
        raise ValueError(f"unknown services {sorted(unknown)}; there are {', '.join(SERVICES)}")
    return chosen


@contextmanager
def _locked(state: StateFolder, say: Progress) -> Iterator[None]:
    lock = FileLock(state.path / "platform.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another start or stop of this platform")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise ServiceError(
                f"another start or stop of {state.path} has not ended for {LOCK_SECONDS:.0f} s"
            ) from None
    try:
        yield
    finally:
        lock.release()


def _together(*tasks: Callable[[], None]) -> None:
    """Run all at the same time and to their end; the first failure is raised."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
    for future in futures:
        future.result()


def _specifications(state: StateFolder) -> dict[str, Specification]:
    variables = _airflow_variables(state)
    return {
        bigquery.NAME: partial(bigquery.specify, project_id=PROJECT_ID),
        bigtable.NAME: bigtable.specify,
        offer_lookup.NAME: partial(offer_lookup.specify, environment=_service_variables(state)),
        postgres.NAME: postgres.specify,
        **{
            component: partial(airflow.specify, component=component, environment=variables)
            for component in airflow.COMPONENTS
        },
    }


def _start(state: StateFolder, name: str, say: Progress, prepare: Callable[[], None] | None = None) -> None:
    began = time.monotonic()
    started = ensure(state, _specifications(state)[name], prepare)
    say(f"{name} {f'started in {time.monotonic() - began:.1f} s' if started else 'is healthy'}")


def _start_emulators(state: StateFolder, chosen: frozenset[str], say: Progress) -> None:
    preparations = {
        bigquery.NAME: partial(bigquery.prepare, state.path),
        bigtable.NAME: partial(bigtable.prepare, state.path),
    }
    names = [name for name in preparations if name in chosen]
    if names:
        _together(*(partial(_start, state, name, say, preparations[name]) for name in names))
    _write_env_file(state)
    if chosen >= EMULATORS:
        reload_bigtable(_settings(state), say)
    if offer_lookup.NAME in chosen:
        _start(state, offer_lookup.NAME, say)
        # its port may have been chosen anew
        _write_env_file(state)
    if chosen & AIRFLOW:
        _parse_dbt(state, say)


def _start_airflow_database(state: StateFolder, chosen: frozenset[str], say: Progress) -> None:
    if postgres.NAME in chosen:
        _start(state, postgres.NAME, say, partial(postgres.prepare, state.path))
        airflow.migrate(state, _airflow_variables(state))


def _start_airflow(state: StateFolder, chosen: frozenset[str], say: Progress) -> None:
    components = [name for name in airflow.COMPONENTS if name in chosen]
    if not components:
        return
    if state.files.find(airflow.API_SERVER) is None:
        state.ports.replace_taken([airflow.PORT])
    for _ in range(2):
        port = state.ports.get(airflow.PORT)
        _together(*(partial(_start, state, component, say) for component in components))
        if state.ports.get(airflow.PORT) == port:
            # Else the port was taken in between, and those that know the old one start again.
            break


def _parse_dbt(state: StateFolder, say: Progress) -> None:
    """Write the manifest that runs publish by, unless it is of the dbt project as it is."""
    from runs.dbt import is_parsed

    if is_parsed(_settings(state)):
        return
    # In a process of its own: dbt takes its parameters from the environment, which threads share.
    done = subprocess.run(
        [sys.executable, "-c", _PARSE],
        env=os.environ | variables(state),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceError(f"dbt parse failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    say("dbt project parsed")


def reload_bigtable(settings: Settings, say: Progress) -> None:
    """The Bigtable emulator forgets everything when it stops: load the newest published day again."""
    from loaders.bigtable import republish
    from loaders.bigtable.source import SEGMENTS_TABLE
    from loaders.warehouse.client import warehouse_of

    table = f"{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}"
    if warehouse_of(settings).find_table(table) is None:
        return
    result = republish(settings)
    if result is not None:
        say(f"bigtable: {result.summary()}")


def _stop(state: StateFolder, name: str) -> bool:
    if name not in state.files.recorded():
        return False
    service = _specifications(state)[name](state)
    return state.files.stop(name, service.stop_signal, service.stop_seconds)


def _status(state: StateFolder, name: str) -> ServiceStatus:
    log = state.files.log(name)
    process = state.files.find(name)
    if process is None:
        return ServiceStatus(name, "stopped", None, "", "", log)
    service: Service = _specifications(state)[name](state)
    problem = service.check(process)
    return ServiceStatus(
        name, "unhealthy" if problem else "healthy", process.pid, service.address, problem or "", log
    )


def _env_file(state: StateFolder) -> Path:
    return state.path / "segue.env"


def _write_env_file(state: StateFolder) -> None:
    values = variables(state) | offer_lookup.addresses(state)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    write_atomically(_env_file(state), text, mode=0o600)


def _service_variables(state: StateFolder) -> dict[str, str]:
    """What the lookup service is told: of the embedded platform only, whatever this shell says."""
    return {"SEGUE_ENV_FILE": os.devnull, **variables(state)}


def variables(state: StateFolder) -> dict[str, str]:
    """The settings of this platform as environment variables."""
    landing = state.path / "gcs" / LANDING_BUCKET
    return {
        "SEGUE_STATE_DIR": str(state.path),
        "SEGUE_PROJECT_ID": PROJECT_ID,
        "SEGUE_BIGQUERY_ENDPOINT": f"http://{LOOPBACK}:{state.ports.get(bigquery.REST_PORT)}",
        "SEGUE_BIGQUERY_STORAGE_ENDPOINT": f"{LOOPBACK}:{state.ports.get(bigquery.GRPC_PORT)}",
        "SEGUE_BIGTABLE_EMULATOR_HOST": f"{LOOPBACK}:{state.ports.get(bigtable.PORT)}",
        "SEGUE_LANDING_URI": f"gs://{LANDING_BUCKET}",
        "SEGUE_LANDING_FILES_URI": landing.as_uri(),
        # Nobody delivers by night here: what is there is what there is.
        "SEGUE_LANDING_QUIET_MINUTES": os.environ.get("SEGUE_LANDING_QUIET_MINUTES", "0"),
        "SEGUE_LANDING_DEADLINE_HOURS": os.environ.get("SEGUE_LANDING_DEADLINE_HOURS", "0"),
        "SEGUE_ERASURE_SALT": _erasure_salt(state),
        **_experiments(state),
        # A person waits in front of an embedded platform: failures show after seconds, not minutes.
        "SEGUE_TASK_RETRIES": os.environ.get("SEGUE_TASK_RETRIES", "1"),
        "SEGUE_TASK_RETRY_DELAY_SECONDS": os.environ.get("SEGUE_TASK_RETRY_DELAY_SECONDS", "2"),
    }


def _experiments(state: StateFolder) -> dict[str, str]:
    """A generated company tries something of its own."""
    folder = state.path / "company/experiments"
    return {"SEGUE_EXPERIMENTS_DIR": str(folder)} if folder.is_dir() else {}


def _erasure_salt(state: StateFolder) -> str:
    """Made once: with another one, accounts that were erased would no longer be recognised."""
    path = state.path / "erasure_salt"
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32), mode=0o600)
    return path.read_text()


def _airflow_variables(state: StateFolder) -> dict[str, str]:
    return airflow.environment(state, variables(state), DAGS_DIR)


def _settings(state: StateFolder) -> Settings:
    """The same as a process gets that reads the env file; this one's own environment cannot displace them."""
    named = variables(state) | offer_lookup.addresses(state)
    values = {name.removeprefix("SEGUE_").lower(): value for name, value in named.items()}
    return Settings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]


def _platform(state: StateFolder) -> Platform:
    settings = _settings(state)
    return Platform(
        state_dir=state.path,
        settings=settings,
        airflow_url=airflow.url(state),
        bigquery_endpoint=settings.bigquery_endpoint or "",
        bigquery_storage_endpoint=settings.bigquery_storage_endpoint or "",
        bigtable_emulator_host=settings.bigtable_emulator_host or "",
        service_address=settings.service_address,
        env_file=_env_file(state),
        airflow_environment=_airflow_variables(state),
    )
