"""Money in whole numbers says what exact decimals say, rounded half to even."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import jinja2
import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from segue.settings import Settings

MACROS = Path(__file__).parents[2] / "dbt" / "macros" / "money.sql"


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Warehouse:
    return warehouse_of(world("money"))


def half_even(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def computed(warehouse: Warehouse, macro: str, rows: list[tuple[str, ...]]) -> list[int]:
    """What the macro says of each row's arguments, which are SQL."""
    money = jinja2.Environment(autoescape=False).from_string(MACROS.read_text()).module
    width = len(rows[0])
    names = "abc"[:width]
    values = ", ".join(
        f"struct({n} as n, {', '.join(f'{value} as {name}' for name, value in zip(names, row, strict=True))})"
        for n, row in enumerate(rows)
    )
    sql = f"select {getattr(money, macro)(*names)} as said from unnest([{values}]) order by n"
    return [row.said for row in warehouse.run(sql)]


def test_dollars_of_any_price_at_a_rate_of_twelve_decimals(warehouse: Warehouse) -> None:
    chance = random.Random(5)
    pairs = [
        (5_900_000, Decimal("0.0000379507")),  # 59,000 VND are 2.24 dollars
        (129_900_000, Decimal("0.000037950664")),
        (13_000_000_000, Decimal("0.000000769231")),
        (1_000_000_000_000, Decimal("0.000001")),
        (100_000_000, Decimal("1000")),
        (1, Decimal("0.5")), (3, Decimal("0.5")), (5, Decimal("0.5")),  # ties
        (1, Decimal("0.500000000001")), (3, Decimal("0.499999999999")),
        (2_000_000, Decimal("0.00000025")), (6_000_000, Decimal("0.00000025")),
        (0, Decimal("3.25")), (999, Decimal("0.000000000001")),
    ]  # fmt: skip
    pairs += [
        (chance.randrange(10**9), Decimal(chance.randrange(1, 10 ** chance.randrange(1, 13))).scaleb(-12))
        for _ in range(100)
    ]
    rows = [(str(cents), f"cast('{rate:f}' as bignumeric)") for cents, rate in pairs]

    assert computed(warehouse, "usd_cents", rows) == [half_even(cents * rate) for cents, rate in pairs]


def test_cents_of_an_amount_with_more_than_two_decimals(warehouse: Warehouse) -> None:
    amounts = [
        Decimal(text) for text in ("1.255", "1.245", "1.2551", "0.0050", "0.015", "9.99", "1042800", "0")
    ]
    rows = [(f"cast('{amount}' as numeric(38, 9))",) for amount in amounts]

    assert computed(warehouse, "to_cents", rows) == [half_even(amount * 100) for amount in amounts]


def test_a_quotient_of_odd_and_even_numbers(warehouse: Warehouse) -> None:
    pairs = [(n, d) for d in (1, 2, 3, 4, 12, 13) for n in range(30)]
    rows = [(str(n), str(d)) for n, d in pairs]

    assert computed(warehouse, "half_even_div", rows) == [half_even(Decimal(n) / d) for n, d in pairs]
