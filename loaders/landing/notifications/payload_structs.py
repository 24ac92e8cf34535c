"""Payload models as msgspec reads them: whether a text surely keeps its model, in a tenth of pydantic's time.

Fields, types, constraints and validators are the models' own. A text that is read here is one that its model
accepts; one that is not may be good or bad, and only the model says which and why. So whatever this module
does not understand is doubt, never an acceptance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from inspect import signature
from itertools import repeat
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa
from pydantic import AfterValidator
from pydantic.fields import FieldInfo
from pydantic_core import from_json

from loaders.landing.annotations import unfold
from loaders.landing.arrays import Bytes, Mask, bytes_of_all, places_of
from loaders.landing.notifications.payload import AsWritten, Payload, SureWhen, Wanted

Read = Callable[[bytes | msgspec.Raw], Any]

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What ``Read`` raises of a text that is not like its struct."""

_CONSTRAINTS: Final = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length")
_LEVELS: Final = 200
"""pydantic's parser ends at so many, msgspec's much later."""
_LONG: Final = 4_000
_KEPT: Final = 4096
"""So many different prices, or codes, are read once."""
_DIGITS: Final = re.compile(rb"[0-9]{2}")


class AnyObject(msgspec.Struct):
    """An object of which it only counts that it is one."""


def doubtful_texts(
    model: type[Payload], texts: pa.Array, each: Sequence[bytes | None], asked: Mask | None = None
) -> Mask:
    """False for the texts that the model surely accepts, and for those that are null or not ``asked`` for.

    ``each`` is each text in UTF-8.
    """
    doubtful = np.zeros(len(each), bool)
    read = reader_of(model)
    are_asked = repeat(True) if asked is None else asked.tolist()
    for place, (text, is_asked) in enumerate(zip(each, are_asked, strict=False)):
        if is_asked and text is not None:
            try:
                read(text)
            except UNREADABLE:
                doubtful[place] = True
    for place in _odd_places(texts, each):
        doubtful[place] |= (asked is None or asked[place]) and not _is_json(each[place])
    return doubtful


@cache
def reader_of(model: type[Payload]) -> Read:
    """What reads a text as the model's struct."""
    return msgspec.json.Decoder(struct_of(model)).decode


@cache
def struct_of(model: type[Payload]) -> type[msgspec.Struct]:
    """A struct with the model's fields and properties; its making fails where a validator of the model does.

    Raises:
        TypeError: an annotation, or a validator, whose meaning here nobody has told.
    """
    hints = get_type_hints(model, include_extras=True)
    fields: list[Any] = []
    checks = _Checks()
    for name, info in model.model_fields.items():
        kind = _field(name, hints[name], checks)
        is_required = info.is_required() or Wanted in unfold(hints[name])
        fields.append((name, kind) if is_required else (name, kind, info.default))
    _add_validators(model, checks)
    namespace: dict[str, Any] = {
        name: value
        for each in reversed(model.__mro__)
        if issubclass(each, Payload)
        for name, value in vars(each).items()
        if isinstance(value, property)
    }
    if checks.lines:
        namespace["__post_init__"] = checks.function()
    return msgspec.defstruct(model.__name__, fields, namespace=namespace, kw_only=True, gc=False)


class _Checks:
    """What is looked at when an object has been read, as one function: each call of another takes time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._named: dict[str, Any] = {"Info": _Info, "asdict": msgspec.structs.asdict}

    def add(self, line: str, call: Callable[..., Any] | None = None) -> None:
        """A line of the function, in which ``@`` stands for ``call``."""
        name = f"call{len(self._named)}"
        self._named[name] = call
        self.lines.append(line.replace("@", name))

    def function(self) -> Callable[[Any], None]:
        """Raises ValueError, or what a validator raises, for an object that may not keep its model."""
        source = "\n ".join(["def check(self):", *self.lines])
        exec(source, self._named)
        made: Callable[[Any], None] = self._named["check"]
        return made


class _Info(msgspec.Struct, gc=False):
    """What validators ask pydantic for: the fields before theirs."""

    data: dict[str, Any]


def _add_validators(model: type[Payload], checks: _Checks) -> None:
    """The model's validators, of what is absent too: that may be one doubt more."""
    decorators = model.__pydantic_decorators__
    told = [len(signature(each.func).parameters) > 1 for each in decorators.field_validators.values()]
    if any(told):
        checks.add("info = Info(asdict(self))")
    for of_field, is_told in zip(decorators.field_validators.values(), told, strict=True):
        if of_field.info.mode != "after":
            raise TypeError(f"{model.__name__}.{of_field.cls_var_name} does not come after the types")
        for name in of_field.info.fields:
            checks.add(f"@(self.{name}{', info' * is_told})", of_field.func)
    for of_model in decorators.model_validators.values():
        if of_model.info.mode != "after":
            raise TypeError(f"{model.__name__}.{of_model.cls_var_name} does not come after the fields")
        checks.add("@(self)", of_model.func)
    if model.names_nobody is not Payload.names_nobody:
        checks.add("if self.names_nobody: raise ValueError")


def _field(name: str, annotation: Any, checks: _Checks) -> Any:
    """The type of a field; what no type can say is among the checks."""
    parts = list(unfold(annotation))
    if AsWritten in parts:
        return msgspec.Raw
    kinds: list[Any] = []
    constraints: dict[str, Any] = {}
    sure = next((part.pattern for part in parts if isinstance(part, SureWhen)), None)
    if sure:
        checks.add(f"if self.{name} is not None and not @(self.{name}): raise ValueError", _matching(sure))
    for part in parts:
        if isinstance(part, type) or get_origin(part) is not None:
            if part not in (type(None), Wanted):
                kinds.append(part)
        elif sure and (isinstance(part, AfterValidator) or hasattr(part, "pattern")):
            continue
        elif isinstance(part, AfterValidator):
            checks.add(f"if self.{name} is not None: @(self.{name})", part.func)
        elif hasattr(part, "pattern"):
            matches = lru_cache(maxsize=_KEPT)(_matching(part.pattern))
            checks.add(f"if self.{name} is not None and not @(self.{name}): raise ValueError", matches)
        elif not isinstance(part, FieldInfo):
            constraints |= _constraints(name, part)
    if len(kinds) != 1:
        raise TypeError(f"{name}: {kinds} are not one type")
    kind = _kind(kinds[0])
    if constraints:
        kind = Annotated[kind, msgspec.Meta(**constraints)]
    if type(None) in parts and Wanted not in parts:
        kind |= None
    if isinstance(kinds[0], type) and issubclass(kinds[0], Payload) and kinds[0].repeats:
        read = lru_cache(maxsize=_KEPT)(msgspec.json.Decoder(kind).decode)
        checks.add(f"if self.{name} is not None: self.{name} = @(bytes(self.{name}))", read)
        return msgspec.Raw
    return kind


def _matching(pattern: str) -> Callable[[str], Any]:
    """msgspec takes five times as long to ask Python for a pattern."""
    # Of what pydantic's expressions take for a digit, only what everybody does.
    return re.compile(pattern, re.ASCII).fullmatch


def _kind(part: Any) -> Any:
    if get_origin(part) is list:
        [element] = get_args(part)
        return list[_kind(element)]  # type: ignore[misc]
    if get_origin(part) is dict:
        return AnyObject
    if isinstance(part, type) and issubclass(part, Payload):
        return struct_of(part)
    if part in (str, int, bool) or get_origin(part) is Literal:
        return part
    raise TypeError(f"{part} is not understood")


def _constraints(name: str, part: Any) -> dict[str, Any]:
    """One constraint. Every type is read strictly here: no text is taken for a number."""
    found = {each: value for each in _CONSTRAINTS if (value := getattr(part, each, None)) is not None}
    if not found and getattr(part, "strict", None) is None:
        raise TypeError(f"{name}: {part!r} is not understood")
    return found


def _odd_places(texts: pa.Array, each: Sequence[bytes | None]) -> Iterator[int]:
    """Of texts that msgspec may read though pydantic's parser does not: nested too deep, numbers too long."""
    data, offsets = bytes_of_all(texts)
    opening = places_of(_open, data)
    levels = np.diff(np.searchsorted(opening, offsets))
    yield from np.flatnonzero(levels > _LEVELS).tolist()
    for place in np.flatnonzero(np.diff(offsets) > _LONG).tolist():
        # Of a number that long, two of these bytes in a row are digits.
        if _DIGITS.search((each[place] or b"")[:: _LONG // 2]):
            yield place


def _open(data: Bytes) -> Mask:
    found: Mask = (data | 0x20) == ord("{")
    return found


def _is_json(text: bytes | None) -> bool:
    """Whether pydantic's parser reads it."""
    try:
        from_json(text or b"", allow_inf_nan=False)
    except (ValueError, TypeError):
        return False
    return True
