"""All declared experiments and metrics, and the files that are made from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from experiments.compiler import MACROS_FILE, compile_macros
from experiments.declaration import Experiment, Holdouts, Metric
from experiments.facts import mistakes
from segue.declarations import DeclarationsError, Problem, parse, problems_at, shown_path
from segue.version_lock import Versioned, lock_text, locked, merged_lock, read_lock
from segue.yaml_document import Location

EXPERIMENTS_DIR: Final = Path(__file__).parent
METRICS_FOLDER: Final = "metrics"
LOCK_FILE: Final = EXPERIMENTS_DIR / "versions.lock"
_HEADING: Final = "written by `segue experiments compile`, to which a merge only ever adds"

HOLDOUTS_FILE: Final = "holdouts.yml"

Declared = TypeVar("Declared", Experiment, Metric, Holdouts)


@dataclass(frozen=True)
class Registry:
    """Experiments and metrics by id, and by what holdouts are judged, where that is declared."""

    experiments: dict[str, Experiment]
    metrics: dict[str, Metric]
    holdouts: Holdouts | None = None


def load(folder: Path = EXPERIMENTS_DIR) -> Registry:
    """Every ``*.yml`` of the folder, and the metrics below it.

    Raises:
        DeclarationsError: all mistakes of all files, metrics that no file declares among them.
    """
    problems: list[Problem] = []
    metrics = _read(folder / METRICS_FOLDER, Metric, problems)
    experiments = _read(folder, Experiment, problems)
    holdouts = _read(folder, Holdouts, problems).get(Path(HOLDOUTS_FILE).stem)
    broken = {problem.file for problem in problems}
    for name, metric in metrics.items():
        path = folder / METRICS_FOLDER / f"{name}.yml"
        problems += problems_at(
            path, ((tuple(field.split(".")), message) for field, message in mistakes(metric))
        )
    judged: list[tuple[str, Experiment | Holdouts]] = [*experiments.items()]
    for name, each in [*judged, *([("holdouts", holdouts)] if holdouts else [])]:
        path = folder / f"{name}.yml"
        for place, use in enumerate(each.metrics):
            file = shown_path(folder / METRICS_FOLDER / f"{use.metric}.yml")
            if use.metric in metrics or file in broken:
                continue
            message = f"{use.metric} is not declared; allowed: {', '.join(metrics) or 'none is'}"
            problems += problems_at(path, [(("metrics", place, "metric"), message)])
        problems += problems_at(path, _idle_looks(each, metrics))
    if problems:
        raise DeclarationsError(problems)
    return Registry(experiments, metrics, holdouts)


def _idle_looks(judged: Experiment | Holdouts, metrics: dict[str, Metric]) -> Iterator[tuple[Location, str]]:
    """Looks that see no account's outcome, or none that the look before did not see."""
    windows = [metrics[use.metric].window_days for use in judged.metrics if use.metric in metrics]
    window = max(windows, default=0)
    everybody = (judged.end - judged.start).days + 1 + window
    for place, day in enumerate(judged.looks):
        if day <= window:
            message = f"after {day} days no window of {window} days is over; allowed: {window + 1} or later"
            yield ("looks", place), message
        elif place and judged.looks[place - 1] >= everybody:
            message = f"after {everybody} days every window is over, and the look before has seen it all"
            yield ("looks", place), message


def _read(folder: Path, model: type[Declared], problems: list[Problem]) -> dict[str, Declared]:
    found: dict[str, Declared] = {}
    for path in sorted(folder.glob("*.yml")):
        if (path.name == HOLDOUTS_FILE) != (model is Holdouts):
            continue
        try:
            declared = parse(path, model)
        except DeclarationsError as error:
            problems += error.problems
            continue
        if declared.id != path.stem:
            message = f"is {declared.id}; allowed: the file's name, {path.stem}"
            problems += problems_at(path, [(("id",), message)])
        found[path.stem] = declared
    return found


def artifacts(
    registry: Registry, lock_file: Path = LOCK_FILE, merged_file: Path | None = None
) -> dict[Path, str]:
    """The dbt macros, the schemas for editors and the lock of versions, each with the registry's content.

    ``merged_file``: the lock of what is merged; by default git is asked for it.

    Raises:
        DeclarationsError: a merged version was changed.
    """
    merged = merged_lock(lock_file) if merged_file is None else read_lock(merged_file)
    items = [
        *(
            Versioned(f"experiments/{name}.yml", name, each.version, each)
            for name, each in registry.experiments.items()
        ),
        *(
            Versioned(f"experiments/{METRICS_FOLDER}/{name}.yml", f"metric:{name}", each.version, each)
            for name, each in registry.metrics.items()
        ),
        *(
            Versioned(f"experiments/{HOLDOUTS_FILE}", each.id, each.version, each)
            for each in (registry.holdouts,)
            if each is not None
        ),
    ]
    return {
        MACROS_FILE: compile_macros(registry.experiments, registry.metrics, registry.holdouts),
        EXPERIMENTS_DIR / "experiment.schema.json": _schema(Experiment, "Experiment"),
        EXPERIMENTS_DIR / "metric.schema.json": _schema(Metric, "Metric of experiments"),
        EXPERIMENTS_DIR / "holdouts.schema.json": _schema(Holdouts, "What holdouts are judged by"),
        lock_file: lock_text(_HEADING, locked(items, merged)),
    }


def _schema(model: type[BaseModel], title: str) -> str:
    schema = model.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
