"""A whole load in one process: begin, every shard, publish. Airflow runs the same steps as tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Final

from google.api_core.exceptions import GoogleAPIError

from loaders.bigtable.begin import abandon, begin
from loaders.bigtable.claim import Claim
from loaders.bigtable.connection import open_table
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import LoadMode
from loaders.bigtable.publish import publish
from loaders.bigtable.result import LoadResult
from loaders.bigtable.shard import load_shard
from loaders.bigtable.source import SegmentSource
from segue.settings import Settings

_PERHAPS_OVERTAKEN: Final = frozenset(
    {LoadCode.OVERTAKEN, LoadCode.NOT_VERIFIED, LoadCode.SOURCE, LoadCode.CHANGED}
)
"""What a step may stumble over because another load or a rollback came in between."""


def load_generation(
    settings: Settings,
    segment_date: date,
    source: SegmentSource,
    mode: LoadMode | None = None,
    *,
    allow_empty: bool = False,
) -> LoadResult:
    """Loads the rows of ``source`` as a generation of ``segment_date`` and publishes it.

    Loading a published day again makes a new generation of it; an unfinished one is resumed. What is not
    loaded, and what ``allow_empty`` is for, says ``begin``.

    Raises:
        LoadError: nothing was published; what was published before stays. Its code names the cause.
    """
    begun = begin(settings, segment_date, source, mode, allow_empty=allow_empty)
    if isinstance(begun, LoadResult):
        return begun
    generation = begun.manifest.generation_ms
    with leaving_nothing_when_overtaken(settings, generation):
        for shard in begun.shards:
            load_shard(settings, generation, shard, source)
        return publish(settings, generation, source)


@contextmanager
def leaving_nothing_when_overtaken(
    settings: Settings, generation: int, shard: int | None = None
) -> Iterator[None]:
    """Removes a generation's cells, or a shard's, when a step fails because a load or rollback came between.

    The load that overtook this one may have looked for leftovers before the last request arrived.

    Raises:
        LoadError: ``OVERTAKEN`` in that case, else what the step raised.
    """
    try:
        yield
    except LoadError as error:
        if error.code not in _PERHAPS_OVERTAKEN:
            raise
        with suppress(GoogleAPIError), open_table(settings) as table:
            if not Claim(table, generation).is_held():
                abandon(settings, table, generation, shard)
                raise LoadError(LoadCode.OVERTAKEN, "another load or a rollback came in between") from error
        raise
