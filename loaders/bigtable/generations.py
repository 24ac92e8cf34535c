"""What an operator does with generations: list, verify, go back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigtable.data import Table

from loaders.bigtable import manifest as manifests
from loaders.bigtable import pointer, scan
from loaders.bigtable.connection import open_table
from loaders.bigtable.deadline import load_deadline
from loaders.bigtable.erased_cells import erased_content
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import GenerationManifest, GenerationState
from loaders.bigtable.pointer import read_pointer
from loaders.bigtable.rows import checksum, hexadecimal
from segue.settings import Settings
from segue_client.bigtable.pointer import Pointer

_SCANS_AT_ONCE: Final = 4
"""Each holds what a shard shows, and Python works on one at a time."""


@dataclass(frozen=True)
class GenerationRow:
    """A generation, whether it is what readers see, and whether ``rollback`` would go to it."""

    manifest: GenerationManifest
    is_published: bool
    is_retained: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.manifest.model_dump(mode="json") | {
            "is_published": self.is_published,
            "is_retained": self.is_retained,
        }


def list_generations(settings: Settings) -> list[GenerationRow]:
    """All generations that were ever begun, newest first.

    Raises:
        LoadError: ``NO_TABLE``: the table is missing or Bigtable does not answer.
    """
    try:
        with open_table(settings) as table:
            current = read_pointer(table)
            known = manifests.read_manifests(table)
    except GoogleAPIError as error:
        raise LoadError(LoadCode.NO_TABLE, f"cannot read the generations: {error}") from error
    can_serve = {each.generation_ms for each in manifests.retained(known)} if current else set()
    return [
        GenerationRow(
            each,
            is_published=current is not None and each.generation_ms == current.generation_ms,
            is_retained=each.generation_ms in can_serve,
        )
        for each in reversed(known)
    ]


def verify(settings: Settings, generation: int) -> GenerationManifest:
    """Reads a retained generation (milliseconds) back and compares counts and checksum with its manifest.

    Raises:
        LoadError: ``NOT_RETAINED``, or ``NOT_VERIFIED`` with what differs, or ``NO_TABLE``.
    """
    try:
        with open_table(settings) as table:
            known = _retained(manifests.read_manifests(table), generation)
            _compare(settings, table, known)
    except GoogleAPIError as error:
        raise LoadError(LoadCode.NO_TABLE, f"cannot read generation {generation}: {error}") from error
    return known


def rollback(settings: Settings, generation: int) -> Pointer:
    """Makes an earlier, retained generation (milliseconds) what readers see, with one conditional write.

    Readers follow within their refresh interval. Also the way forward again, until the next load, which
    removes what is above the pointer. A load that is running loses its right to publish.

    Returns:
        The pointer as it is now; unchanged when it was there already.

    Raises:
        LoadError: ``NOT_RETAINED``, ``MOVED`` or ``NO_TABLE``; the pointer was not moved.
    """
    try:
        with open_table(settings) as table:
            current = read_pointer(table)
            known = manifests.read_manifests(table)
            _retained(known, generation)
            if current is None:
                raise LoadError(LoadCode.NOT_RETAINED, "no generation is published")
            if current.generation_ms == generation:
                return current
            for each in known:
                # its writer died after publishing it: say that readers have seen it, before they no longer do
                if each.generation_ms == current.generation_ms and each.state is GenerationState.VERIFIED:
                    manifests.write_manifest(table, each.in_state(GenerationState.PUBLISHED))
            if not pointer.go_back(table, current.generation_ms, generation):
                raise LoadError(LoadCode.MOVED, "another load or rollback moved the pointer")
            moved = read_pointer(table)
    except GoogleAPIError as error:
        raise LoadError(LoadCode.NO_TABLE, f"cannot move the pointer: {error}") from error
    if moved is None:
        raise LoadError(LoadCode.MOVED, "the pointer row was removed")
    return moved


def _compare(settings: Settings, table: Table, manifest: GenerationManifest) -> None:
    """Everything that a generation shows against its manifest, some shards at a time.

    Raises:
        LoadError: ``NOT_VERIFIED``, with the counts or the checksums that differ.
    """
    erased = erased_content(table, manifest)
    deadline_at = load_deadline(settings)

    def content(shard: int) -> tuple[int, int]:
        accounts = scan.key_range(shard, manifest.shards)
        found = scan.visible(table, manifest.generation_ms, accounts, deadline_at)
        return len(found.keys), checksum(found.digests)

    accounts, total = erased.rows, erased.checksum
    with ThreadPoolExecutor(_SCANS_AT_ONCE, thread_name_prefix="verify") as pool:
        for rows, digest in pool.map(content, range(manifest.shards)):
            accounts += rows
            total += digest
    if accounts != manifest.rows_out:
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {manifest.generation_ms} is not what was written",
            {"written": manifest.rows_out, "found": accounts},
        )
    if hexadecimal(total) != manifest.checksum:
        raise LoadError(
            LoadCode.NOT_VERIFIED,
            f"generation {manifest.generation_ms} has checksum {hexadecimal(total)}, "
            f"written was {manifest.checksum}",
        )


def _retained(known: list[GenerationManifest], generation: int) -> GenerationManifest:
    for each in manifests.retained(known):
        if each.generation_ms == generation:
            return each
    raise LoadError(LoadCode.NOT_RETAINED, f"generation {generation} is not complete or no longer kept")
