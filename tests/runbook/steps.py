"""Doing what an entry of the runbook says: its commands as they stand there, and failures by their code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from runs.failures import describe, foreseen
from segue.errors import SegueError
from segue.settings import Settings
from segue_client.errors import SegueClientError
from tests.runbook.entries import ENTRIES

_COMMAND = re.compile(r"`(segue [^`\n]+)`|^ *\$ uv run (segue .+)$", flags=re.MULTILINE)
_STEP = re.compile(r"^\d\. ", flags=re.MULTILINE)


def says(code: str, words: str) -> None:
    """Fails when the steps of the entry of ``code`` do not say these words any more."""
    entry = dict(ENTRIES)[code]
    steps = entry[_first_step(entry) :]
    assert words in steps, f"the entry of {code} does not say: {words}"


def step(code: str, command: str, values: Mapping[str, object] | None = None) -> list[str]:
    """What a reader of the entry of ``code`` gives to ``segue``, with ``values`` in the place of its own.

    The command is one of the entry's steps, or of how to see that it is over: it fails when the entry does
    not name it any more.
    """
    entry = dict(ENTRIES)[code]
    said = {inline or shown for inline, shown in _COMMAND.findall(entry[_first_step(entry) :])}
    assert command in said, f"the entry of {code} does not say {command}, but {sorted(said)}"

    def here(word: str) -> str:
        for old, new in (values or {}).items():
            word = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", str(new), word)
        return word

    return [here(word) for word in shlex.split(command)[1:]]


def _first_step(entry: str) -> int:
    found = _STEP.search(entry)
    assert found is not None
    return found.start()


@contextmanager
def failing(code: str) -> Iterator[None]:
    """What happens within fails with ``code``, and the message leads to its entry."""
    with pytest.raises((SegueError, SegueClientError, OSError)) as failed:
        yield
    if isinstance(failed.value, SegueClientError):
        # A caller of the service has the client's error, and no command line around it.
        assert failed.value.code == code, failed.value
        return
    failure = foreseen(failed.value)
    assert failure is not None
    lines = describe(failure)
    assert lines[0].startswith(f"{code}: "), lines
    assert lines[-1] == f"see docs/runbook.md#{code}"


def segue(settings: Settings | None, arguments: list[str], answers: str = "") -> str:
    """Standard output of a command that succeeds, with these settings; else its failure is raised.

    Raises:
        Exception: what the command failed with.
    """
    with pytest.MonkeyPatch.context() as patch:
        if settings is not None:
            patch.setattr("segue.settings.get_settings", lambda: settings)
        result = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, ["--debug", *arguments], input=answers)
    failure: Any = result.exception
    if failure is not None and not isinstance(failure, SystemExit):
        raise failure
    assert result.exit_code == 0, result.output
    return result.stdout
