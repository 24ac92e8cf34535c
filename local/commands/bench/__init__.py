"""``segue bench``: one module per benchmark; what they measure is in ``local/bench``."""

from __future__ import annotations

import typer

from local.commands.bench import build, floor, land, load, lookup, score, segments, sizes, workers

app = typer.Typer(
    name="bench", no_args_is_help=True, help="Measure on the embedded parts: ratios within one run."
)
app.command("build")(build.build)
app.command("floor")(floor.floor)
app.command("land")(land.land)
app.command("load")(load.load)
app.command("lookup")(lookup.lookup)
app.command("score")(score.score)
app.command("segments")(segments.segments)
app.command("sizes")(sizes.sizes)
app.command("workers")(workers.workers)
