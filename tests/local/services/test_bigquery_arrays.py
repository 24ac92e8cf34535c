"""The embedded BigQuery gives ordered arrays as BigQuery does, although it sorts them in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings

ROWS = """
with visits as (
    select * from unnest([
        struct('a' as account, 2 as place, 'second' as name),
        struct('a', 1, 'first'),
        struct('a', null, 'nowhere'),
        struct('a', 3, null),
        struct('b', 1, null)
    ])
)
"""


@pytest.fixture(scope="module")
def ask(world: Callable[..., Settings]) -> Callable[[str], list[dict[str, Any]]]:
    settings = world("arrays")
    warehouse = warehouse_of(settings)
    return lambda sql: [dict(row.items()) for row in warehouse.run(ROWS + sql)]


@pytest.mark.parametrize(
    ("array", "of_a", "of_b"),
    [
        ("array_agg(name ignore nulls order by place)", ["nowhere", "first", "second"], []),
        ("array_agg(name ignore nulls order by place desc)", ["second", "first", "nowhere"], []),
        ("array_agg(name ignore nulls order by -place, name)", ["nowhere", "second", "first"], []),
        ("array_agg(coalesce(name, '-') order by place limit 2)", ["nowhere", "first"], ["-"]),
        ("array_agg(if(place > 1, place, null) ignore nulls order by name)", [3, 2], []),
    ],
)
def test_arrays_are_in_the_order_asked_with_nulls_first_when_ascending(
    ask: Callable[[str], list[dict[str, Any]]], array: str, of_a: list[Any], of_b: list[Any]
) -> None:
    rows = ask(f"select account, {array} as found from visits group by account order by account")

    assert [(row["account"], list(row["found"] or [])) for row in rows] == [("a", of_a), ("b", of_b)]


def test_structs_keep_their_fields_and_arrays_may_stand_inside_arrays(
    ask: Callable[[str], list[dict[str, Any]]],
) -> None:
    [row] = ask("""
        select array_agg(struct(account as account, names as names) order by account) as accounts
        from (
            select account, array_agg(name ignore nulls order by name) as names from visits group by account
        )
    """)

    accounts = [(each["account"], list(each["names"] or [])) for each in row["accounts"]]
    assert accounts == [("a", ["first", "nowhere", "second"]), ("b", [])]


def test_a_running_array_is_left_alone(ask: Callable[[str], list[dict[str, Any]]]) -> None:
    rows = ask("""
        select place, array_agg(place) over (partition by account order by place) as up_to
        from visits where account = 'a' and place is not null order by place
    """)

    assert [list(row["up_to"]) for row in rows] == [[1], [1, 2], [1, 2, 3]]
