"""What the dbt project says of its models, once and for every room, as its parsed manifest has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DbtModel:
    """A model: its partition column (empty when it has none), columns, and what its ``meta`` declares.

    ``reads`` are the names of the models and source tables that its SQL names; ``layer`` is staging,
    intermediate or marts, ``subject`` the folder that it lies in, ``owner`` who answers for its group.
    """

    name: str
    description: str
    day_column: str
    clustering: tuple[str, ...]
    columns: tuple[Mapping[str, Any], ...]
    meta: Mapping[str, Any]
    reads: frozenset[str]
    layer: str = ""
    subject: str = ""
    owner: str = ""
    unique_id: str = ""

    @property
    def is_published(self) -> bool:
        """Whether its rows leave the audit dataset: for analysts, or for later runs."""
        return "published" in self.meta

    @property
    def restates_days(self) -> int:
        """How many days before a run's first day it is built."""
        return int(self.meta.get("restates_days", 0))

    @property
    def as_known_then(self) -> bool:
        """Whether a day of it knows the arrivals up to that day and no others, whenever it is built."""
        return bool(self.meta.get("as_known_then", False))


@dataclass(frozen=True)
class DbtSource:
    """A raw table: what lands of a feed."""

    name: str
    description: str
    unique_id: str = ""


@dataclass(frozen=True)
class DbtExposure:
    """Something that reads published models: a service, a job, an analysis."""

    name: str
    label: str
    kind: str
    description: str
    owner: str
    reads: frozenset[str]


@dataclass(frozen=True)
class DbtProject:
    """Models, raw tables and what reads the models, each by name."""

    models: Mapping[str, DbtModel]
    sources: Mapping[str, DbtSource]
    exposures: Mapping[str, DbtExposure]


def dbt_models(manifest: Path) -> Mapping[str, DbtModel]:
    """The project's models by name."""
    return dbt_project(manifest).models


def dbt_project(manifest: Path) -> DbtProject:
    """All of the project, as its parsed manifest has it."""
    return _dbt_project(manifest, manifest.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _dbt_project(manifest: Path, modified_ns: int) -> DbtProject:  # noqa: ARG001 - the cache's key
    content = json.loads(manifest.read_text())
    names = {key: node["name"] for part in ("nodes", "sources") for key, node in content[part].items()}
    owners = {group["name"]: group["owner"]["name"] for group in content["groups"].values()}

    def read_by(key: str) -> frozenset[str]:
        return frozenset(names[parent] for parent in content["parent_map"][key] if parent in names)

    models = {}
    for key, node in content["nodes"].items():
        if node["resource_type"] != "model":
            continue
        config = node["config"]
        models[node["name"]] = DbtModel(
            name=node["name"],
            description=node["description"],
            day_column=(config.get("partition_by") or {}).get("field", ""),
            clustering=tuple(config.get("cluster_by") or ()),
            columns=tuple(node["columns"].values()),
            meta=config["meta"],
            reads=read_by(key),
            layer=node["fqn"][1],
            subject=node["fqn"][-2],
            owner=owners.get(node.get("group") or "", ""),
            unique_id=key,
        )
    sources = {
        node["name"]: DbtSource(node["name"], node["description"], key)
        for key, node in content["sources"].items()
    }
    exposures = {
        node["name"]: DbtExposure(
            name=node["name"],
            label=node["label"] or node["name"],
            kind=node["type"],
            description=node["description"],
            owner=node["owner"]["name"],
            reads=read_by(key),
        )
        for key, node in content["exposures"].items()
    }
    return DbtProject(models, sources, exposures)
