"""What a landing file is, by its name: CSV, NDJSON or Parquet, the texts also compressed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from loaders.landing.errors import LandingError

Kind = Literal["csv", "ndjson", "parquet"]

_KINDS: Final[dict[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}
_OTHERS: Final = {
    b"PAR1": "is Parquet: name it .parquet",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet: deliver CSV, by itself or compressed by gzip",
    b"\x1f\x8b": "is compressed by gzip: name it .csv.gz or .ndjson.gz",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: name it .csv.zst or .ndjson.zst",
    b"\xff\xfe": "is UTF-16: have it written as UTF-8",
    b"\xfe\xff": "is UTF-16: have it written as UTF-8",
}
"""What a file begins with that is no text in UTF-8."""
_PEEKED: Final = 1 << 18


@dataclass(frozen=True)
class Format:
    """How a file is read."""

    kind: Kind
    compression: str | None = None


def format_of(name: str) -> Format:
    """By the end of the name, in capitals or not.

    Raises:
        LandingError: the name says nothing that is known.
    """
    stem, compression = name.lower(), compression_of(name)
    for ending in _COMPRESSIONS:
        stem = stem.removesuffix(ending)
    kind = next((kind for ending, kind in _KINDS.items() if stem.endswith(ending)), None)
    if kind is None or (kind == "parquet" and compression):
        raise LandingError(
            f"{name}: unknown format, expected one of {', '.join(_KINDS)}, the texts also with "
            f"{' or '.join(_COMPRESSIONS)}; a file that is not whole yet has a name that begins with _ or ."
        )
    return Format(kind, compression)


def compression_of(name: str) -> str | None:
    """How a file of that name is compressed, in Arrow's words; None: not at all."""
    return next((each for ending, each in _COMPRESSIONS.items() if name.lower().endswith(ending)), None)


def decompressed(source: Any, compression: str | None) -> Any:
    """The bytes of a file from where it is, decompressed."""
    return (
        io.BufferedReader(pa.CompressedInputStream(source, compression), _PEEKED) if compression else source
    )


def text_bytes(name: str, source: Any, compression: str | None) -> Any:
    """The bytes of a text, decompressed, from their beginning.

    Raises:
        LandingError: they begin like something else than a text in UTF-8.
        OSError: they cannot be read or decompressed.
    """
    source.seek(0)
    text = decompressed(source, compression)
    if compression:
        # Not opened twice: whoever closes a decompressing stream closes what it reads.
        head = text.peek(4)[:4]
    else:
        head = source.read(4)
        source.seek(0)
    for beginning, what in _OTHERS.items():
        if head.startswith(beginning):
            raise LandingError(f"{name}: {what}")
    return text
