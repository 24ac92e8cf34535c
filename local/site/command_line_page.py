"""The page of the command line, from its own help."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click

from cli import app
from local.site.markup import page

INTRODUCTION = """\
Every command answers `--help`. Answers go to standard output, everything else to standard error; the
exit code is 0 only when what was asked for happened. [Error codes](errors.md) lists the others."""


def command_line_page() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="segue")
    # The page has the heading; the words of `segue --help` come below it.
    return page("Command line", INTRODUCTION, [text.removeprefix("# `segue`").strip()])
