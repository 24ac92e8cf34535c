"""``up``, ``status`` and ``down`` over the real emulators and PostgreSQL; Airflow is tested end to end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from cli import app
from local import platform
from local.services import airflow, bigtable, postgres
from local.services.service import StateFolder
from segue.settings import Settings
from tests.pages import typed

runner = CliRunner()


def processes_of(state_dir: Path) -> list[str]:
    """Command lines that name the state folder."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if str(state_dir) in " ".join(process.info["cmdline"] or [])
    ]


def pids(state_dir: Path) -> dict[str, int | None]:
    return {each.name: each.pid for each in platform.status(state_dir)}


def test_emulators_start_once_answer_and_leave_nothing_behind(state_dir: Path) -> None:
    lines: list[str] = []
    started = platform.up(state_dir, platform.EMULATORS, lines.append)

    assert {each.name: each.state for each in platform.status(state_dir, platform.EMULATORS)} == {
        "bigquery": "healthy",
        "bigtable": "healthy",
    }
    assert _two(started.settings) == 2
    assert Settings(_env_file=started.env_file).bigtable_emulator_host == started.bigtable_emulator_host
    # It holds the secret that erased accounts are hashed with.
    assert started.env_file.stat().st_mode & 0o077 == 0
    assert started.settings.erasure_salt is not None
    before = pids(state_dir)

    again = platform.up(state_dir, platform.EMULATORS, lines.append)

    assert pids(state_dir) == before
    assert again.bigquery_endpoint == started.bigquery_endpoint
    assert {"bigtable is healthy", "bigquery is healthy"} <= set(lines[-2:])
    assert set(platform.down(state_dir)) == platform.EMULATORS
    assert processes_of(state_dir) == []
    assert {each.state for each in platform.status(state_dir)} == {"stopped"}
    assert platform.down(state_dir) == []


def test_tables_survive_a_kill_and_addresses_stay(state_dir: Path) -> None:
    from loaders.warehouse.client import warehouse_of

    first = platform.up(state_dir, {"bigquery"})
    warehouse = warehouse_of(first.settings)
    warehouse.client.create_dataset("kept")
    pid = pids(state_dir)["bigquery"]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    gone = select_one(first.settings.model_copy(update={"bigquery_retry_seconds": 0.2}))
    assert (gone.exit_code, gone.stderr.startswith("service_unavailable: ")) == (1, True), gone.stderr
    assert [each.state for each in platform.status(state_dir, {"bigquery"})] == ["stopped"]

    healed = platform.up(state_dir, {"bigquery"})

    assert select_one(healed.settings).exit_code == 0
    assert pids(state_dir)["bigquery"] != pid
    assert healed.bigquery_endpoint == first.bigquery_endpoint
    assert warehouse_of(healed.settings).datasets() == ["kept"]


def select_one(settings: Settings) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        return runner.invoke(app, ["query", "select 1"])


@pytest.mark.parametrize("broken", ["killed", "lock file of a stranger", "half initialised"])
def test_postgres_heals(state_dir: Path, broken: str) -> None:
    state = StateFolder.open(state_dir)
    folder = state.path / "postgres"
    _start_postgres(state)
    process = state.files.find(postgres.NAME)
    assert process is not None
    if broken == "killed":
        os.kill(process.pid, signal.SIGKILL)
    else:
        state.files.stop(postgres.NAME, signal.SIGINT, 15)
    if broken == "lock file of a stranger":
        (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    elif broken == "half initialised":
        (folder / "initialised").unlink()
        (folder / "data" / "global" / "pg_control").unlink()

    _start_postgres(state)
    postgres.ensure_database(state.path)
    postgres.set_comment(state.path, "noted")

    assert postgres.comment(state.path) == "noted"


def test_airflow_gets_an_async_connection_through_the_same_socket(state_dir: Path) -> None:
    """The API server derives an asyncpg address from ours: the socket folder must survive that."""
    import asyncio

    from airflow.settings import _get_async_conn_uri_from_sync
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    state = StateFolder.open(state_dir)
    _start_postgres(state)
    postgres.ensure_database(state.path)

    async def one() -> int:
        engine = create_async_engine(_get_async_conn_uri_from_sync(postgres.uri(state.path)))
        async with engine.connect() as connection:
            value = (await connection.execute(text("select 1"))).scalar_one()
        await engine.dispose()
        return int(value)

    assert asyncio.run(one()) == 1


def test_a_long_state_folder_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    state_dir = tmp_path / ("long" * 30)

    folder = postgres.socket_folder(state_dir)

    assert len(str(folder / ".s.PGSQL.5432")) < 100
    assert folder == postgres.socket_folder(state_dir)
    assert folder != postgres.socket_folder(state_dir / "other")


def test_a_taken_port_is_chosen_anew_and_the_settings_follow(state_dir: Path) -> None:
    first = platform.up(state_dir, {"bigtable"})
    platform.down(state_dir)
    port = int(first.bigtable_emulator_host.rpartition(":")[2])
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", port))
        somebody.listen()

        moved = platform.up(state_dir, {"bigtable"})

    assert moved.bigtable_emulator_host != first.bigtable_emulator_host
    assert moved.settings.bigtable_emulator_host == moved.bigtable_emulator_host
    assert f"SEGUE_BIGTABLE_EMULATOR_HOST={moved.bigtable_emulator_host}\n" in moved.env_file.read_text()


def test_a_start_killed_at_any_moment_can_be_repeated(state_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from local import platform; "
        "platform.up(Path(sys.argv[1]), {'bigtable'})"
    )
    for seconds in (0.3, 0.8, 1.2):
        starter = subprocess.Popen([sys.executable, "-c", code, str(state_dir)])
        try:
            starter.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            starter.kill()
            starter.wait()

    platform.up(state_dir, {"bigtable"})

    assert len([line for line in processes_of(state_dir) if "-port" in line]) == 1
    platform.down(state_dir)
    assert processes_of(state_dir) == []


def test_two_starts_at_the_same_time_share_one_platform(state_dir: Path) -> None:
    addresses: list[str] = []
    starts = [
        threading.Thread(
            target=lambda: addresses.append(platform.up(state_dir, {"bigtable"}).bigtable_emulator_host)
        )
        for _ in range(2)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()

    assert len(addresses) == 2
    assert len(set(addresses)) == 1
    assert len([line for line in processes_of(state_dir) if "-port" in line]) == 1


def test_airflow_keeps_its_generated_secrets_to_their_owner(state_dir: Path) -> None:
    state = StateFolder.open(state_dir)

    first = airflow.environment(state, {}, Path("dags"))
    again = airflow.environment(StateFolder.open(state_dir), {}, Path("dags"))
    other = airflow.environment(StateFolder.open(state_dir / "other"), {}, Path("dags"))

    name = "AIRFLOW__API_AUTH__JWT_SECRET"
    assert first[name] == again[name] != other[name]
    assert (state.path / "airflow" / "keys.json").stat().st_mode & 0o777 == 0o600


def test_unknown_services_are_refused(state_dir: Path) -> None:
    with pytest.raises(ValueError, match="unknown services"):
        platform.up(state_dir, {"kafka"})


def test_status_exits_with_0_only_when_all_are_healthy(state_dir: Path) -> None:
    status = [*typed("docs/operate.md", "segue local status"), "--state-dir", str(state_dir)]
    arguments = [*status, "--json", "--service", bigtable.NAME]
    stopped = runner.invoke(app, arguments)
    up = runner.invoke(
        app, ["local", "up", "--state-dir", str(state_dir), "--json", "--service", bigtable.NAME]
    )
    healthy = runner.invoke(app, arguments)
    all_of_them = runner.invoke(app, status)
    down = runner.invoke(app, ["local", "down", "--state-dir", str(state_dir), "--json"])

    assert (stopped.exit_code, up.exit_code, healthy.exit_code, all_of_them.exit_code, down.exit_code) == (
        1,
        0,
        0,
        1,
        0,
    )
    assert [each["state"] for each in json.loads(stopped.stdout)] == ["stopped"]
    assert [each["state"] for each in json.loads(healthy.stdout)] == ["healthy"]
    assert json.loads(up.stdout)["bigtable_emulator_host"] == json.loads(healthy.stdout)[0]["address"]
    assert json.loads(down.stdout) == {"stopped": ["bigtable"]}


def _start_postgres(state: StateFolder) -> None:
    from local.services.service import ensure

    state.path.mkdir(parents=True, exist_ok=True)
    ensure(state, postgres.specify, lambda: postgres.prepare(state.path))


def _two(settings: Settings) -> int:
    from loaders.warehouse.client import warehouse_of

    rows = list(warehouse_of(settings).run("select 1 + 1 as two"))
    return int(rows[0]["two"])
