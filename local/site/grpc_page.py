"""The page of the lookup service's messages, from the published ``.proto`` and its comments."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from local.site.markup import code, page, table
from segue.settings import PROJECT_ROOT

INTRODUCTION = """\
`segue proto FOLDER` copies the file that this page is made from. [Serving](../serving.md) has examples
in each language, and what to do about each status."""

PROTO_ROOT = PROJECT_ROOT / "clients" / "python" / "segue_client" / "proto"
PROTO = "segue/offers/v1/offers.proto"
_SYNTAX_COMMENT = (12,)


def grpc_page() -> str:
    """Services with their methods, then messages with their fields."""
    file = described(PROTO)
    comments = {
        tuple(each.path): " ".join(each.leading_comments.split()) for each in file.source_code_info.location
    }
    body = [comments.get(_SYNTAX_COMMENT, ""), *_services(file, comments)]
    for number, message in enumerate(file.message_type):
        body += [f"## {message.name}", comments.get((4, number), "")]
        if message.field:
            body.append(_fields(message, number, comments))
    return page("gRPC", INTRODUCTION, [part for part in body if part])


def described(proto: str) -> FileDescriptorProto:
    """The file's descriptor, comments included.

    Raises:
        RuntimeError: protoc refuses the file.
    """
    from grpc_tools import protoc  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        arguments = [f"-I{PROTO_ROOT}", f"--descriptor_set_out={out}", "--include_source_info", proto]
        if protoc.main(["protoc", *arguments]):
            raise RuntimeError(f"protoc refuses {proto}")
        read = FileDescriptorSet()
        read.ParseFromString(out.read_bytes())
        file: FileDescriptorProto = read.file[0]
        return file


def _services(file: FileDescriptorProto, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    for number, service in enumerate(file.service):
        yield f"## {service.name}"
        yield comments.get((6, number), "")
        rows = (
            [
                code(method.name),
                code(_short(method.input_type)),
                code(_short(method.output_type)),
                comments.get((6, number, 2, at), ""),
            ]
            for at, method in enumerate(service.method)
        )
        yield table(["method", "takes", "answers", "what it does"], rows)


def _fields(message: DescriptorProto, number: int, comments: dict[tuple[int, ...], str]) -> str:
    return table(
        ["number", "field", "type", "what it is"],
        (
            [str(field.number), code(field.name), _type(field), comments.get((4, number, 2, at), "")]
            for at, field in enumerate(message.field)
        ),
    )


def _type(field: FieldDescriptorProto) -> str:
    name = _short(field.type_name) or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    return ("repeated " if repeated else "optional " if field.proto3_optional else "") + code(name)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
