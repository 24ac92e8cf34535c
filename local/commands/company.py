"""``segue company``: landing files of a generated company."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer


def company(
    accounts: Annotated[int, typer.Option(min=1, help="Number of accounts.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="Number of arrival days.")] = 63,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    end_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last arrival day; yesterday by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier company in it is replaced.")] = Path(
        "company"
    ),
    planted: Annotated[
        bool,
        typer.Option(
            "--planted",
            help="Accounts behave by known laws, without dirt; truth/ has their true probabilities.",
        ),
    ] = False,
    planted_trials: Annotated[
        bool,
        typer.Option(
            "--planted-trials",
            help="As usual, but listeners start trials by a known law: the demo's company.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Write a generated company: landing/, truth/ and manifest.json."""
    from rich.console import Console
    from rich.progress import Progress

    from local.company import CompanySpec, generate
    from local.company.spec import FEWEST_PLANTED_DAYS

    if planted and days < FEWEST_PLANTED_DAYS:
        raise typer.BadParameter(f"with --planted at least {FEWEST_PLANTED_DAYS}", param_hint="--days")
    if planted and planted_trials:
        raise typer.BadParameter("with --planted trials are planted", param_hint="--planted-trials")
    last = end_date.date() if end_date else datetime.now(UTC).date() - timedelta(days=1)
    spec = CompanySpec(accounts, days, seed, last, plants_behaviour=planted, plants_trials=planted_trials)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("accounts", total=accounts)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done)
            if not console.is_terminal:
                console.print(f"{done:,} of {total:,} accounts written", highlight=False)

        manifest = generate(spec, out, on_progress=show)
    if as_json:
        typer.echo(manifest.to_json(spec))
    else:
        typer.echo(
            f"{sum(manifest.rows.values()):,} rows of {len(manifest.rows)} tables in {out / 'landing'}"
        )
