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

    ``reads`` are the names of the models and source tables that its SQL names.
    """

    name: str
    description: str
    day_column: str
    clustering: tuple[str, ...]
    columns: tuple[Mapping[str, Any], ...]
    meta: Mapping[str, Any]
    reads: frozenset[str]

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


def dbt_models(manifest: Path) -> Mapping[str, DbtModel]:
    """The project's models by name."""
    return _dbt_models(manifest, manifest.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _dbt_models(manifest: Path, modified_ns: int) -> Mapping[str, DbtModel]:  # noqa: ARG001 - the cache's key
    content = json.loads(manifest.read_text())
    names = {key: node["name"] for part in ("nodes", "sources") for key, node in content[part].items()}
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
            reads=frozenset(names[parent] for parent in content["parent_map"][key] if parent in names),
        )
    return models
