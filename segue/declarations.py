"""YAML files that declare something; a mistake is named by file, line and field, with what is allowed."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from segue.errors import SegueError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]

_STANDARD_ERRORS: Final = frozenset(typing.get_args(ErrorType))
"""pydantic's own kinds of mistakes; any other is a schema's own check, which words it in full."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a file; ``line`` counts from 1."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class DeclarationsError(SegueError):
    """Files with mistakes; nothing was made of them."""

    code = "declarations"
    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def parse(path: Path, model: type[Model], refused: type[DeclarationsError] = DeclarationsError) -> Model:
    """The file as ``model``.

    Raises:
        DeclarationsError: (``refused``) it is no YAML, names a key twice, or breaks the schema.
    """
    node = _composed(path, refused)
    lines: dict[Location, int] = {}
    repeated = [
        Problem(path.name, line, _dotted(location), "is given twice")
        for location, line in _mark(node, (), lines)
    ]
    if repeated:
        raise refused(repeated)
    value = yaml.constructor.SafeConstructor().construct_document(node)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_problem(path.name, model, lines, dict(found)) for found in error.errors()]
        raise refused(problems) from error


def line_of(path: Path, location: Location) -> int:
    """The line of a value in a file that can be read; of its nearest surroundings where it has none."""
    lines: dict[Location, int] = {}
    list(_mark(_composed(path, DeclarationsError), (), lines))
    while location and location not in lines:
        location = location[:-1]
    return lines[location]


def _composed(path: Path, refused: type[DeclarationsError]) -> yaml.MappingNode:
    try:
        node = yaml.compose(path.read_text(), yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise refused([Problem(path.name, line, "", f"no YAML: {error.problem}")]) from error
    if not isinstance(node, yaml.MappingNode):
        raise refused([Problem(path.name, 1, "", "the file must be a mapping of fields")])
    return node


def _mark(node: yaml.Node, location: Location, lines: dict[Location, int]) -> Iterator[tuple[Location, int]]:
    """Notes the line of every value; yields keys that a mapping has twice."""
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            if inner in lines:
                yield inner, key.start_mark.line + 1
            lines[inner] = key.start_mark.line + 1
            yield from _mark(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _mark(value, (*location, place), lines)


def _problem(file: str, model: type[BaseModel], lines: dict[Location, int], found: dict[str, Any]) -> Problem:
    location: Location = found["loc"]
    # Behind the place in the file, pydantic names the branch of a union that it tried.
    known = location
    while known and known not in lines:
        known = known[:-1]
    shown = location if found["type"] == "missing" else known
    message = found["msg"]
    if found["type"] == "extra_forbidden":
        message = f"unknown field; allowed: {', '.join(_fields(model, location[:-1]))}"
    elif found["type"] == "missing":
        message = "is missing"
    elif found["type"] in _STANDARD_ERRORS:
        message = f"{message[:1].lower()}{message[1:]}; found {found['input']!r}"
    return Problem(file, lines[known], _dotted(shown), message)


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """The names that a mapping at ``location`` may have."""
    current: type[BaseModel] = model
    for part in location:
        if isinstance(part, int):
            continue
        for name, field in current.model_fields.items():
            if (field.alias or name) == part:
                current = next(_models(field.annotation), current)
    return [field.alias or name for name, field in current.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The pydantic models inside Optional, list and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)
