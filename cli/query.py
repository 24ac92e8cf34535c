"""``segue query``: a question to the warehouse, answered as a table or a file."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from segue.errors import SegueError

if TYPE_CHECKING:
    from google.cloud.bigquery.table import RowIterator
    from rich.console import RenderableType

    from loaders.warehouse.queries import PlannedQuery
    from segue.settings import Settings

SHOWN_ROWS = 100
"""Of a table on a terminal, unless --limit says otherwise."""


class Form(StrEnum):
    """How the answer looks."""

    table = "table"
    csv = "csv"
    json = "json"
    ndjson = "ndjson"
    parquet = "parquet"


class WrongUsageError(SegueError):
    """The options do not go together; the message says which."""

    code = "usage"
    exit_code = 2


class NotConfirmedError(SegueError):
    """A query would read much, and nobody said that it may."""

    code = "not_confirmed"
    hint = "--yes, --max-bytes, or fewer days: the marts are partitioned by them (SEGUE_QUERY_CONFIRM_BYTES)"


def query(
    sql: Annotated[str, typer.Argument(metavar="[SQL]", help="The query; - reads it from stdin.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="File with the query.", exists=True, dir_okay=False)
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="By default a table on a terminal, else CSV.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write here; the name's end says the format.", dir_okay=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most; of a table 100.")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="BigQuery refuses to be paid for reading more bytes.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, however much is read.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be read.")] = False,
) -> None:
    """Answer one SELECT over the marts (marts.…), raw, history or ops; nothing is ever changed.

    Exit code: 0 answered, 1 BigQuery refused or failed, 2 no query, or wrong usage.
    """
    from loaders.warehouse.client import warehouse_of
    from loaders.warehouse.queries import ask, plan
    from segue.settings import get_settings

    settings = get_settings()
    chosen = _form(form, output)
    warehouse = warehouse_of(settings)
    planned = plan(warehouse, _statement(sql, file))
    if planned.bytes_processed or dry_run:
        typer.echo(f"reads {_bytes(planned.bytes_processed)}", err=True)
    if dry_run:
        typer.echo("\n".join(planned.columns))
        return
    _confirm(planned, settings, yes=yes or max_bytes is not None)
    began = time.monotonic()
    with _waiting():
        rows = ask(warehouse, planned, max_bytes)
    if chosen is Form.table:
        from rich.console import Console

        console = Console()
        table, shown = _table(rows, limit or SHOWN_ROWS, console.width)
        console.print(table)
    else:
        shown = _write(rows, chosen, output, limit)
    total = rows.total_rows or shown
    count = f"{shown:,} of {total:,} rows" if shown < total else f"{shown:,} row{'s' * (shown != 1)}"
    if output is not None:
        count += f" in {output}"
    typer.echo(f"{count}, {time.monotonic() - began:.1f} s", err=True)


def _statement(sql: str, file: Path | None) -> str:
    if sql and file is not None:
        raise WrongUsageError("a query and --file: one of them")
    if file is not None:
        return file.read_text(encoding="utf-8")
    if sql not in ("", "-"):
        return sql
    if not sql and sys.stdin.isatty():
        raise WrongUsageError('there is no query: segue query "select …", --file FILE, or from stdin')
    return sys.stdin.read()


def _form(form: Form | None, output: Path | None) -> Form:
    """The format: as asked for, as the file is called, else as standard output is."""
    ends = {f".{each.value}": each for each in Form if each is not Form.table}
    if output is not None:
        found = form or ends.get(output.suffix.lower())
        if found is None or found is Form.table:
            raise WrongUsageError(f"--output is for {', '.join(ends)}; --format says which")
        return found
    found = form or (Form.table if sys.stdout.isatty() else Form.csv)
    if found is Form.parquet and sys.stdout.isatty():
        raise WrongUsageError("Parquet is nothing for a terminal: --output FILE")
    return found


def _confirm(planned: PlannedQuery, settings: Settings, *, yes: bool) -> None:
    if yes or planned.bytes_processed <= settings.query_confirm_bytes:
        return
    question = f"this reads {_bytes(planned.bytes_processed)}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotConfirmedError(question)
    if not typer.confirm(f"{question}; go on?", err=True):
        raise NotConfirmedError(f"{question}, and was not run")


def _waiting() -> Any:
    """Something that moves, where somebody looks."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status("BigQuery works …")


def _write(rows: RowIterator, form: Form, output: Path | None, limit: int | None) -> int:
    from loaders.warehouse.formats import write

    if output is None:
        stream: BinaryIO = sys.stdout.buffer
        written = write(rows, form.value, stream, limit)
        stream.flush()
        return written
    with output.open("wb") as stream:
        return write(rows, form.value, stream, limit)


def _table(rows: RowIterator, limit: int, width: int) -> tuple[RenderableType, int]:
    """Values are folded, never cut: an id of which half is seen is none."""
    from itertools import islice

    from cli.tables import side_by_side_or_below
    from loaders.warehouse.formats import text

    numbers = {"INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"}
    shown = [["–" if value is None else text(value) for value in row.values()] for row in islice(rows, limit)]
    right = {place for place, field in enumerate(rows.schema) if field.field_type in numbers}
    return side_by_side_or_below([field.name for field in rows.schema], shown, width, right), len(shown)


def _bytes(number: int) -> str:
    from rich.filesize import decimal

    return decimal(number)
