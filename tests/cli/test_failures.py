"""What somebody at a terminal sees of a failure: a sentence and a way out, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.api_core.exceptions import DeadlineExceeded, Forbidden, RetryError
from google.auth.exceptions import DefaultCredentialsError
from requests.exceptions import ConnectionError as NobodyAnswersError
from typer.testing import CliRunner

import cli
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.warehouse.client import WarehouseError
from runs.failures import describe, foreseen
from segue.errors import SegueError
from segue.settings import get_settings
from segue_client.errors import (
    InvalidAccountIdError,
    LookupTimeoutError,
    NotAuthenticatedError,
    UnavailableError,
)
from serving.service.callers import write_callers
from tests.conftest import open_folder


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that point at services that are not there."""
    monkeypatch.setenv("SEGUE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("SEGUE_BIGQUERY_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("SEGUE_BIGTABLE_EMULATOR_HOST", f"127.0.0.1:{closed_port()}")
    monkeypatch.setenv("SEGUE_LOOKUP_TIMEOUT_SECONDS", "0.2")
    monkeypatch.setenv("SEGUE_BIGQUERY_RETRY_SECONDS", "0.2")
    monkeypatch.setenv("SEGUE_LANDING_FILES_URI", tmp_path.as_uri())
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run 2017-09-01 2020-02-29", "impossible_days: 2017-09-01 is before SEGUE_HISTORY_START_DATE"),
        ("run 2026-03-02 2026-03-01", "impossible_days: 2026-03-02..2026-03-01 ends before it starts"),
        ("as-of 2026-03-02 2026-03-02 --known-on 2026-03-01", "impossible_days: 2026-03-02 had not happened"),
        ("segments plan", "service_unavailable: "),
        ("lookup somebody", "service_unavailable: "),
        ("land day 2026-03-01", "service_unavailable: "),
    ],
)
@pytest.mark.usefixtures("nowhere")
def test_a_foreseen_failure_is_a_sentence_and_an_exit_code(command: str, said: str) -> None:
    result = CliRunner().invoke(cli.app, command.split())

    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code in (1, 2)


@pytest.mark.usefixtures("nowhere")
def test_a_step_that_fails_in_a_run_is_a_sentence_and_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        try:
            raise PermissionError("beneath")
        except PermissionError as error:
            raise OSError(28, "No space left on device") from error

    monkeypatch.setattr("loaders.warehouse.client.warehouse_of", full)
    result = CliRunner().invoke(cli.app, ["run", "2026-03-01", "2026-03-01"])

    assert result.stderr.splitlines() == [
        "file_system: [Errno 28] No space left on device",
        "see docs/runbook.md#file_system",
    ]
    assert result.exit_code == 1


@contextmanager
def as_somebody_without_rights() -> Iterator[int]:
    """Root may write everywhere."""
    user = os.geteuid()
    nobody = 65534 if user == 0 else user
    os.seteuid(nobody)
    try:
        yield nobody
    finally:
        os.seteuid(user)


def test_a_folder_that_is_closed_is_named_and_opened_it_is_written() -> None:
    with open_folder() as folder:
        folder.chmod(0o555)
        with as_somebody_without_rights() as user, pytest.raises(PermissionError) as failed:
            write_callers(folder / "callers.yml", [])
        failure = foreseen(failed.value)
        assert failure is not None
        assert describe(failure)[0].startswith(f"file_system: [Errno 13] Permission denied: '{folder}/")

        os.chown(folder, user, -1)
        folder.chmod(0o755)
        with as_somebody_without_rights():
            write_callers(folder / "callers.yml", [])
        assert [path.name for path in folder.iterdir()] == ["callers.yml"]


@pytest.mark.usefixtures("nowhere")
def test_debug_shows_where_it_happened() -> None:
    result = CliRunner().invoke(cli.app, ["--debug", "run", "2026-03-02", "2026-03-01"])

    assert isinstance(result.exception, SegueError)


def test_an_impossible_setting_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_RESTATEMENT_DAYS", "a fortnight")
    get_settings.cache_clear()

    result = CliRunner().invoke(cli.app, ["generations", "list"])

    get_settings.cache_clear()
    assert "wrong_setting: SEGUE_RESTATEMENT_DAYS: " in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeadlineExceeded("slow"), "service_unavailable"),
        (LookupTimeoutError("slow"), "service_unavailable"),
        (UnavailableError("gone"), "service_unavailable"),
        (NotAuthenticatedError("a token of 8 characters that no caller has"), "not_authenticated"),
        (InvalidAccountIdError("an empty account id"), "invalid_account_id"),
        (ConnectionRefusedError("nobody there"), "service_unavailable"),
        (DefaultCredentialsError("no credentials"), "service_unavailable"),
        (OSError(28, "No space left on device"), "file_system"),
        (PermissionError(13, "Permission denied", "/data"), "file_system"),
        (LoadError(LoadCode.SOURCE, "gone"), "source"),
    ],
)
def test_services_and_disks_may_fail(error: Exception, code: str) -> None:
    failure = foreseen(error)

    assert failure is not None
    assert failure.code == code


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (NobodyAnswersError("Connection refused"), "service_unavailable"),
        (RetryError("too long", NobodyAnswersError("Connection refused")), "service_unavailable"),
        (Forbidden("Access Denied"), "warehouse"),
        (None, "warehouse"),
    ],
)
def test_a_statement_that_nobody_took_is_not_one_that_the_warehouse_refused(
    cause: Exception | None, code: str
) -> None:
    error = WarehouseError("in one line")
    error.__cause__ = cause
    of_a_load = WarehouseError("load of scratch: in one line")
    of_a_load.__cause__ = error

    assert [failure.code for each in (error, of_a_load) if (failure := foreseen(each))] == [code, code]


def test_a_fault_of_the_product_is_no_foreseen_failure() -> None:
    assert foreseen(KeyError("oops")) is None


def test_a_failure_says_what_to_do_about_it() -> None:
    assert describe(LoadError(LoadCode.OVERTAKEN, "generation 5 is newer")) == [
        "overtaken: generation 5 is newer",
        "hint: Another load started after this one: let it finish",
        "see docs/runbook.md#overtaken",
    ]


def test_a_reader_who_has_seen_enough_ends_a_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ended = subprocess.run(
        [sys.executable, "-m", "segue", "experiments", "list", "--json"],
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(writer)

    assert "service_unavailable" not in ended.stderr
    assert "Traceback" not in ended.stderr
