"""Payloads against their models column by column: which texts only the model itself can judge.

A text that is not doubtful is one that the model accepts; a doubtful one may be good or bad, and only the
model says which and why. So whatever this module does not understand is doubt, never an acceptance.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from loaders.landing.annotations import unfold
from loaders.landing.column_rules import violations
from loaders.landing.notifications.json_columns import (
    in_place,
    pieces,
    read_objects,
    struct_of,
    told_at,
    told_type,
    union,
)
from loaders.landing.notifications.objects import Mask, Objects, Places, as_mask
from loaders.landing.notifications.payload import OneOf, Payload, SureWhen
from loaders.landing.schema import Column

_ARROW: Final[dict[type, pa.DataType]] = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}
_CONSTRAINTS: Final = {
    "ge": "minimum",
    "gt": "above",
    "le": "maximum",
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
}


@dataclass(frozen=True)
class _Field:
    """One field of a model: a value (``column``), an object (``model``), a list of objects, or any object."""

    name: str
    arrow: pa.DataType
    nullable: bool
    required: bool
    column: Column | None = None
    model: type[Payload] | None = None
    is_list: bool = False
    fewest: int = 0
    most: int | None = None
    multiple_of: int | None = None
    sure: str | None = None


@dataclass(frozen=True)
class Judged:
    """Texts that were held against a model, each by its place."""

    doubtful: Mask
    """False for the texts that the model surely accepts; true for null texts."""
    says: Mask
    """What the saying that was asked for is of the texts that are not doubtful."""
    unread: Mask
    """True for the texts that could not be read, though they may be objects."""
    found: Mapping[str, pa.Array]
    """What stands at the paths that were asked for; null in texts that were not read. Of an object: whether
    one is there."""


def judge(
    model: type[Payload],
    texts: pa.Array,
    saying: str | None = None,
    paths: Mapping[str, pa.DataType] | None = None,
) -> Judged:
    """Hold texts against a model, as many at a time as the machine has cores.

    ``saying``: which of the model's ``sayings`` to find out too. ``paths``: keys joined by dots, with the
    type of what to find there.
    """
    paths = paths or {}
    parts = [texts.slice(start, stop - start) for start, stop in pieces(texts)]
    like = _with_paths(model, tuple(paths.items()))
    one = partial(_judge_piece, model, like, paths, saying=saying)
    if len(parts) > 1:
        # Threads are enough: Arrow does nearly all of the work, and holds no lock of Python's meanwhile.
        with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as cores:
            judged = list(cores.map(one, parts))
    else:
        judged = [one(part) for part in parts]
    nothing = [np.zeros(0, bool)]
    return Judged(
        np.concatenate(nothing + [each.doubtful for each in judged]),
        np.concatenate(nothing + [each.says for each in judged]),
        np.concatenate(nothing + [each.unread for each in judged]),
        {
            path: pa.concat_arrays([each.found[path] for each in judged])
            if judged
            else pa.nulls(0, told_type(kind))
            for path, kind in paths.items()
        },
    )


@cache
def _with_paths(model: type[Payload], paths: tuple[tuple[str, pa.DataType], ...]) -> pa.StructType:
    return union([arrow_type(model), struct_of(dict(paths))])


def _judge_piece(
    model: type[Payload],
    like: pa.StructType,
    paths: Mapping[str, pa.DataType],
    texts: pa.Array,
    saying: str | None,
) -> Judged:
    found: dict[str, list[tuple[Places, pa.Array]]] = {path: [] for path in paths}
    judged = Judged(np.ones(len(texts), bool), np.zeros(len(texts), bool), as_mask(texts.is_valid()), {})
    unsaid = np.zeros(len(texts), bool)
    for objects in read_objects(texts, like):
        judged.doubtful[objects.places] = False
        judged.unread[objects.places] = False
        for path, kind in paths.items():
            found[path].append((objects.places, told_at(objects, path, kind)))
        _judge(model, objects, judged.doubtful, unsaid)
        if saying is not None:
            judged.says[objects.places] = as_mask(model.sayings[saying](objects))
    unsaid &= ~judged.doubtful
    if unsaid.any():
        judged.doubtful[unsaid] = _may_say_null(model, texts.filter(pa.array(unsaid)))
    stand = {path: in_place(found[path], len(texts), told_type(kind)) for path, kind in paths.items()}
    return replace(judged, found=stand)


@cache
def arrow_type(model: type[Payload]) -> pa.StructType:
    """The fields of the model, and of the models inside it, in Arrow types."""
    return pa.struct([pa.field(each.name, each.arrow) for each in _fields(model)])


def _judge(model: type[Payload], objects: Objects, doubtful: Mask, unsaid: Mask) -> None:
    """Mark payloads whose objects the model may refuse, and those in which null may be null or nothing."""
    present = objects.present

    def doubt(mask: pa.Array) -> None:
        if pc.any(mask).as_py():
            doubtful[objects.places[as_mask(mask)]] = True

    for field in _fields(model):
        values = objects[field.name]
        missing = pc.and_(present, pc.is_null(values))
        if field.required and not field.nullable:
            doubt(missing)
        elif not field.nullable and pc.any(missing).as_py():
            unsaid[objects.places[as_mask(missing)]] = True
        if field.column is not None:
            for _, mask, _ in violations(field.column, values):
                doubt(mask)
        if field.multiple_of is not None:
            whole = pc.multiply(pc.divide(values, field.multiple_of), field.multiple_of)
            doubt(pc.not_equal(whole, values))
        if field.sure is not None:
            doubt(pc.invert(pc.match_substring_regex(values, field.sure)))
        if field.is_list:
            lengths = pc.list_value_length(values)
            doubt(pc.less(lengths, field.fewest))
            if field.most is not None:
                doubt(pc.greater(lengths, field.most))
            elements = objects.each(field.name)
            doubtful[elements.places[as_mask(pc.invert(elements.present))]] = True
            if field.model is not None:
                _judge(field.model, elements, doubtful, unsaid)
        elif field.model is not None:
            _judge(field.model, objects.at(field.name), doubtful, unsaid)
    for mask in model.doubts(objects):
        doubt(mask)
    for part, found in model.parts(objects):
        doubtful[found.places[as_mask(pc.invert(found.present))]] = True
        _judge(part, found, doubtful, unsaid)


def _may_say_null(model: type[Payload], texts: pa.Array) -> Mask:
    """Whether a field that may be left out, but not be null, is perhaps null and not left out."""
    found = as_mask(pc.match_substring(texts, "null"))
    if found.any():
        # A key may be written with escapes, which nobody does: \u is doubt enough.
        named = "|".join(sorted(_never_null(model)))
        pattern = rf'"(?:{named})"\s*:\s*null|\\u'
        found[found] = as_mask(pc.match_substring_regex(texts.filter(pa.array(found)), pattern))
    return found


@cache
def _never_null(model: type[Payload]) -> frozenset[str]:
    """Names of the fields, of the model and of those inside it, that may be left out but not be null."""
    names = {each.name for each in _fields(model) if not each.nullable and not each.required}
    inner = [each.model for each in _fields(model) if each.model is not None]
    return frozenset(names).union(*(_never_null(each) for each in (*inner, *model.part_models)))


@cache
def _fields(model: type[Payload]) -> tuple[_Field, ...]:
    """The model's fields.

    Raises:
        TypeError: an annotation, or a validator, whose meaning for columns nobody has told.
    """
    decorators = model.__pydantic_decorators__
    told = model.doubts.__func__ is not Payload.doubts.__func__  # type: ignore[attr-defined]
    if (decorators.field_validators or decorators.model_validators) and not told:
        raise TypeError(f"{model.__name__} has validators but no doubts")
    hints = get_type_hints(model, include_extras=True)
    return tuple(_field(name, hints[name], info) for name, info in model.model_fields.items())


def _field(name: str, annotation: Any, info: FieldInfo) -> _Field:
    parts = [part for part in unfold(annotation) if not isinstance(part, FieldInfo)]
    sure = next((part.pattern for part in parts if isinstance(part, SureWhen)), None)
    models = next((part.models for part in parts if isinstance(part, OneOf)), ())
    nullable = type(None) in parts
    constraints: dict[str, Any] = {}
    kinds: list[Any] = []
    for part in parts:
        if part is type(None) or isinstance(part, SureWhen | OneOf):
            continue
        if isinstance(part, AfterValidator):
            if sure is None:
                raise TypeError(f"{name}: nobody has told which values {part.func} surely accepts")
        elif isinstance(part, type) or get_origin(part) is not None:
            kinds.append(part)
        else:
            constraints |= _constraints(name, part)
    if len(kinds) != 1:
        raise TypeError(f"{name}: {kinds} are not one type")
    [kind] = kinds
    multiple_of = constraints.pop("multiple_of", None)
    common: dict[str, Any] = {"name": name, "nullable": nullable, "required": info.is_required()}
    if get_origin(kind) is dict:
        return _Field(**common, arrow=union([arrow_type(each) for each in models]))
    if get_origin(kind) is list:
        [element] = get_args(kind)
        return _Field(
            **common,
            arrow=pa.list_(arrow_type(element)),
            model=element,
            is_list=True,
            fewest=constraints.pop("min_length", 0),
            most=constraints.pop("max_length", None),
        )
    if isinstance(kind, type) and issubclass(kind, Payload):
        return _Field(**common, arrow=arrow_type(kind), model=kind)
    allowed: tuple[Any, ...] = ()
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        [kind] = {type(each) for each in allowed}
    arrow = _ARROW[kind]
    column = Column(name, kind, nullable=True, allowed=allowed, arrow=arrow, **constraints)
    return _Field(**common, arrow=arrow, column=column, multiple_of=multiple_of, sure=sure)


def _constraints(name: str, part: Any) -> dict[str, Any]:
    """One constraint in the terms of ``Column``; ``lt`` is of whole numbers only."""
    if (below := getattr(part, "lt", None)) is not None:
        return {"maximum": below - 1}
    if (multiple_of := getattr(part, "multiple_of", None)) is not None:
        return {"multiple_of": multiple_of}
    found = {
        ours: getattr(part, theirs)
        for theirs, ours in _CONSTRAINTS.items()
        if getattr(part, theirs, None) is not None
    }
    # Every type is read strictly here: no text is taken for a number.
    if not found and getattr(part, "strict", None) is None:
        raise TypeError(f"{name}: {part!r} is not understood")
    return found
