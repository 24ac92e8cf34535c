"""``segue experiments``: what is declared, what it needs, and what an experiment has shown."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.compiling import CheckOption, MergedOption, make_files

if TYPE_CHECKING:
    from rich.console import RenderableType

    from experiments.plan import ExperimentPlan
    from experiments.results import MetricReadout, Readout

app = typer.Typer(no_args_is_help=True, help="Experiments: what they need, what they have shown.")

EXIT_UNKNOWN = 3
DayOption = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], help="UTC day; by default the newest published one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def read(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, NDJSON or Parquet; one row per unit.")],
    map_file: Annotated[Path, typer.Option("--map", help="YAML: which columns say what.")],
    as_json: JsonOption = False,
    details: Annotated[
        bool, typer.Option("--details", help="With --json: all that is known of every metric.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Also write a page with plots to OUT.")
    ] = None,
) -> None:
    """Read an experiment that was run elsewhere, as those of the platform are read.

    Exit code: 0 read, 2 the map or the file has mistakes.
    """
    from experiments.outside_map import OutsideMap
    from experiments.readout import readout
    from loaders.experiments.units import notes_of, read_units
    from segue.declarations import parse

    outside = parse(map_file, OutsideMap)
    found = read_units(file, outside)
    design = outside.design(list(found.units))
    result = readout(design, found.units, found.sums, notes=notes_of(found))
    if html is not None:
        from experiments.page import DatedReadout, page

        facts = {"file": file.name, "control": design.control}
        html.write_text(page(file.stem, design, [DatedReadout(None, result)], facts), encoding="utf-8")
    if as_json:
        print(json.dumps(result.model_dump(mode="json") if details else result.to_dict(), indent=2))
        return
    from rich.console import Console

    Console().print(*_tables(result), sep="\n")


@app.command("compile")
def compile_(
    check: CheckOption = False,
    merged: MergedOption = None,
) -> None:
    """Make the dbt macros, the JSON Schemas and the versions' lock from experiments/.

    Exit code: 0 current, 1 with --check: something is not current, 2 mistakes in the files.
    """
    from experiments.registry import artifacts, load

    registry = load()
    make_files(artifacts(registry, merged_file=merged), check=check, command="segue experiments compile")
    typer.echo(f"{len(registry.experiments)} experiments, {len(registry.metrics)} metrics")


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """The declared experiments and the holdouts, and where they stand today."""
    from datetime import UTC

    from runs.experiment_readouts import declared_experiments
    from segue.settings import get_settings

    today = datetime.now(UTC).date()
    rows: list[dict[str, Any]] = [
        {
            "id": each.id,
            "version": each.version,
            "state": each.state(today),
            "owner": each.owner,
            "of": each.rule or each.surface,
            "variants": {variant.name: variant.percent for variant in each.variants},
            "start": each.start.isoformat(),
            "end": each.end.isoformat(),
            "metrics": {use.metric: use.role for use in each.metrics},
        }
        for each in declared_experiments(get_settings())[0].values()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich import box
    from rich.console import Console

    from cli.tables import folding_table

    table = folding_table(
        "experiment", "state", "of", "variants", "days", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for row in rows:
        variants = "\n".join(f"{name} {percent:g}%" for name, percent in row["variants"].items())
        identity, days = f"{row['id']} v{row['version']}", f"{row['start']}\n{row['end']}"
        table.add_row(identity, row["state"], f"{row['of']}\n{row['owner']}", variants, days)
    Console().print(table)


@app.command("plan")
def plan_(
    experiment_id: Annotated[str, typer.Argument(metavar="ID", help="A declared experiment.")],
    as_json: JsonOption = False,
) -> None:
    """How many accounts and days an experiment needs, and what its looks ask for.

    Exit code: 0 planned, 3 no experiment is declared by this name.
    """
    from experiments.plan import plan
    from runs.experiment_readouts import declared_experiments
    from segue.settings import get_settings

    experiments, metrics = declared_experiments(get_settings())
    experiment = experiments.get(experiment_id)
    if experiment is None:
        typer.echo(f"{experiment_id} is not declared; there are {', '.join(experiments)}", err=True)
        raise typer.Exit(EXIT_UNKNOWN)
    found = plan(experiment, metrics)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    from rich.console import Console

    Console().print(*_plan_tables(found), sep="\n")


@app.command("readout")
def readout_(
    experiment_id: Annotated[str, typer.Argument(metavar="ID", help="An experiment, or holdout-….")],
    day: DayOption = None,
    as_json: JsonOption = False,
    details: Annotated[
        bool, typer.Option("--details", help="With --json: all that is known of every metric.")
    ] = False,
) -> None:
    """What an experiment, or a holdout, had shown by the end of a day, from the published sums.

    Exit code: 0 read, 3 there is nothing to read: not declared, not published, or nobody was exposed yet.
    """
    from runs.experiment_readouts import read_experiment
    from segue.settings import get_settings

    found = read_experiment(get_settings(), experiment_id, day.date() if day else None)
    if as_json:
        result = found.readout.model_dump(mode="json") if details else found.readout.to_dict()
        print(json.dumps({"experiment": experiment_id, "day": found.day.isoformat()} | result, indent=2))
        return
    from rich.console import Console

    Console().print(f"{experiment_id} by the end of {found.day}", *_tables(found.readout), sep="\n")


@app.command("page")
def page_(
    experiment_id: Annotated[str, typer.Argument(metavar="ID", help="An experiment, or holdout-….")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the page.")],
    day: DayOption = None,
) -> None:
    """Write what an experiment, or a holdout, has shown as a page of HTML with plots; it needs no network.

    Exit code: 0 written, 3 there is nothing to read: not declared, not published, or nobody was exposed yet.
    """
    from runs.experiment_readouts import experiment_page
    from segue.settings import get_settings

    text = experiment_page(get_settings(), experiment_id, day.date() if day else None)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {out}")


def _plan_tables(found: ExperimentPlan) -> list[RenderableType]:
    from rich.table import Table

    metrics = Table("metric", "role", "effect", "accounts needed", title=f"{found.id} v{found.version}")
    for metric in found.metrics:
        effect = "–" if metric.effect is None else f"{metric.effect:.3g}"
        metrics.add_row(
            metric.metric, metric.role, effect, "–" if metric.units is None else f"{metric.units:,}"
        )
    looks = Table("look after day", "alpha spent", "|z| above", "p below", "accounts known")
    for look in found.looks:
        z = "–" if look.z is None else f"{look.z:.3f}"
        known = f"{look.information:.0%}"
        looks.add_row(str(look.day), f"{look.spent:.5f}", z, f"{look.p_value:.5f}", known)
    words = f"{found.success_tests} success tests share alpha; each test has {found.power_per_test:.0%} power"
    if found.units is not None:
        words += f"; {found.units:,} accounts"
    if found.days is not None:
        words += f", {found.days} days" + ("" if found.is_long_enough else ": longer than it is declared for")
    return [metrics, looks, words]


def _tables(result: Readout) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    ratio = result.sample_ratio
    title = (
        f"{result.units:,} units, {result.control_units:,} in {result.control}; "
        f"sample ratio {ratio.verdict} (p = {ratio.p_value:.4f})"
    )
    tables: list[RenderableType] = [title]
    for arm, of_arm in result.arms.items():
        table = Table(
            title=f"{arm}: {of_arm.units:,} units", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        table.add_column("metric", overflow="fold")
        for name in ("control", "treatment", "difference", "interval", "p"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, metric in of_arm.metrics.items():
            table.add_row(Text(name), *_cells(metric))
        saved = [
            f"{name} {metric.variance_reduction:.1%}"
            for name, metric in of_arm.metrics.items()
            if metric.variance_reduction is not None
        ]
        tables.append(table)
        if saved:
            tables.append(f"  variance that covariates take away: {', '.join(saved)}\n")
    reasons = [Text(f"  {each}") for each in result.reasons]
    return [*tables, Text(f"{result.verdict}:", style="bold"), *reasons]


def _cells(metric: MetricReadout) -> list[str]:
    def number(value: float | None, form: str = ".5g") -> str:
        return "–" if value is None else format(value, form)

    interval = "–" if metric.interval is None else "[{:.3g}, {:.3g}]".format(*metric.interval)
    return [
        number(metric.control, ".4g"),
        number(metric.treatment, ".4g"),
        number(metric.difference, "+.4g"),
        interval,
        number(metric.p_value, ".4f"),
    ]
