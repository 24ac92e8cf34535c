"""YAML files that declare something; a mistake is named by file, line and field, with what is allowed."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from segue.errors import SegueError
from segue.nearest import nearest
from segue.yaml_document import Document, Location, UnreadableError, document

Model = TypeVar("Model", bound=BaseModel)

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent
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


def shown_path(path: Path) -> str:
    """The file as messages name it: from the project's folder where it lies in it, else as it was given."""
    whole = path.resolve()
    return str(whole.relative_to(PROJECT_ROOT)) if whole.is_relative_to(PROJECT_ROOT) else str(path)


def parse(path: Path, model: type[Model], refused: type[DeclarationsError] = DeclarationsError) -> Model:
    """The file as ``model``.

    Raises:
        DeclarationsError: (``refused``) it is no YAML, names a key twice, or breaks the schema.
    """
    found = _read(path, refused)
    file = shown_path(path)
    try:
        declared = model.model_validate(found.value)
    except ValidationError as error:
        problems = [_problem(file, model, found, dict(each)) for each in error.errors()]
        raise refused(problems) from error
    if problems := [
        Problem(file, found.lines[location], dotted(location), _without_quotes(found.texts[location]))
        for location in _made_of_texts(declared, found)
    ]:
        raise refused(problems)
    return declared


def problems_at(path: Path, mistakes: Iterable[tuple[Location, str]]) -> list[Problem]:
    """What is wrong at places of a file that can be read, with the line of each."""
    lines = _read(path, DeclarationsError).lines
    return [
        Problem(shown_path(path), lines[_known(location, lines)], dotted(location), message)
        for location, message in mistakes
    ]


def dotted(location: Location) -> str:
    """A place in a file as it is written in messages: ``audience.all[2].between``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _read(path: Path, refused: type[DeclarationsError]) -> Document:
    try:
        return document(path)
    except UnreadableError as error:
        file = shown_path(path)
        raise refused(
            [Problem(file, line, dotted(location), message) for line, location, message in error.flaws]
        ) from error


def _known(location: Location, lines: dict[Location, int]) -> Location:
    """The nearest surroundings that have a line."""
    while location and location not in lines:
        location = location[:-1]
    return location


def _made_of_texts(declared: BaseModel, found: Document) -> Iterator[Location]:
    """Numbers and flags that were written in quotes; to an editor, by the schema, they are texts."""
    values = declared.model_dump(by_alias=True)
    for location in found.quoted:
        value: Any = values
        for part in location:
            inside = value[part] if isinstance(value, dict) and part in value else None
            value = value[part] if isinstance(value, list) and isinstance(part, int) else inside
        if value is not None and not isinstance(value, str):
            yield location


def _without_quotes(text: str) -> str:
    return f"is the text '{text}', because of its quotes; allowed: {text}"


def _problem(file: str, model: type[BaseModel], found: Document, error: dict[str, Any]) -> Problem:
    location: Location = error["loc"]
    # Behind the place in the file, pydantic names the branch of a union that it tried.
    known = _known(location, found.lines)
    shown = location if error["type"] == "missing" else known
    message = error["msg"]
    if error["type"] == "extra_forbidden":
        fields = _fields(model, location[:-1])
        near = nearest(str(location[-1]), fields)
        message = "unknown field; " + (f"did you mean {near}?" if near else f"allowed: {', '.join(fields)}")
    elif error["type"] == "missing":
        message = "is missing"
    elif error["type"] in _STANDARD_ERRORS and known in found.quoted:
        message = _without_quotes(found.texts[known])
    elif error["type"] == "string_type" and known in found.texts:
        text = found.texts[known]
        message = f'without quotes, YAML reads {text} as {error["input"]!r}; allowed: "{text}"'
    elif error["type"] in _STANDARD_ERRORS:
        message = f"{message[:1].lower()}{message[1:]}; found {error['input']!r}"
        if error["type"] == "literal_error":
            message = _mistyped(error) or message
    return Problem(file, found.lines[known], dotted(shown), message)


_SHORT_LIST: Final = 6
"""As many values are told whole, even where one of them is near."""


def _mistyped(error: dict[str, Any]) -> str | None:
    """Of a long list of allowed values the one that was meant, where one is near."""
    allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    near = nearest(str(error["input"]), allowed) if len(allowed) > _SHORT_LIST else None
    return f"{error['input']} is none of {len(allowed)} allowed; did you mean {near}?" if near else None


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
