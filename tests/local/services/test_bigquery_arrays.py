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


BASKETS = """
, baskets as (
    select 'a' as account, 2 as least, [struct('x' as item, 3 as n), ('y', 1), ('z', 2)] as items
    union all select 'b', 9, [struct('x' as item, 1 as n)]
    union all select 'c', 0, null
)
"""


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("array(select each.item from unnest(items) as each where each.n >= least)", [["x", "z"], [], []]),
        ("array(select account || each.item from unnest(items) as each)", [["ax", "ay", "az"], ["bx"], []]),
        (
            "array(select n + 1 from unnest(array(select e.n from unnest(items) as e)) as n where n > 1)",
            [[4, 3], [], []],
        ),
        ("array(select e.item from unnest(items) as e where e.n = 1)[safe_offset(0)]", ["y", "x", None]),
        ("(select max(e.n) from unnest(items) as e where e.n < 3)", [2, 1, None]),
        ("(select min(e.item) from unnest(items) as e where e.n < 3)", ["y", "x", None]),
        ("(select count(*) from unnest(items) as e where e.n < 3)", [2, 1, 0]),
        ("array(select e.item from unnest(items) as e order by e.n)", [["y", "z", "x"], ["x"], []]),
        ("array(select distinct e.n > 1 from unnest(items) as e where e.n > 1)", [[True], [], []]),
    ],
)
def test_subqueries_over_an_array_see_its_elements_and_the_row_and_no_element_of_a_missing_one(
    ask: Callable[[str], list[dict[str, Any]]], expression: str, found: list[Any]
) -> None:
    rows = ask(f"{BASKETS} select {expression} as found from baskets order by account")

    assert [list(row["found"]) if isinstance(row["found"], list) else row["found"] for row in rows] == found


def test_structs_are_made_and_taken_apart_within_the_row(ask: Callable[[str], list[dict[str, Any]]]) -> None:
    [row] = ask(f"""{BASKETS}
        select array(
            select as struct each.item as item, if(each.n > least, 'many', null) as how
            from unnest(items) as each where each.item != 'z'
        ) as made
        from baskets where account = 'a'
    """)

    assert [dict(each) for each in row["made"]] == [{"item": "x", "how": "many"}, {"item": "y", "how": None}]
