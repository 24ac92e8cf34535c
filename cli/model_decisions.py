"""``segue models list|show|train|promote|retire|rollback``: what is in use, why, and what is decided."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scoring.registry import ModelDecision
    from segue.settings import Settings

Name = Annotated[str, typer.Argument(metavar="NAME", help="A declared model, as `list` shows it.")]
DayOption = Annotated[
    datetime | None,
    typer.Option(
        "--day",
        formats=["%Y-%m-%d"],
        help="UTC day at whose end it counts; by default yesterday, whose accounts this morning scores.",
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the registry keeps it.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default who is logged in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_UNDECLARED = "declared no more"
_DIGITS = 12
"""Of an artifact, that people are shown."""


def list_(day: DayOption = None, as_json: JsonOption = False) -> None:
    """The declared models: what is in use, what is in shadow and for how long.

    Also those that are declared no more, for as long as they score: without its file none is retired.
    """
    from loaders.scoring.registry import states_on
    from loaders.scoring.scored import shadow_days
    from loaders.warehouse.client import warehouse_of
    from runs.training import declared_models
    from scoring.registry import NOTHING
    from segue.settings import get_settings

    settings, on = get_settings(), _day(day)
    warehouse = warehouse_of(settings)
    states = states_on(warehouse, on)
    in_shadow = shadow_days(warehouse, states, on)
    declared = declared_models(settings)
    scoring = {name for name, each in states.items() if each.in_use or each.in_shadow}
    rows: list[dict[str, Any]] = []
    for name in sorted(declared.keys() | scoring):
        state, model = states.get(name, NOTHING), declared.get(name)
        rows.append(
            {
                "name": name,
                "version": model and model.version,
                "kind": model and model.kind,
                "owner": model and model.owner,
                "predicts": model and model.event_description,
                "in_use": _used(state.in_use),
                "in_shadow": _used(state.in_shadow),
                "shadow_days": in_shadow.get(name),
                "asked_shadow_days": model and model.shadow_days,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich import box
    from rich.console import Console

    from cli.tables import folding_table

    table = folding_table("model", "predicts", "in use", "in shadow", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shadow = _shown(row["in_shadow"])
        if row["in_shadow"]:
            shadow += f"\n{row['shadow_days']} of {row['asked_shadow_days'] or '–'} days"
        title, what = f"{row['name']} v{row['version']}", f"{row['kind']}: {row['predicts']}\n{row['owner']}"
        if row["version"] is None:
            title, what = row["name"], _UNDECLARED
        table.add_row(title, what, _shown(row["in_use"]), shadow)
    Console().print(table)


def show(name: Name, day: DayOption = None, as_json: JsonOption = False) -> None:
    """Every decision about a model up to a day, the newest first, with its reasons and who decided.

    Exit code: 0 shown, 3 no model is declared by this name, and none was.
    """
    from loaders.scoring.registry import decisions
    from loaders.warehouse.client import warehouse_of
    from runs.training import declared_models
    from segue.settings import get_settings

    settings = get_settings()
    found = decisions(warehouse_of(settings), _day(day), name)[::-1]
    model = declared_models(settings).get(name) if found else declared_models(settings, [name])[name]
    if as_json:
        declared = model and model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        print(json.dumps({"declared": declared, "decisions": list(map(_dict, found))}, indent=2))
        return
    from rich.console import Console

    title = (
        f"{name}: {_UNDECLARED}" if model is None else f"{name} v{model.version}: {model.event_description}"
    )
    Console().print(*_history(title, found), sep="\n")


def train(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Models; by default those that are due.")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--day",
            formats=["%Y-%m-%d"],
            help="Last UTC day that may be known; by default the newest published one.",
        ),
    ] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train models as the DAG `train_models` does, and say what was decided about them.

    Exit code: 0 decided, also where one is refused, 1 one could not be trained, 3 a name is not declared.
    """
    from loaders.warehouse.client import warehouse_of
    from runs.segment_plan import newest_features
    from runs.training import train_models
    from segue.settings import get_settings

    settings = get_settings()
    on = day.date() if day else newest_features(warehouse_of(settings))
    found = train_models(settings, on, names or (), by or getuser())
    if as_json:
        print(json.dumps(list(map(_dict, found)), indent=2))
        return
    for each in found:
        typer.echo(f"{each.model}: {each.decision.replace('_', ' ')} {each.artifact[:_DIGITS]}".rstrip())
        for reason in each.reasons:
            typer.echo(f"  {reason}")
    if not found:
        typer.echo(f"{on}: there was nothing to decide")


def promote(
    name: Name,
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="As `show` tells it; its beginning.")],
    reason: ReasonOption,
    day: DayOption = None,
    by: ByOption = None,
    despite_drift: Annotated[
        bool,
        typer.Option(
            "--despite-drift",
            help="Also where its drift is critical or nobody can know it; the registry keeps which.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a trained model into use, whatever its minimums and its days in shadow say.

    Exit code: 0 promoted, 2 it is in use already, a later day has a decision, or its drift is critical or not
    known, 3 there is no such model.
    """
    from runs import model_decisions

    def decide(settings: Settings, on: date, who: str) -> ModelDecision:
        return model_decisions.promote(settings, name, artifact, on, reason, who, despite_drift=despite_drift)

    _decide(decide, day, by, as_json)


def retire(
    name: Name,
    reason: ReasonOption,
    day: DayOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the model in use out of it; the rules do as they say of a missing score.

    Exit code: 0 retired, 2 none is in use, or a later day has a decision, 3 there is no such model.
    """
    from runs import model_decisions

    def decide(settings: Settings, on: date, who: str) -> ModelDecision:
        return model_decisions.retire(settings, name, on, reason, who)

    _decide(decide, day, by, as_json)


def rollback(
    name: Name,
    reason: ReasonOption,
    day: DayOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the model in use out of it, and the one before it into use again.

    Exit code: 0 rolled back, 2 there is none before, or a later day has a decision, 3 there is no such model.
    """
    from runs import model_decisions

    def decide(settings: Settings, on: date, who: str) -> ModelDecision:
        return model_decisions.rollback(settings, name, on, reason, who)

    _decide(decide, day, by, as_json)


def _decide(
    decide: Callable[[Settings, date, str], ModelDecision],
    day: datetime | None,
    by: str | None,
    as_json: bool,
) -> None:
    from loaders.scoring.registry import states_on
    from loaders.warehouse.client import warehouse_of
    from segue.settings import get_settings

    settings, on = get_settings(), _day(day)
    decision = decide(settings, on, by or getuser())
    state = states_on(warehouse_of(settings), on)[decision.model]
    used = _used(state.in_use)
    if as_json:
        print(json.dumps(_dict(decision) | {"in_use": used}, indent=2))
    else:
        typer.echo(
            f"{decision.model} {decision.artifact[:_DIGITS]} is {decision.decision.replace('_', ' ')}; "
            f"in use from the end of {on} on: {_shown(used).replace(chr(10), ' ')}"
        )


def _day(day: datetime | None) -> date:
    return day.date() if day else (datetime.now(UTC) - timedelta(days=1)).date()


def _used(decision: ModelDecision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "version": decision.version,
        "artifact": decision.artifact,
        "uri": decision.artifact_uri,
        "since": decision.day.isoformat(),
    }


def _shown(used: dict[str, Any] | None) -> str:
    return "–" if used is None else f"{used['artifact'][:_DIGITS]} v{used['version']}\nsince {used['since']}"


def _dict(decision: ModelDecision) -> dict[str, Any]:
    return {
        "model": decision.model,
        "version": decision.version,
        "artifact": decision.artifact,
        "artifact_uri": decision.artifact_uri,
        "decision": decision.decision,
        "reasons": list(decision.reasons),
        "day": decision.day.isoformat(),
        "decided_at": decision.decided_at.isoformat(),
        "decided_by": decision.decided_by,
        "metrics": decision.metrics,
        "data_digest": decision.data_digest,
    }


def _history(title: str, found: list[ModelDecision]) -> list[RenderableType]:
    from rich import box

    from cli.tables import folding_table

    if not found:
        return [title, "nothing was decided about it yet"]
    table = folding_table("day", "decision", "reasons", "by", box=box.SIMPLE_HEAD, pad_edge=False)
    for each in found:
        what = f"{each.decision.replace('_', ' ')}\n{each.artifact[:_DIGITS]} v{each.version}"
        table.add_row(each.day.isoformat(), what, "\n".join(each.reasons), each.decided_by)
    return [title, table]
