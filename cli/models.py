"""``segue models``: what is declared, in use and why, and models that are tried on files of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import model_decisions, model_watch
from cli.compiling import CheckOption, MergedOption, make_files

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scoring.outside_map import OutsideMap
    from scoring.trial import Trial

app = typer.Typer(no_args_is_help=True, help="Models: what they learn, and how good they are.")


@app.callback()
def models() -> None:
    """Models: what they learn, and how good they are."""


app.command("list")(model_decisions.list_)
app.command("show")(model_decisions.show)
app.command("train")(model_decisions.train)
app.command("promote")(model_decisions.promote)
app.command("retire")(model_decisions.retire)
app.command("rollback")(model_decisions.rollback)
app.command("page")(model_watch.page)
app.command("watch")(model_watch.watch)


@app.command("compile")
def compile_(check: CheckOption = False, merged: MergedOption = None) -> None:
    """Make the dbt macros, the JSON Schema and the versions' lock from scoring/models/.

    Exit code: 0 current, 1 with --check: something is not current, 2 mistakes in the files.
    """
    from scoring.declared import artifacts, load_models

    models = load_models()
    make_files(artifacts(models, merged), check=check, command="segue models compile")
    typer.echo(f"{len(models)} models")


@app.command("try")
def try_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, NDJSON or Parquet; one row per unit.")],
    map_file: Annotated[Path, typer.Option("--map", help="YAML: which columns say what.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where models are kept; by default in SEGUE_STATE_DIR."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Also write the model's page to OUT.")
    ] = None,
) -> None:
    """Train a model on a file, judge it on rows that it has not seen, and keep it.

    Exit code: 0 tried, 2 the map or the file has mistakes.
    """
    from loaders.outside.tables import read_table
    from scoring.outside_map import OutsideMap
    from scoring.trial import try_model
    from segue.declarations import parse
    from segue.settings import get_settings

    outside = parse(map_file, OutsideMap)
    folder = out if out is not None else get_settings().state_dir / "models"
    result = try_model(read_table(file), outside, file.name, folder)
    for warning in result.warnings:
        typer.echo(f"warning: {file.name}: {warning}", err=True)
    if html is not None:
        _write_page(html, file, outside, result)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    from rich.console import Console

    Console().print(*_tables(result), sep="\n")


def _write_page(out: Path, file: Path, outside: OutsideMap, result: Trial) -> None:
    from scoring.artifact import read_description
    from scoring.page import page

    facts = {
        "predicts": f"{outside.target.column} is {outside.target.positive}",
        "rows": f"{result.rows:,}, {result.prevalence:.2%} positive; {result.held_out:,} held out",
        "model": result.model.name,
    }
    out.write_text(page(file.stem, read_description(result.model), facts=facts), encoding="utf-8")


def _tables(result: Trial) -> list[RenderableType]:
    from rich import box
    from rich.table import Table

    def table(*columns: str) -> Table:
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, column in enumerate(columns):
            made.add_column(column, justify="right" if place else "left")
        return made

    quality = table("predictor", "AUC", "average precision", "log loss")
    for name, each in {"model": result.quality, **result.baselines}.items():
        quality.add_row(
            name.replace("_", " "), f"{each.auc:.4f}", f"{each.average_precision:.4f}", f"{each.log_loss:.4f}"
        )
    line = "calibration: every prediction is the same"
    if result.calibration is not None:
        line = (
            f"calibration: slope {result.calibration.slope:.3f}, "
            f"intercept {result.calibration.intercept:+.3f}"
        )
    trees = ", ".join(f"{name} {count}" for name, count in result.trees.items())
    title = (
        f"{result.rows:,} rows, {result.prevalence:.2%} positive; judged on {result.held_out:,} held out; "
        f"trees: {trees}"
    )
    shown: list[RenderableType] = [title, quality, line]
    if result.uplift is None:
        lift = table("decile", "rows", "predicted", "observed", "lift")
        for decile in result.lift:
            lift.add_row(
                str(decile.decile), f"{decile.rows:,}", f"{decile.predicted:.2%}",
                f"{decile.observed:.2%}", f"{decile.lift:.2f}",
            )  # fmt: skip
        shown.append(lift)
    else:
        found = result.uplift
        for name, value, (low, high) in (
            ("Qini", found.qini, found.interval),
            ("AUUC", found.auuc, found.auuc_interval),
        ):
            shown.append(f"{name}: {value:+.5f} [{low:+.5f}, {high:+.5f}]")
        uplift = table("decile", "rows", "predicted", "treated", "control", "uplift")
        for part in found.by_decile:
            rates = (part.predicted, part.treated, part.control, part.uplift)
            uplift.add_row(
                str(part.decile),
                f"{part.rows:,}",
                *("–" if each is None else f"{each:+.2%}" for each in rates),
            )
        shown.append(uplift)
    return [*shown, f"model: {result.model}"]
