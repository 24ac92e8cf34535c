"""Lines of JSON read, and objects written, as Python's own reader and writer do, in a fraction of the time.

msgspec reads and writes most of what there is to the same objects and the same text. What it would write
otherwise (numbers with an exponent) or does not know (NaN, half a surrogate pair) is left to Python's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

ReadAndWrite = tuple[Any, Callable[[Any], bytes]]


def number(text: str) -> float:
    """Of a number with a fraction or an exponent.

    Raises:
        ValueError: msgspec writes it in another way than Python.
    """
    value = float(text)
    if not repr(value).replace(".", "").removeprefix("-").isdecimal():
        raise ValueError("has an exponent, or is not finite")
    return value


# Made once: json.loads and json.dumps with an option make theirs for every row.
_read_slowly = json.JSONDecoder().decode
_python_text = json.JSONEncoder(ensure_ascii=False).encode
_read: Final[Callable[[str], Any]] = msgspec.json.Decoder(float_hook=number).decode
_write = msgspec.json.Encoder().encode


def read(text: str) -> ReadAndWrite:
    """What the text says, and what writes it or a part of it as ``json.dumps(…, ensure_ascii=False)`` does.

    The texts are UTF-8: Arrow takes bytes in a fifth of the time that it takes Python's texts in. Writing
    raises UnicodeEncodeError where half a surrogate pair is in it.

    Raises:
        ValueError: the text is not JSON.
        RecursionError: it is nested too deep.
    """
    try:
        return _read(text), _written
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _read_slowly(text), _write_slowly


def _written(value: Any) -> bytes:
    # Without an indent it is one line, with a space after each comma and colon.
    return msgspec.json.format(_write(value), indent=0)


def _write_slowly(value: Any) -> bytes:
    return _python_text(value).encode()
