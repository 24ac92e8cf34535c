"""A YAML file with the line of every value in it, and how its texts were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

Location = tuple[str | int, ...]
"""Where a value stands: keys and places, from the outside in."""

MOST_VALUES: Final = 100_000
"""Far more than anybody writes; aliases of aliases make a few lines into billions."""
_NUMBERS_AND_FLAGS: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool")}
_PLAIN: Any = yaml.SafeLoader("")


class UnreadableError(Exception):
    """The file cannot be read; ``flaws`` are lines, places and sentences."""

    def __init__(self, *flaws: tuple[int, Location, str]) -> None:
        self.flaws = flaws
        super().__init__(flaws)


@dataclass
class Document:
    """What a file says: its ``value``, and of its parts the ``lines`` (from 1) and ``texts`` as written.

    ``quoted`` are the places of texts that would be numbers or flags without their quotes.
    """

    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    texts: dict[Location, str] = field(default_factory=dict)
    quoted: list[Location] = field(default_factory=list)


def document(path: Path) -> Document:
    """The mapping in the file.

    Raises:
        UnreadableError: it is no YAML, no mapping, names a key twice, or has an alias of what it is part of.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise UnreadableError((1, (), "the file must be a mapping of fields"))
        found = Document()
        repeated = list(_mark(node, (), found, ()))
        if repeated:
            raise UnreadableError(*((line, location, "is given twice") for location, line in repeated))
        found.value = yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnreadableError((line, (), f"no YAML: {error.problem}")) from error
    except (yaml.YAMLError, ValueError) as error:
        # Characters that no text has; a date like 2026-02-30.
        raise UnreadableError((1, (), f"no YAML: {' '.join(str(error).split())}")) from error
    except RecursionError as error:
        raise UnreadableError((1, (), "values lie too deep in each other")) from error
    return found


def _mark(
    node: yaml.Node, location: Location, found: Document, around: tuple[yaml.Node, ...]
) -> Iterator[tuple[Location, int]]:
    """Notes every value; yields keys that a mapping has twice, with their lines."""
    line = node.start_mark.line + 1
    found.lines.setdefault(location, line)
    if any(node is outer for outer in around):
        # An alias has no line of its own: its anchor's is the one to look at.
        raise UnreadableError((line, location, "is an alias of what it is part of, and has no end"))
    if len(found.lines) > MOST_VALUES:
        raise UnreadableError((1, (), f"has more than {MOST_VALUES:,} values, aliases followed"))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            if inner in found.lines:
                yield inner, key.start_mark.line + 1
            found.lines[inner] = key.start_mark.line + 1
            yield from _mark(value, inner, found, (*around, node))
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _mark(value, (*location, place), found, (*around, node))
    elif isinstance(node, yaml.ScalarNode):
        found.texts[location] = node.value
        if node.style and _PLAIN.resolve(yaml.ScalarNode, node.value, (True, False)) in _NUMBERS_AND_FLAGS:
            found.quoted.append(location)
