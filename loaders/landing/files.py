"""Landing files: reading them in bounded batches, whatever their format."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from loaders.landing.batch import Batch
from loaders.landing.blocks import WholeLines
from loaders.landing.delivery import Receipt, open_columns, opener
from loaders.landing.errors import LandingError
from loaders.landing.formats import format_of, text_bytes
from loaders.landing.header import csv_header
from loaders.landing.json_lines import read_json_lines
from loaders.landing.parquet_rows import read_parquet
from loaders.landing.row import LandingRow
from loaders.landing.sorting import sort_out
from loaders.landing.text_rows import read_csv
from loaders.objects.store import ObjectStore, ObjectStoreError, StoredObject

_READ_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class LandingFile:
    """One file of a table's arrival day, open for reading; ``name`` is its path below the landing root.

    Without a ``receipt`` messages of providers are not opened.
    """

    name: str
    source: pa.NativeFile
    receipt: Receipt | None = None


@contextmanager
def opened(store: ObjectStore, stored: StoredObject) -> Iterator[LandingFile]:
    """The file, from exactly the bytes that were listed.

    Raises:
        LandingError: it is of an unknown format, cannot be read, or has changed since it was listed.
    """
    format_of(stored.name)
    try:
        with store.open(stored) as source:
            yield LandingFile(stored.name, source)
    except ObjectStoreError as error:
        raise LandingError(f"{stored.name}: cannot be read: {error}") from error


def file_digest(file: LandingFile) -> bytes:
    """SHA-256 of the file's bytes, read in pieces from its beginning.

    Raises:
        LandingError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        file.source.seek(0)
        while piece := file.source.read(1 << 20):
            digest.update(piece)
    except OSError as error:
        raise LandingError(f"{file.name}: cannot be read: {error}") from error
    return digest.digest()


def read_batches(contract: type[LandingRow], file: LandingFile) -> Iterator[Batch]:
    """The file's rows, a bounded number at a time, without those whose kind is ignored.

    Raises:
        LandingError: the file cannot be read, or its columns are not the contract's.
    """
    try:
        for batch in _read(contract, file):
            yield sort_out(contract, batch, opener(contract.delivered, file.receipt))
    except (OSError, pa.ArrowException, UnicodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LandingError(f"{file.name}: cannot be read: {reason}") from error


def _read(contract: type[LandingRow], file: LandingFile) -> Iterator[Batch]:
    kind = format_of(file.name).kind
    if kind == "parquet":
        file.source.seek(0)
        for batch in read_parquet(contract, file.name, file.source):
            if contract.delivered and file.receipt:
                yield open_columns(contract.delivered, file.receipt, batch, file.name)
            else:
                yield batch
    elif kind == "ndjson":
        yield from read_json_lines(contract, file.name, bytes_of(file), file.receipt)
    else:
        lines = WholeLines(bytes_of(file))
        separator, header, absent = csv_header(contract, file.name, lines)
        yield from read_csv(contract, file.name, lines, separator, header, absent, file.receipt)


def bytes_of(file: LandingFile) -> io.BufferedReader:
    """The text's bytes, decompressed.

    Raises:
        LandingError: it begins like something else than a text in UTF-8.
        OSError: it cannot be read or decompressed.
    """
    source = text_bytes(file.name, file.source, format_of(file.name).compression)
    return source if isinstance(source, io.BufferedReader) else io.BufferedReader(source, _READ_BYTES)
