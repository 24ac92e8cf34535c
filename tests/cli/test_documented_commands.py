"""Every command that a page shows is one that the command line takes, option by option."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from cli import app
from segue.settings import PROJECT_ROOT

PAGES = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CHANGELOG.md",
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
    *sorted((PROJECT_ROOT / "clients").glob("*/README.md")),
]
CONSOLE = re.compile(r"^```console\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
MENTIONED = re.compile(r"`((?:uv run )?segue [a-z][^`\n]*)`")
SEGUE = re.compile(r"^(?:uv run )?segue (.*)$")


def shown(page: Path) -> list[str]:
    """Command lines of the page's consoles, those that end in a backslash joined with what follows."""
    text = "\n".join(CONSOLE.findall(page.read_text())).replace("\\\n", " ")
    return [line.removeprefix("$ ").strip() for line in text.splitlines() if line.startswith("$ ")]


def arguments(command: str) -> list[str] | None:
    """What is given to ``segue``, up to a pipe or a redirection; None for another program."""
    found = SEGUE.match(re.sub(r"^(?:[A-Z_]+=\S* )+", "", command))
    if found is None:
        return None
    words = shlex.split(found.group(1), comments=True)
    ends = [at for at, word in enumerate(words) if word in {"|", ">", "&", "&&", "<"}]
    return words[: min(ends)] if ends else words


def parse(words: list[str]) -> None:
    """Have the command line read the words, down to the command that would be run.

    Raises:
        UsageError: no such command or option, a value that cannot be, or something is missing.
    """
    command, parent = typer.main.get_command(app), None
    while isinstance(command, TyperGroup):
        parent = command.make_context("segue", list(words), parent=parent)
        _, found, words = command.resolve_command(parent, [*parent._protected_args, *parent.args])
        assert found is not None
        command = found
    command.make_context(command.name, list(words), parent=parent)


def unknown(words: list[str]) -> str | None:
    """What of a mentioned command, whose arguments may be placeholders, is no command or option."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        if not words or words[0].startswith(("-", "…")):
            return None
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return next((word for word in words if word.startswith("--") and word not in options), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_mentions_is_one(page: Path) -> None:
    for command in MENTIONED.findall(page.read_text()):
        words = command.removeprefix("uv run ").removeprefix("segue ").split()
        # `segue local up|down` stands for one command each.
        for alternative in words[1].split("|") if len(words) > 1 else [""]:
            assert unknown([words[0], alternative, *words[2:]]) is None, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_one(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in shown(page):
        words = arguments(command)
        if words is None or "--help" in words or "--version" in words:
            continue
        for word in words:
            # A file of the reader's own, which the command would look for.
            if re.fullmatch(r"[\w./-]+\.(csv|ya?ml|sql|json|lock)", word) and not Path(word).is_absolute():
                (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / word).touch()
        try:
            parse(words)
        except UsageError as error:
            pytest.fail(f"{command}: {error.format_message()}")


def test_the_check_finds_what_is_no_command_no_option_and_no_value() -> None:
    parse(arguments("uv run segue run 2026-11-20 2026-11-22   # three days") or [])
    for wrong in ("segue rum 2026-11-20", "segue run 2026-11-20 2026-11-22 --fast", "segue run monday today"):
        with pytest.raises(UsageError):
            parse(arguments(wrong) or [])


def test_every_make_target_that_a_page_shows_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT_ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    for page in PAGES:
        for target in re.findall(r"(?:^\$ |`)make ([a-z]+)", page.read_text(), flags=re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
