"""What stands at some paths inside JSON objects, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from loaders.landing.notifications.payload_structs import AnyObject

OBJECT: Final = dict
"""The type of a place at which it only counts whether an object is there."""


class Text(str):
    """The type of a place at which it only counts whether a text is there: each id would be another one."""

    __slots__ = ()


_LEAVES: Final[Mapping[type, Any]] = {OBJECT: AnyObject | None, Text: str | None}
"""Types at which it only counts whether something is there."""

CLOSER_LOOK: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError)
"""What ``ReadPaths`` raises where a text is no object, or something in it is of another type."""

ReadPaths = Callable[[bytes], tuple[Any, ...]]
"""What stands at each path of a text in UTF-8: None where nothing does, or whether something is there."""


def reader_of_paths(paths: Mapping[str, type]) -> ReadPaths:
    """Reads what stands at paths (keys joined by dots), in the types."""
    decode = msgspec.json.Decoder(_struct(paths)).decode
    told = (
        f"found.{path} is not None" if kind in _LEAVES else f"found.{path}" for path, kind in paths.items()
    )
    named: dict[str, Any] = {"decode": decode}
    # One function of its own: slices and loops take as long as the reading.
    exec(f"def read(text):\n found = decode(text)\n return ({', '.join(told)},)", named)
    read: ReadPaths = named["read"]
    if all(kind in _LEAVES for kind in paths.values()):
        return _of_the_named(read, [path.rpartition(".")[2].encode() for path in paths])
    return read


def _of_the_named(read: ReadPaths, keys: Sequence[bytes]) -> ReadPaths:
    """Reads only texts that have one of the keys somewhere; in others nothing is there."""
    nothing = read(b"{}")

    def read_named(text: bytes) -> tuple[Any, ...]:
        for key in keys:
            if key in text:
                return read(text)
        # A key may be written with escapes, which nobody does.
        return read(text) if b"\\" in text else nothing

    return read_named


def _struct(paths: Mapping[str, type]) -> type[msgspec.Struct]:
    inner: dict[str, dict[str, type]] = {}
    for path, kind in paths.items():
        key, _, rest = path.partition(".")
        inner.setdefault(key, {}).update({rest: kind} if rest else {})
    fields: list[Any] = []
    for key, rests in inner.items():
        if rests:
            # Where there is no object, nothing stands inside it.
            struct = _struct(rests)
            fields.append((key, struct, struct()))
        else:
            fields.append((key, _LEAVES.get(paths[key], paths[key] | None), None))
    return msgspec.defstruct("Paths", fields, frozen=True, gc=False)
