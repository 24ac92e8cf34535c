# ruff: noqa: E501 - lists of messages read better in rows
"""A whole webhook feed lands: what is none of our business is counted, and hides nothing that is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.landing.batch import Kind
from loaders.landing.contracts import CONTRACTS
from loaders.landing.files import LandingFile, read_batches
from loaders.landing.read_days import TableLanding, too_many_refusals
from loaders.landing.schema import arrow_schema
from segue.settings import Settings
from tests.loaders.landing.delivered import DAY, NOON, Row, read_day, read_lines, write_lines

SETTINGS = Settings(_env_file=None)
KEYS = {
    "stripe_events": "event_id",
    "google_play_notifications": "message_id",
    "app_store_notifications": "notification_uuid",
}


def row(table: str, payload: Row, number: int = 1, **columns: Any) -> Row:
    return NOON | {KEYS[table]: f"n{number}", "payload": payload} | columns


def stripe(kind: str, livemode: bool = True, **content: Any) -> Row:
    return {"id": "evt_1", "type": kind, "livemode": livemode, "data": {"object": content}}


def google(**notification: Any) -> Row:
    return {"version": "1.0", "packageName": "org.example", "eventTimeMillis": "1773140400000"} | notification


def apple(kind: str, subtype: str | None = None, **fields: Any) -> Row:
    return (
        {"notificationType": kind, "signedDate": 1773140400000}
        | ({"subtype": subtype} if subtype else {})
        | fields
    )


def transaction(
    product: str = "Auto-Renewable Subscription", environment: str = "Production", **fields: Any
) -> Row:
    """A subscription's month without any id of ours."""
    info = {
        "type": product, "inAppOwnershipType": "PURCHASED", "originalTransactionId": "71", "productId": "solo",
        "purchaseDate": 1773140400000, "expiresDate": 1775818800000, "price": 9990, "currency": "USD",
    }  # fmt: skip
    return {"environment": environment, "status": 1, "transactionInfo": info | fields}


NOT_A_SUBSCRIPTION, NOTHING_PAID, TEST = "not about a subscription", "nothing paid or used", "test"
UNNAMED_PAYMENT = "names no subscription of ours"
LICENCE_TESTER = {"subscriptionState": "SUBSCRIPTION_STATE_ACTIVE", "lineItems": [], "testPurchase": {}}
TYPE_4 = {"notificationType": 4, "purchaseToken": "t"}
IGNORED: dict[str, list[tuple[str, Row, str, str]]] = {
    "stripe_events": [
        ("plan of a subscription", row("stripe_events", stripe("subscription_schedule.updated", phases=[])),
         "subscription_schedule.updated", NOTHING_PAID),
        ("payment intent", row("stripe_events", stripe("payment_intent.succeeded", amount=999)),
         "payment_intent.succeeded", NOT_A_SUBSCRIPTION),
        ("invoice item", row("stripe_events", stripe("invoiceitem.created")), "invoiceitem.created", NOT_A_SUBSCRIPTION),
        ("payment of an invoice", row("stripe_events", stripe("invoice_payment.paid")), "invoice_payment.paid",
         NOT_A_SUBSCRIPTION),
        ("customer", row("stripe_events", stripe("customer.updated")), "customer.updated", NOT_A_SUBSCRIPTION),
        ("checkout", row("stripe_events", stripe("checkout.session.completed")), "checkout.session.completed",
         NOT_A_SUBSCRIPTION),
        ("refund of something else", row("stripe_events", stripe("charge.refunded", metadata={})),
         "charge.refunded", UNNAMED_PAYMENT),
        ("dispute with metadata of somebody else's",
         row("stripe_events", stripe("charge.dispute.funds_withdrawn", metadata={"order": "7"})),
         "charge.dispute.funds_withdrawn", UNNAMED_PAYMENT),
        ("failed refund without metadata", row("stripe_events", stripe("refund.failed")), "refund.failed",
         UNNAMED_PAYMENT),
        ("test mode without our ids",
         row("stripe_events", stripe("customer.subscription.created", livemode=False, metadata={})),
         "customer.subscription.created", TEST),
        ("test mode of a type that nobody knows", row("stripe_events", stripe("shiny.new", livemode=False)),
         "shiny.new", TEST),
    ],
    "google_play_notifications": [
        ("test", row("google_play_notifications", google(testNotification={"version": "1.0"})), "testNotification",
         TEST),
        ("one-time product",
         row("google_play_notifications", google(oneTimeProductNotification={"notificationType": 1, "sku": "coins"})),
         "oneTimeProductNotification", NOT_A_SUBSCRIPTION),
        ("voided one-time product",
         row("google_play_notifications",
             google(voidedPurchaseNotification={"purchaseToken": "t", "productType": 2, "refundType": 1})),
         "voidedPurchaseNotification of productType 2", NOT_A_SUBSCRIPTION),
        ("refund under review",
         row("google_play_notifications", google(pendingRefundReviewNotification={"purchaseToken": "t"})),
         "pendingRefundReviewNotification", NOTHING_PAID),
        ("purchase that never completed",
         row("google_play_notifications",
             google(subscriptionNotification={"notificationType": 20, "purchaseToken": "t"})),
         "subscriptionNotification 20", NOTHING_PAID),
        ("licence tester",
         row("google_play_notifications", google(subscriptionNotification=TYPE_4), purchase=LICENCE_TESTER),
         "subscriptionNotification 4", TEST),
    ],
    "app_store_notifications": [
        ("test", row("app_store_notifications", apple("TEST", data={"environment": "Sandbox"})), "TEST", TEST),
        ("sandbox without our token",
         row("app_store_notifications", apple("DID_RENEW", data=transaction(environment="Sandbox"))), "DID_RENEW", TEST),
        ("Xcode", row("app_store_notifications", apple("DID_RENEW", data=transaction(environment="Xcode"))),
         "DID_RENEW", TEST),
        ("app data of a local test",
         row("app_store_notifications", apple("RESCIND_CONSENT", appData={"environment": "LocalTesting"})),
         "RESCIND_CONSENT", TEST),
        ("consumption request",
         row("app_store_notifications", apple("CONSUMPTION_REQUEST", data=transaction("Consumable"))),
         "CONSUMPTION_REQUEST", NOTHING_PAID),
        ("consent rescinded",
         row("app_store_notifications", apple("RESCIND_CONSENT", appData={"environment": "Production"})),
         "RESCIND_CONSENT", NOT_A_SUBSCRIPTION),
        ("external purchase",
         row("app_store_notifications", apple("EXTERNAL_PURCHASE_TOKEN", "UNREPORTED", externalPurchaseToken={})),
         "EXTERNAL_PURCHASE_TOKEN/UNREPORTED", NOT_A_SUBSCRIPTION),
        ("summary of an extension",
         row("app_store_notifications",
             apple("RENEWAL_EXTENSION", "SUMMARY", summary={"environment": "Production", "succeededCount": 5})),
         "RENEWAL_EXTENSION/SUMMARY", NOTHING_PAID),
        ("product for ever",
         row("app_store_notifications", apple("ONE_TIME_CHARGE", data=transaction("Non-Consumable"))),
         "ONE_TIME_CHARGE", NOT_A_SUBSCRIPTION),
        ("refund of coins", row("app_store_notifications", apple("REFUND", data=transaction("Consumable"))), "REFUND",
         NOT_A_SUBSCRIPTION),
        ("migrated", row("app_store_notifications", apple("MIGRATION", data=transaction())), "MIGRATION",
         NOTHING_PAID),
        ("price announced", row("app_store_notifications", apple("PRICE_CHANGE", data=transaction())), "PRICE_CHANGE",
         NOTHING_PAID),
    ],
}  # fmt: skip
EACH = [
    pytest.param(table, content, kind, reason, id=f"{table}: {name}")
    for table, cases in IGNORED.items()
    for name, content, kind, reason in cases
]


@pytest.mark.parametrize(("table", "content", "kind", "reason"), EACH)
def test_what_is_no_business_of_ours_is_counted_with_its_kind_and_reason(
    tmp_path: Path, table: str, content: Row, kind: str, reason: str
) -> None:
    read = read_lines(tmp_path, table, [content])
    assert read.ignored == {kind: (reason, 1)}
    assert (read.accepted, read.refused) == ([], [])
    assert (read.landing.rows_in, read.landing.rows_out, read.landing.rows_quarantined) == (1, 0, 0)


@pytest.mark.parametrize("table", IGNORED)
def test_every_format_ignores_the_same(tmp_path: Path, table: str) -> None:
    rows = [content for _, content, _, _ in IGNORED[table]]
    of_lines = read_lines(tmp_path / "lines", table, rows)
    contract = CONTRACTS[table]
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(contract)])
    cells = {name: [cell(row.get(name)) for row in rows] for name in schema.names}
    folder = tmp_path / "columns" / table / str(DAY)
    folder.mkdir(parents=True)
    arrays = [pa.array(cells[name], pa.string()).cast(schema.field(name).type) for name in schema.names]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / "n.parquet")

    of_columns = read_day(tmp_path / "columns", table)

    assert of_columns.ignored == of_lines.ignored
    assert of_columns.landing.rows_ignored == len(rows)
    assert (of_columns.accepted, of_columns.refused) == ([], [])


def cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("table", "payload", "column"),
    [
        ("stripe_events", stripe("customer.subscription.shiny"), "payload.type"),
        ("stripe_events", stripe("shiny.new"), "payload.type"),
        ("stripe_events", {"data": {"object": {}}, "livemode": True}, "payload.type"),
        ("google_play_notifications", google(subscriptionNotification=TYPE_4 | {"notificationType": 23}),
         "payload.subscriptionNotification.notificationType"),
        ("google_play_notifications", google(shinyNotification={}), "payload"),
        ("app_store_notifications", apple("SHINY", data=transaction()), "payload.notificationType"),
        ("app_store_notifications", apple("DID_RENEW", "SHINY", data=transaction()), "payload.subtype"),
    ],
)  # fmt: skip
def test_what_nobody_knows_is_quarantined(tmp_path: Path, table: str, payload: Row, column: str) -> None:
    read = read_lines(tmp_path, table, [row(table, payload)])
    assert (read.ignored, [named for named, _ in read.reasons]) == ({}, [column])


def test_a_whole_feed_is_mostly_none_of_our_business(tmp_path: Path) -> None:
    write_lines(
        tmp_path,
        "stripe_events",
        [row("stripe_events", stripe("payment_intent.created"), n) for n in range(40)]
        + [row("stripe_events", stripe("invoice.sent"), n) for n in range(40, 43)]
        + [row("stripe_events", stripe("shiny.new"), 43)],
    )
    read = read_day(tmp_path, "stripe_events")
    landing = read.landing
    counts = (landing.rows_in, landing.rows_out, landing.rows_quarantined, landing.rows_ignored)
    assert counts == (44, 3, 1, 40)
    assert landing.kinds == {Kind("invoice.sent"): 3, Kind("shiny.new", is_known=False): 1}
    assert landing.refused_kinds == {Kind("shiny.new", is_known=False): 1}


def landing(refused: int, of: int, kind: Kind = Kind("renewed"), others: int = 1_000) -> TableLanding:
    """A day of which some rows of one kind were refused, and no others."""
    return TableLanding(
        "subscription_events",
        DAY,
        rows_in=of + others,
        rows_out=of - refused + others,
        rows_quarantined=refused,
        kinds=Counter({kind: of, Kind("started"): others}),
        refused_kinds=Counter({kind: refused}),
    )


def test_losing_one_kind_of_a_small_company_stops_the_day() -> None:
    assert list(too_many_refusals(SETTINGS, landing(20, of=20))) == [
        "subscription_events/2026-03-10: 20 of 20 rows of the kind renewed break the contract, more than 50%; "
        "see quarantine.subscription_events"
    ]


@pytest.mark.parametrize(
    ("refused", "of", "stops"), [(5, 5, True), (4, 4, False), (6, 11, True), (5, 10, False), (20, 40, False)]
)
def test_a_kind_is_lost_when_more_than_half_of_it_and_more_than_four_rows_are(
    refused: int, of: int, stops: bool
) -> None:
    assert bool(list(too_many_refusals(SETTINGS, landing(refused, of)))) is stops


def test_what_nobody_knows_cannot_be_lost() -> None:
    assert list(too_many_refusals(SETTINGS, landing(20, 20, Kind("boosted", is_known=False)))) == []


def test_who_tolerates_every_refusal_tolerates_these() -> None:
    settings = SETTINGS.model_copy(update={"max_quarantined_share": 1.0})
    assert list(too_many_refusals(settings, landing(20, of=20))) == []


def test_ignored_rows_do_not_water_down_the_refused_share() -> None:
    day = TableLanding(
        "stripe_events", DAY, rows_in=1_100, rows_quarantined=30, ignored=Counter({Kind("x", "test"): 1_000})
    )
    assert list(too_many_refusals(SETTINGS, day)) == [
        "stripe_events/2026-03-10: 30 of 100 rows break the contract, more than 5%; see quarantine.stripe_events"
    ]


def test_refunds_without_our_ids_stop_no_day_and_hide_no_refund_that_is_lost(tmp_path: Path) -> None:
    paid_for = [{}] * 20 + [{"subscription_id": "sub_1", "account_id": "a1"}] * 3 + [{"account_id": "a1"}] * 5
    refunds = [
        row("stripe_events", stripe("charge.refunded", metadata=metadata), n)
        for n, metadata in enumerate(paid_for)
    ]
    read = read_lines(tmp_path, "stripe_events", refunds)
    assert read.ignored == {"charge.refunded": (UNNAMED_PAYMENT, 20)}
    assert read.landing.kinds == {Kind("charge.refunded"): 8}
    # Who copies one id means to copy both.
    assert read.landing.refused_kinds == {Kind("charge.refunded"): 5}
    assert any(
        "5 of 8 rows of the kind charge.refunded" in lost
        for lost in too_many_refusals(SETTINGS, read.landing)
    )


def test_an_invoice_that_renews_is_of_another_kind_than_one_that_opens(tmp_path: Path) -> None:
    whole = {
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"account_id": "a1"}}},
        "lines": {"data": []},
    }
    contents = [{"billing_reason": "subscription_create"} | whole] * 30
    contents += [{"billing_reason": "subscription_cycle"}] * 5
    invoices = [
        row("stripe_events", stripe("invoice.paid", currency="usd", **content), n)
        for n, content in enumerate(contents)
    ]
    read = read_lines(tmp_path, "stripe_events", invoices)
    assert read.landing.refused_kinds == {Kind("invoice.paid (subscription_cycle)"): 5}
    [lost] = too_many_refusals(SETTINGS, read.landing)
    assert "5 of 5 rows of the kind invoice.paid (subscription_cycle)" in lost


@pytest.mark.parametrize("name", ["n.parquet", "n.ndjson"])
def test_however_many_messages_of_other_kinds_are_odd_the_others_need_no_second_look(
    tmp_path: Path, name: str
) -> None:
    others = [apple("EXTERNAL_PURCHASE_TOKEN", "CREATED", data=["of another form"])] * 40
    renewal = apple("DID_RENEW", data=transaction(appAccountToken="a1"))
    table = "app_store_notifications"
    rows = [
        NOON | {KEYS[table]: f"n{number}", "payload": cell(payload)}
        for number, payload in enumerate([*others, renewal, *others, renewal])
    ]
    path = tmp_path / name
    if name.endswith("parquet"):
        schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(CONTRACTS[table])])
        cells = {each: pa.array([row.get(each) for row in rows], pa.string()) for each in schema.names}
        pq.write_table(pa.table({each: cells[each].cast(schema.field(each).type) for each in cells}), path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))

    [batch] = read_batches(CONTRACTS[table], LandingFile(name, pa.OSFile(str(path))))

    assert batch.numbers.to_pylist() == [41, 82]
    assert batch.doubtful is not None
    assert not any(mask.any() for mask in batch.doubtful.values())
    assert batch.kinds == {Kind("DID_RENEW"): 2}
    assert batch.ignored.total() == 80
