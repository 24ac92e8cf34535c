"""The vectorised check refuses exactly the rows that pydantic and the contract's rules refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loaders.landing.batch import Batch
from loaders.landing.check import split
from loaders.landing.contracts import (
    CONTRACTS,
    LandingRow,
    NotBefore,
    OfCurrency,
    SubscriptionEvent,
)
from loaders.landing.currencies import problem_of
from loaders.landing.row import GivenWhen, PayerNamed, RequiredWhen
from loaders.landing.schema import Column, arrow_schema, columns_of
from loaders.landing.values import EventType

DAY = date(2026, 3, 29)
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def nullable(contract: type[LandingRow]) -> pa.Schema:
    return pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])


def batch(rows: pa.Table, first_row: int = 1) -> Batch:
    return Batch(rows, pa.array(range(first_row, first_row + rows.num_rows), pa.int64()))


def event(**values: Any) -> dict[str, Any]:
    return {
        "provider": "stripe",
        "provider_event_id": "e1",
        "subscription_id": "s1",
        "account_id": "a1",
        "event_type": "started",
        "occurred_at": NOON,
        "ingested_at": NOON,
    } | values


def refusals_of(*rows: dict[str, Any]) -> list[tuple[int, str, str]]:
    table = pa.Table.from_pylist(list(rows), schema=nullable(SubscriptionEvent))
    accepted, refused = split(SubscriptionEvent, batch(table, 11), DAY, "f.parquet")
    assert accepted.num_rows + len(refused) == len(rows)
    return [(r.row, r.column, r.reason) for r in refused]


def test_a_refusal_names_row_column_value_and_rule() -> None:
    allowed = ", ".join(get_args(EventType))
    assert refusals_of(event(), event(event_type="boosted")) == [
        (12, "event_type", f"event_type 'boosted' is not one of {allowed}")
    ]
    assert refusals_of(event(currency="eur", price_amount=Decimal("1.005"))) == [
        (
            11,
            "currency",
            "currency 'eur' does not match ^[A-Z]{3}$; price_amount 1.005 has more decimal places than eur",
        )
    ]


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"account_id": None}, "account_id"),
        ({"account_id": ""}, "account_id"),
        ({"account_id": "a" * 129}, "account_id"),
        ({"currency": "eur"}, "currency"),
        ({"price_amount": Decimal("-0.01")}, "price_amount"),
        ({"price_amount": Decimal("1000000.01")}, "price_amount"),
        ({"price_amount": Decimal("980.50"), "currency": "JPY"}, "price_amount"),
        ({"price_amount": Decimal("1.2501"), "currency": "KWD"}, "price_amount"),
        ({"price_amount": Decimal("9.999"), "currency": "USD"}, "price_amount"),
        ({"price_amount": Decimal("9990000"), "currency": "EUR"}, "price_amount"),
        ({"price_amount": Decimal("149000000000"), "currency": "IDR"}, "price_amount"),
        ({"price_amount": Decimal("99999999999999999999999999999.123456789")}, "price_amount"),
        ({"occurred_at": datetime(1970, 1, 1, tzinfo=UTC)}, "occurred_at"),
        ({"occurred_at": NOON + timedelta(hours=24, microseconds=1)}, "occurred_at"),
        ({"ingested_at": datetime(2026, 3, 30, tzinfo=UTC)}, "ingested_at"),
        ({"ingested_at": datetime(2026, 3, 28, 23, 59, 59, 999_999, tzinfo=UTC)}, "ingested_at"),
        ({"period_start_at": NOON, "period_end_at": NOON - timedelta(microseconds=1)}, "period_end_at"),
    ],
)
def test_each_kind_of_broken_value_is_refused(values: dict[str, Any], column: str) -> None:
    [(row, found, reason)] = refusals_of(event(**values))
    assert (row, found) == (11, column)
    assert reason.startswith(column)


@pytest.mark.parametrize(
    "values",
    [
        {"account_id": "a" * 128},
        {"price_amount": Decimal("0.00")},
        {"price_amount": Decimal(1_000_000)},
        {"price_amount": Decimal(1_042_800), "currency": "IDR"},
        {"price_amount": Decimal(1_299_000), "currency": "VND"},
        {"price_amount": Decimal("130000000.50"), "currency": "IRR"},
        {"price_amount": Decimal("1.255"), "currency": "KWD"},
        {"price_amount": Decimal("0.0001"), "currency": "CLF"},
        {"occurred_at": NOON + timedelta(hours=24)},
        {"period_start_at": NOON, "period_end_at": NOON},
        {"period_start_at": NOON, "period_end_at": None},
    ],
)
def test_values_on_a_bound_are_accepted(values: dict[str, Any]) -> None:
    assert refusals_of(event(**values)) == []


def test_a_time_beyond_pythons_calendar_is_refused_with_its_row() -> None:
    table = pa.Table.from_pylist([event(), event(provider_event_id="e2")], schema=nullable(SubscriptionEvent))
    absurd = pa.array([0, 9_000_000_000_000_000_000], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    place = table.schema.get_field_index("trial_ends_at")
    table = table.set_column(place, table.schema.field(place), absurd)
    _, refused = split(SubscriptionEvent, batch(table), DAY, "f.parquet")
    assert [(r.row, r.column) for r in refused] == [(1, "trial_ends_at"), (2, "trial_ends_at")]
    assert '"provider_event_id": "e2"' in refused[1].payload


TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "GB", "gb", "EUR", "JPY", "KWD", "VND", "EURO", "ÀÉÎ", "a" * 128, "é" * 128, "a" * 129]
    ),
    st.text(alphabet="AZaz09é€ ", max_size=4),
)
TIMES = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([NOON, datetime(2005, 1, 1, tzinfo=UTC), datetime(2004, 12, 31, 23, 59, 59, tzinfo=UTC)]),
)

JSON = st.sampled_from(
    [
        "",
        "{",
        "[]",
        '{"testNotification": {"version": "1.0"}}',
        '{"subscriptionNotification": {"notificationType": 2, "purchaseToken": "t"}}',
        '{"subscriptionNotification": {"notificationType": 14, "purchaseToken": "t"}}',
        '{"subscriptionState": "SUBSCRIPTION_STATE_ACTIVE", "lineItems": [{"productId": "solo"}], '
        '"externalAccountIdentifiers": {"obfuscatedExternalAccountId": "a1"}}',
        '{"notificationType": "TEST"}',
        '{"notificationType": "TEST", "signedDate": NaN}',
        '{"type": "invoice.sent", "livemode": true, "data": {"object": {}}}',
    ]
)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    if column.json:
        values: st.SearchStrategy[Any] = JSON
    elif column.allowed:
        values = st.sampled_from([*column.allowed, "boosted", ""])
    elif column.kind is Decimal:
        values = st.one_of(
            st.decimals(-2, 1_000_002, places=9),
            st.decimals(0, 1_000_002, places=2),
            st.decimals(0, 20_000_000_000, places=4),
            st.sampled_from([Decimal("0"), Decimal("0.000001"), Decimal("1000.0000001"), Decimal(10) ** 25]),
        )
    else:
        values = {
            str: TEXTS,
            bool: st.booleans(),
            int: st.one_of(st.integers(-2, 366), st.integers(-(2**63), 2**63 - 1)),
            date: st.dates(),
            datetime: TIMES,
        }[column.kind]
    return st.one_of(st.none(), values) if column.nullable else st.one_of(values, values, values, st.none())


def broken_columns(contract: type[LandingRow], row: dict[str, Any]) -> set[str]:
    """What pydantic and a plain reading of the rules say."""
    broken = set()
    try:
        contract.model_validate(row, strict=True)
    except ValidationError as error:
        broken = {str(problem["loc"][0]) for problem in error.errors()}
    ingested = row["ingested_at"]
    if ingested is None or ingested.date() != DAY:
        broken.add("ingested_at")
    for rule in contract.rules:
        if isinstance(rule, PayerNamed):
            # None of the texts above needs an account and names none.
            continue
        value = row[rule.column]
        if isinstance(rule, GivenWhen):
            if (value is not None) != (row[rule.other] in rule.values):
                broken.add(rule.column)
            continue
        if isinstance(rule, RequiredWhen):
            # One of the texts above is about a subscription.
            if value is None and rule.payload not in broken and "subscription" in row[rule.payload]:
                broken.add(rule.column)
            continue
        if isinstance(rule, OfCurrency):
            if value is not None and problem_of(value, row[rule.currency]):
                broken.add(rule.column)
            continue
        other = row[rule.other] if isinstance(rule, NotBefore) else ingested
        if value is None or other is None:
            continue
        if isinstance(rule, NotBefore):
            bad = value < other
        else:
            bad = value - other > timedelta(hours=rule.tolerance_hours)
        if bad:
            broken.add(rule.column)
    return broken


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_check_agrees_with_pydantic(contract: type[LandingRow], data: st.DataObject) -> None:
    row = st.fixed_dictionaries({column.name: values_of(column) for column in columns_of(contract)})
    good = st.just(NOON)
    likely = row.flatmap(
        lambda drawn: st.one_of(st.just(drawn), good.map(lambda at: drawn | {"ingested_at": at}))
    )
    rows = data.draw(st.lists(likely, min_size=1, max_size=8))
    table = pa.Table.from_pylist(rows, schema=nullable(contract))
    accepted, refused = split(contract, batch(table), DAY, "f.parquet")
    wanted = {number: broken_columns(contract, row) for number, row in enumerate(rows, 1)}
    assert {r.row for r in refused} == {number for number, broken in wanted.items() if broken}
    assert accepted.column("landing_row").to_pylist() == [n for n, broken in wanted.items() if not broken]
    for refusal in refused:
        assert refusal.column.partition(".")[0] in wanted[refusal.row]
