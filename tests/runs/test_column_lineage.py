"""Which columns a column comes from, through everything that the project's SQL does."""

from __future__ import annotations

from runs.column_lineage import column_lineage

RAW = "p.raw.payments"
TABLES = {RAW: ["account_id", "amount", "paid_at", "lines"]}


def told(*statements: tuple[str, str]) -> dict[str, dict[str, list[str]]]:
    found = column_lineage(statements, TABLES)
    return {
        table.removeprefix("p."): {
            column: sorted(f"{source.removeprefix('p.')}.{name}" for source, name in sources)
            for column, sources in columns.items()
        }
        for table, columns in found.items()
    }


def test_a_column_comes_from_those_that_it_is_computed_of_through_common_table_expressions() -> None:
    sql = """
        with paid as (select account_id, amount * 2 as twice, date(paid_at) as day from `p`.`raw`.`payments`)
        select account_id, day, sum(twice) as total, count(*) as payments, 'x' as kind
        from paid group by account_id, day
    """
    assert told(("p.audit.days", sql))["audit.days"] == {
        "account_id": ["raw.payments.account_id"],
        "day": ["raw.payments.paid_at"],
        "total": ["raw.payments.amount"],
        "payments": [],
        "kind": [],
    }


def test_a_model_that_reads_another_ones_columns_by_a_star_has_them() -> None:
    first = "select account_id, amount as cents from `p`.`raw`.`payments`"
    second = "select * except (account_id) from `p`.`audit`.`first` union all select 0 as cents"
    assert told(("p.audit.first", first), ("p.audit.second", second))["audit.second"] == {
        "cents": ["audit.first.cents"]
    }


def test_what_is_nested_and_unnested_keeps_where_it_comes_from() -> None:
    sql = """
        select account_id, line.price as price, array_agg(struct(amount, paid_at)) over () as told
        from `p`.`raw`.`payments` cross join unnest(lines) as line
    """
    assert told(("p.audit.lines", sql))["audit.lines"]["told"] == [
        "raw.payments.amount",
        "raw.payments.paid_at",
    ]


def test_a_table_that_is_read_before_it_is_made_has_the_columns_that_it_is_made_with() -> None:
    reader = "select cents from (select * from `p`.`history`.`kept`)"
    maker = "select amount as cents from `p`.`raw`.`payments`"
    found = told(("p.audit.reader", reader), ("p.history.kept", maker))
    assert found["audit.reader"] == {"cents": ["history.kept.cents"]}


def test_what_is_no_sql_is_missing_and_stops_nothing() -> None:
    assert list(told(("p.audit.bad", "selekt 1 frum x"), ("p.audit.good", "select 1 as one"))) == [
        "audit.good"
    ]
