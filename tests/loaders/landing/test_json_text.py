"""Lines of JSON are read and written as Python does: the same objects, the same texts, the same refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.landing import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text of JSON as somebody may write it, or one with something wrong in it."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r\n")]))
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), separators=separators)
    if draw(st.booleans()):
        odd = st.sampled_from(
            ["", "0", "-", ".", "e5", '"', "\\", "\\ud800", "{", "]", ",", " ", "\x0b", "\ud800"]
        )
        cut = draw(st.integers(0, len(text)))
        text = text[:cut] + draw(odd) + text[cut + draw(st.integers(0, 1)) :]
    return text


def written_again(read: Any, text: str) -> str:
    try:
        value, write = read(text)
        written: bytes = write(value)
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return written.decode()


def slowly(text: str) -> Any:
    return json.loads(text), lambda value: json.dumps(value, ensure_ascii=False).encode()


@settings(max_examples=300, deadline=None)
@given(texts())
def test_any_text(text: str) -> None:
    assert written_again(json_text.read, text) == written_again(slowly, text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{"a":1,"b":[true,null]}', '{"a": 1, "b": [true, null]}'),
        ('{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}'),
        ('{"a": "\\u00e9\\/\\u0001\\ud83d\\ude00"}', '{"a": "é/\\u0001😀"}'),
        ("[25.0, 33.330, 0.1, -0.0, 1E2]", "[25.0, 33.33, 0.1, -0.0, 100.0]"),
        ("[1e16, 0.00001, 1e400, -0]", "[1e+16, 1e-05, Infinity, 0]"),
        (f"[{2**63}, {2**64}, {10**30}]", f"[{2**63}, {2**64}, {10**30}]"),
        ("[NaN, -Infinity]", "[NaN, -Infinity]"),
    ],
)
def test_as_python_writes_it(text: str, written: str) -> None:
    value, write = json_text.read(text)
    assert write(value).decode() == written


def test_half_a_surrogate_pair_is_read_and_cannot_be_written() -> None:
    value, write = json_text.read('["\\ud800"]')
    assert value == ["\ud800"]
    with pytest.raises(UnicodeEncodeError):
        write(value)
