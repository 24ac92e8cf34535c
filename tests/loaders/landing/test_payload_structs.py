"""A text that msgspec reads as a payload's struct is one that the payload's model and its parser accept."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import from_json

from loaders.landing.arrays import bytes_of_each
from loaders.landing.notifications.payload import CurrencyCode, Identifier, Payload, Wanted, broken
from loaders.landing.notifications.payload_structs import doubtful_texts, struct_of


class Price(Payload):
    repeats = True

    currency: CurrencyCode
    units: Annotated[int, Field(strict=True, ge=0, le=10)] = 0


class Order(Payload):
    id: Identifier
    account: Annotated[Identifier | None, Wanted] = None
    price: Price | None = None
    paid: Annotated[int, Field(strict=True)] | None = Field(None, validate_default=True)

    @field_validator("paid")
    @classmethod
    def _is_the_price(cls, paid: int | None, info: ValidationInfo) -> int | None:
        price = info.data.get("price")
        if price and paid != price.units:
            raise broken("is not the price")
        return paid


def is_sure(model: type[Payload], text: str) -> bool:
    texts = pa.array([text])
    return not doubtful_texts(model, texts, bytes_of_each(texts))[0]


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        ('{"id": "o1", "account": "a1"}', True),
        ('{"id": "o1", "account": "a1", "unknown": [{}], "price": null}', True),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR", "units": 7}, "paid": 7}', True),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR"}, "paid": 0}', True),
        # What breaks a type, a constraint, a pattern or a validator.
        ('{"id": 1, "account": "a1"}', False),
        ('{"id": "", "account": "a1"}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "eur"}, "paid": 0}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR\\n"}, "paid": 0}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR", "units": null}, "paid": 0}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR", "units": 7.0}, "paid": 7}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR", "units": 7}, "paid": 8}', False),
        ('{"id": "o1", "account": "a1", "price": {"currency": "EUR", "units": 7}}', False),
        # Good ones, of which only the row tells whether somebody pays.
        ('{"id": "o1"}', False),
        ('{"id": "o1", "account": null}', False),
    ],
)
def test_a_text_is_sure_when_it_keeps_its_model(text: str, sure: bool) -> None:
    assert is_sure(Order, text) is sure


def test_what_nobody_asks_for_is_no_doubt() -> None:
    texts = pa.array(["nonsense", None, "{}"])
    asked = pa.array([False, True, True]).to_numpy(zero_copy_only=False)
    assert doubtful_texts(Order, texts, bytes_of_each(texts), asked).tolist() == [False, False, True]


class Anything(Payload):
    """Every object is one."""


TEXT = (
    b'{"a": [1, -2.5e3, true, false, null, "x\\u00e9\\ud83d\\ude00\\n"], "b": {"c": {}, "d": []}, "n": -0.0}'
)
PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"1", b".", b"-", b"+", b"e", b"NaN", b"Infinity",
    b"null", b"\x00", b"\x1f", b"\n", b" ", b"\\u", b"\\ud800", b"\\q", b"\x7f", b"\xc2\xa0", b"\xef\xbb\xbf",
    b"//", b"1e999", b"'",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(TEXT)), st.integers(0, 2), st.sampled_from(PIECES)), max_size=3
    ).map(lambda changes: damaged(TEXT, changes))
)
@example('{"a":' * 200 + "1" + "}" * 200)
@example('{"a":' * 201 + "1" + "}" * 201)
@example('{"a": ' + "9" * 4299 + "}")
@example('{"a": ' + "9" * 4400 + "}")
@example('{"a": 0.' + "9" * 4400 + "}")
def test_a_text_that_is_sure_is_json_as_pydantic_knows_it(text: str) -> None:
    try:
        is_object = isinstance(from_json(text, allow_inf_nan=False), dict)
    except ValueError:
        is_object = False
    assert is_sure(Anything, text) == is_object


def damaged(text: bytes, changes: list[tuple[int, int, bytes]]) -> str:
    for place, removed, put in changes:
        text = text[:place] + put + text[place + removed :]
    return text.decode(errors="replace")


class Unforeseen(Payload):
    value: float


class Early(Payload):
    value: str

    @field_validator("value", mode="before")
    @classmethod
    def _anything(cls, value: Any) -> Any:
        return str(value)


@pytest.mark.parametrize("model", [Unforeseen, Early])
def test_a_model_that_is_not_understood_is_no_struct(model: type[Payload]) -> None:
    with pytest.raises(TypeError):
        struct_of(model)
