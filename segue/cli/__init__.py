"""The ``segue`` command line: one thin module per room, heavy imports inside the commands."""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(name="segue", no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode="rich")
