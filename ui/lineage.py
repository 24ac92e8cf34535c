"""What a mart is made of and what is made of it, floor by floor, as the dbt project says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from loaders.warehouse.dbt_models import DbtExposure, DbtProject


@dataclass(frozen=True)
class Lineage:
    """Names, in alphabetical order: from the feeds that land to what reads the mart, however far it is."""

    feeds: tuple[str, ...]
    staging: tuple[str, ...]
    intermediate: tuple[str, ...]
    marts_before: tuple[str, ...]
    marts_after: tuple[str, ...]
    readers: tuple[DbtExposure, ...]
    """Exposures that read the mart itself, or one that is made of it."""


def lineage(project: DbtProject, mart: str) -> Lineage:
    """The lineage of one model."""
    before = set(_reached(mart, {name: model.reads for name, model in project.models.items()}))
    made_of: dict[str, set[str]] = {}
    for name, model in project.models.items():
        for read in model.reads:
            made_of.setdefault(read, set()).add(name)
    after = set(_reached(mart, made_of))

    def layer(names: Iterable[str], wanted: str) -> tuple[str, ...]:
        return tuple(
            sorted(name for name in names if name in project.models and project.models[name].layer == wanted)
        )

    published = {mart, *layer(after, "marts")}
    return Lineage(
        feeds=tuple(sorted(before & project.sources.keys())),
        staging=layer(before, "staging"),
        intermediate=layer(before, "intermediate"),
        marts_before=layer(before, "marts"),
        marts_after=layer(after, "marts"),
        readers=tuple(
            exposure for _, exposure in sorted(project.exposures.items()) if exposure.reads & published
        ),
    )


def _reached(start: str, leads: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Everything that one comes to, without where one started."""
    seen, waiting = {start}, [start]
    while waiting:
        for name in leads.get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
                yield name
