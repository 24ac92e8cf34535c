"""The bytes of a text in pieces of whole lines, which end as Python's universal newlines do."""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Final

_READ_BYTES: Final = 1 << 16


class WholeLines:
    """A text's bytes, without a byte order mark."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source
        self._left = source.read(len(BOM_UTF8)).removeprefix(BOM_UTF8)

    def readline(self, limit: int) -> str:
        """The next line, or ``limit`` bytes of it; what is no UTF-8 is halves of surrogate pairs in it."""
        while True:
            lines = self._left.splitlines(keepends=True)
            # A carriage return at the very end may be half of a line's end.
            is_whole = len(lines) > 1 or self._left.endswith(b"\n")
            if is_whole or len(self._left) >= limit or not (more := self._source.read(_READ_BYTES)):
                line = lines[0][:limit] if lines else b""
                self._left = self._left[len(line) :]
                return line.decode(errors="surrogateescape")
            self._left += more

    def blocks(self, size: int) -> Iterator[bytes]:
        """What is left, about ``size`` bytes at a time."""
        left, piece = b"", self._left or self._source.read(size)
        while piece:
            following = self._source.read(size)
            block = left + piece
            end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1 if following else len(block)
            if end:
                yield block[:end]
            left, piece = block[end:], following
