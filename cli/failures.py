"""One handler for every failure that the product foresees: a sentence, what to do about it, an exit code."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from runs.failures import describe, foreseen


class ExplainingGroup(TyperGroup):
    """The root command: shows no traceback for what is foreseen, unless asked to by ``--debug``."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a failure that has a name becomes its message on standard error."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = foreseen(error)
            if failure is None or ctx.params.get("debug"):
                raise
            for line in describe(failure):
                typer.echo(line, err=True)
            raise typer.Exit(failure.exit_code) from error
