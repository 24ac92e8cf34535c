"""What a field's annotation says: its plain types, its literals and its constraints, one by one."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin


def unfold(annotation: Any) -> Iterator[Any]:
    """The plain type, literals and constraint objects inside nested Annotated and Optional."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        yield from unfold(inner)
        for item in metadata:
            yield from getattr(item, "metadata", None) or [item]
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from unfold(option)
    else:
        yield annotation
