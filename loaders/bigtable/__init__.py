"""Bulk loads a day's offer segments into Bigtable as a generation that is invisible until it is verified."""

from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.generations import list_generations, rollback, verify
from loaders.bigtable.manifest import LoadMode
from loaders.bigtable.result import LoadOutcome, LoadResult
from loaders.bigtable.segments import (
    begin_segments,
    load_segments,
    load_segments_shard,
    publish_segments,
    republish,
)

__all__ = [
    "LoadCode",
    "LoadError",
    "LoadMode",
    "LoadOutcome",
    "LoadResult",
    "begin_segments",
    "list_generations",
    "load_segments",
    "load_segments_shard",
    "publish_segments",
    "republish",
    "rollback",
    "verify",
]
