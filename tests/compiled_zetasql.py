"""Google's analyzer comes as WebAssembly: compiled once for a machine, fed in blocks, and read in one pass.

The package compiles its 28 MB anew in every process (30 s of CPU) and copies requests and answers byte by
byte in Python. What was compiled is kept in Wasmtime's cache in the home folder. Of a resolved statement's
message it asks every node for every field that its type may have, and measures all that is below it at each:
most of the time of resolving. Here a type is looked at once, and a node for what is set in it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.message import Message
from wasmtime import Config
from zetasql.core import local_service, wasm_client
from zetasql.types.proto_model import proto_model

_ONE_OF_MANY = "node"
"""The field of a message that stands for any of several types."""


def _caching() -> Config:
    config = Config()
    config.cache = True
    return config


def _address(client: Any, pointer: int) -> int:
    return ctypes.addressof(client.memory.data_ptr().contents) + pointer


def _write(client: Any, pointer: int, data: bytes) -> None:
    ctypes.memmove(_address(client, pointer), data, len(data))


def _read(client: Any, pointer: int, size: int) -> bytes:
    return ctypes.string_at(_address(client, pointer), size)


@dataclass(frozen=True)
class _Plan:
    """How a message of one type becomes a node: its fields and those of its ``parent`` messages, by their
    names in the message, and what a node has of fields that are not set."""

    levels: list[dict[str, tuple[str, Callable[[Any], Any]]]]
    absent: dict[str, Any]


@cache
def _plan(model: Any, descriptor: Any) -> _Plan:
    levels, absent = [], {}
    for ancestor in reversed(model._get_proto_model_classes(model)):
        empty = descriptor._concrete_class()
        fields = {}
        for name, meta in ancestor._PROTO_FIELD_MAP.items():
            field = descriptor.fields_by_name.get(meta["proto_field"])
            if field is None or name in absent:
                continue
            convert = _conversion(model, meta)
            fields[field.name] = name, convert
            absent[name] = None
            if not meta["is_message"] and not meta.get("is_repeated") and field.containing_oneof is None:
                absent[name] = convert(getattr(empty, field.name))
            elif meta.get("is_repeated"):
                absent[name] = ()
        levels.append(fields)
        if parent := descriptor.fields_by_name.get("parent"):
            descriptor = parent.message_type
    return _Plan(levels, absent)


def _conversion(model: Any, meta: dict[str, Any]) -> Callable[[Any], Any]:
    many = meta.get("is_repeated", False)
    if meta["is_message"]:
        return (lambda parts: [_parse(part) for part in parts]) if many else _parse_unless_empty
    if meta.get("is_enum", False):
        named = cache(lambda value: proto_model._convert_to_enum(value, meta, model))
        return (lambda values: [named(value) for value in values]) if many else named
    return lambda value: value


def _parse_unless_empty(proto: Any) -> Any:
    return _parse(proto) if proto.ListFields() else None


def _from_proto(model: Any, proto: Any) -> Any:
    """``ProtoModel.from_proto``."""
    plan = _plan(model, proto.DESCRIPTOR)
    values = plan.absent.copy()
    for fields in plan.levels:
        above = None
        for field, value in proto.ListFields():
            if found := fields.get(field.name):
                name, convert = found
                values[name] = convert(value)
            elif field.name == "parent":
                above = value
        if above is None:
            break
        proto = above
    return model(**values)


def _parse(proto: Any) -> Any:
    """``parse_proto``."""
    if not isinstance(proto, Message):
        return proto
    while (kind := _kind(proto.DESCRIPTOR)) is None:
        variant = proto.WhichOneof(_ONE_OF_MANY)
        if variant is None:
            kind = _model(proto.DESCRIPTOR)
            break
        proto = getattr(proto, variant)
    return _from_proto(kind, proto)


@cache
def _kind(descriptor: Any) -> Any:
    """The type of node of a message; None of one that stands for several."""
    return None if _ONE_OF_MANY in descriptor.oneofs_by_name else _model(descriptor)


@cache
def _model(descriptor: Any) -> Any:
    return type(_create_model(descriptor._concrete_class()))


_create_model = proto_model._create_model_from_proto


def use_compiled() -> None:
    """Make the package load what was compiled before; it loads at its first statement."""
    wasm_client.Config = _caching
    wasm_client.WasmClient.write_bytes = _write
    wasm_client.WasmClient.read_bytes = _read
    local_service.parse_proto = _parse
