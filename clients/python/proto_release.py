"""Freezes what the proto promises at a release, and finds what a change of it would break.

``python clients/python/proto_release.py`` writes the descriptor of this version to
``clients/python/released/<version>.binpb``; it does so once a version, and never again.

A client that was built from any released descriptor must be understood by today's service, and its sources
must compile against today's proto. So of what is released nothing is removed, renamed or given another
number, type or cardinality; fields, values, messages and methods may be added. Removing a field and
reserving its number would keep the bytes readable but not the sources, so it is a break as well: what
nobody shall use any more stays and is marked ``deprecated``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from segue_client.version import __version__
from segue_client.wire import offers_pb2

RELEASED: Final = Path(__file__).resolve().parent / "released"
_NAME: Final = "segue/offers/v1/offers.proto"


class AlreadyReleasedError(Exception):
    """This version's descriptor is frozen, and is another than the proto's."""


def current() -> FileDescriptorSet:
    """What the proto of this checkout promises, under the name that it is published by."""
    file = FileDescriptorProto()
    offers_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = _NAME
    return FileDescriptorSet(file=[file])


def released() -> dict[str, FileDescriptorSet]:
    """What each release promised, by its version."""
    return {
        path.name.removesuffix(".binpb"): FileDescriptorSet.FromString(path.read_bytes())
        for path in sorted(RELEASED.glob("*.binpb"))
    }


def freeze() -> Path:
    """Writes the descriptor of this version.

    Raises:
        AlreadyReleasedError: there is another one for this version.
    """
    path = RELEASED / f"{__version__}.binpb"
    promised = current().SerializeToString(deterministic=True)
    if path.exists() and path.read_bytes() != promised:
        raise AlreadyReleasedError(f"{__version__} is released with another proto: raise the version first")
    RELEASED.mkdir(exist_ok=True)
    path.write_bytes(promised)
    return path


def breaks(before: FileDescriptorSet, after: FileDescriptorSet) -> list[str]:
    """What was promised before and is no longer, one sentence each; empty for a change that breaks nobody."""
    return list(_pairs("file", before.file, after.file, _file))


def _pairs(
    kind: str, before: Iterable[Any], after: Iterable[Any], compare: Any, within: str = ""
) -> Iterator[str]:
    """Compares what has the same name; what has no namesake any more is a break."""
    left = {each.name: each for each in after}
    for each in before:
        name = f"{within}.{each.name}" if within else each.name
        if each.name in left:
            yield from compare(name, each, left[each.name])
        else:
            yield f"{kind} {name} is gone"


def _file(_: str, before: FileDescriptorProto, after: FileDescriptorProto) -> Iterator[str]:
    package = before.package
    yield from _values(
        before.name,
        {
            "package": (before.package, after.package),
            "syntax": (before.syntax, after.syntax),
            "java_package": (before.options.java_package, after.options.java_package),
            "java_multiple_files": (before.options.java_multiple_files, after.options.java_multiple_files),
        },
    )
    yield from _pairs("message", before.message_type, after.message_type, _message, package)
    yield from _pairs("enum", before.enum_type, after.enum_type, _enum, package)
    yield from _pairs("service", before.service, after.service, _service, package)


def _message(name: str, before: DescriptorProto, after: DescriptorProto) -> Iterator[str]:
    numbers = {field.number: field.name for field in after.field}
    for field in before.field:
        taken_by = numbers.get(field.number, field.name)
        if taken_by != field.name:
            yield f"field number {field.number} of {name} was {field.name} and is {taken_by}"

    def compare(field: str, was: FieldDescriptorProto, now: FieldDescriptorProto) -> Iterator[str]:
        yield from _values(
            field,
            {
                "number": (was.number, now.number),
                "type": (_type_of(was), _type_of(now)),
                "cardinality": (_cardinality_of(was), _cardinality_of(now)),
                "name in JSON": (_json_name_of(was), _json_name_of(now)),
                "oneof": (_oneof_of(was, before), _oneof_of(now, after)),
            },
        )

    yield from _pairs("field", before.field, after.field, compare, name)
    yield from _pairs("message", before.nested_type, after.nested_type, _message, name)
    yield from _pairs("enum", before.enum_type, after.enum_type, _enum, name)


def _enum(name: str, before: EnumDescriptorProto, after: EnumDescriptorProto) -> Iterator[str]:
    def compare(value: str, was: Any, now: Any) -> Iterator[str]:
        yield from _values(value, {"number": (was.number, now.number)})

    yield from _pairs("value", before.value, after.value, compare, name)


def _service(name: str, before: ServiceDescriptorProto, after: ServiceDescriptorProto) -> Iterator[str]:
    def compare(method: str, was: Any, now: Any) -> Iterator[str]:
        yield from _values(
            method,
            {
                "request": (was.input_type, now.input_type),
                "response": (was.output_type, now.output_type),
                "streaming": (_streams(was), _streams(now)),
            },
        )

    yield from _pairs("method", before.method, after.method, compare, name)


def _values(name: str, pairs: dict[str, tuple[object, object]]) -> Iterator[str]:
    for what, (was, now) in pairs.items():
        if was != now:
            yield f"{what} of {name} was {was} and is {now}"


def _type_of(field: FieldDescriptorProto) -> str:
    return field.type_name or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _cardinality_of(field: FieldDescriptorProto) -> str:
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated"
    return "optional" if field.proto3_optional else "singular"


def _oneof_of(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    if not field.HasField("oneof_index") or field.proto3_optional:
        return "none"
    return str(message.oneof_decl[field.oneof_index].name)


def _json_name_of(field: FieldDescriptorProto) -> str:
    """A descriptor names it only where it is not the usual one."""
    first, *others = field.name.split("_")
    usual = first + "".join(word.capitalize() for word in others)
    return field.json_name or usual


def _streams(method: Any) -> str:
    words = [
        word
        for word, is_so in (("requests", method.client_streaming), ("responses", method.server_streaming))
        if is_so
    ]
    return " and ".join(words) or "none"


if __name__ == "__main__":
    try:
        print(freeze())
    except AlreadyReleasedError as error:
        sys.exit(str(error))
