"""Answers of content management systems: what cannot be understood, or could not land, is a ContentError."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from loaders.cms.attempts import TransientError
from loaders.cms.contract import ContentError


def read_json(what: str, content: bytes) -> Any:
    """The JSON of an answer, as landing can keep it.

    Raises:
        TransientError: it is no JSON: most likely cut off.
        ContentError: it holds NaN or Infinity, half of a surrogate pair, or is nested without end.
    """

    def refuse(constant: str) -> NoReturn:
        raise ContentError(f"{what}: the answer holds {constant}, which is no JSON")

    try:
        value = json.loads(content, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ContentError(f"{what}: the answer holds half of a surrogate pair") from error
    except RecursionError as error:
        raise ContentError(f"{what}: the answer is nested too deeply") from error
    except ValueError as error:
        raise TransientError(f"{what}: the JSON is cut off: {str(error)[:200]}") from error
    return value


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Whatever is not where the system's documentation says makes the answer one that nobody understands.

    Raises:
        ContentError: in place of the error that looking for it ended with.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise ContentError(f"{what}: the answer is not what the documentation says: {reason}") from error
