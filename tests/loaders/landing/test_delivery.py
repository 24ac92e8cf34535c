# ruff: noqa: E501 - messages read better in few lines
"""What a provider sends lands as it came: the event, the push envelope, what is signed."""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import Refusal
from loaders.landing.notifications import envelopes
from loaders.landing.subjects import is_erased
from loaders.warehouse.erasures import KINDS, ErasedSubjects, subject_hash
from segue.errors import SettingsError
from segue.settings import Settings
from tests.loaders.landing.delivered import DAY, Row, read_day, read_lines
from tests.loaders.landing.signed import SIGNED, AppStore

STRIPE, GOOGLE, APPLE = "stripe_events", "google_play_notifications", "app_store_notifications"
EVENT = {
    "id": "evt_1", "object": "event", "api_version": "2025-08-27.basil", "created": 1773140400, "type": "invoice.sent",
    "livemode": True, "data": {"object": {"id": "in_1", "object": "invoice", "billing_reason": "subscription_cycle"}},
}  # fmt: skip
DEVELOPER_NOTIFICATION = {
    "version": "1.0", "packageName": "org.example", "eventTimeMillis": "1773140400250",
    "subscriptionNotification": {"version": "1.0", "notificationType": 2, "purchaseToken": "tok_1"},
}  # fmt: skip
PURCHASE = {
    "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
    "startTime": "2026-03-10T11:00:00Z",
    "externalAccountIdentifiers": {"obfuscatedExternalAccountId": "acct_7"},
    "lineItems": [{"productId": "solo", "expiryTime": "2026-04-10T11:00:00Z"}],
}
NOTIFICATION = {
    "notificationType": "DID_RENEW", "notificationUUID": "uuid-1", "version": "2.0", "signedDate": 1773140400000,
    "data": {
        "environment": "Production", "status": 1, "renewalInfo": {"autoRenewStatus": 1},
        "transactionInfo": {
            "type": "Auto-Renewable Subscription", "inAppOwnershipType": "PURCHASED", "originalTransactionId": "71",
            "productId": "solo", "purchaseDate": 1773140400000, "expiresDate": 1775818800000, "price": 9990,
            "currency": "USD", "appAccountToken": "00000000-0000-4000-8000-000000000007",
        },
    },
}  # fmt: skip
AT_11 = datetime(2026, 3, 10, 11, tzinfo=UTC)
APP_STORE = AppStore()


def push(notification: Any, published: str = "2026-03-10T11:00:02.5Z") -> Row:
    """What Pub/Sub posts."""
    data = b64encode(json.dumps(notification).encode()).decode()
    message = {"attributes": {}, "data": data, "messageId": "msg_1", "publishTime": published}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def trusting(tmp_path: Path, store: AppStore = APP_STORE) -> Settings:
    """Settings with the store's root."""
    return Settings(_env_file=None, app_store_roots_file=store.write_root(tmp_path / "root.pem"))


def told(row: Row) -> Row:
    """What the row says but for where it came from, payloads as objects."""
    lineage = ("arrival_date", "landing_file", "landing_row")
    said = {name: value for name, value in row.items() if name not in lineage and value is not None}
    return {name: json.loads(said[name]) if name in ("payload", "purchase") else said[name] for name in said}


STRIPE_ROW = {"event_id": "evt_1", "occurred_at": AT_11, "ingested_at": AT_11, "payload": EVENT}
GOOGLE_ROW = {
    "message_id": "msg_1", "occurred_at": AT_11.replace(microsecond=250_000),
    "ingested_at": AT_11.replace(second=2, microsecond=500_000), "payload": DEVELOPER_NOTIFICATION,
    "purchase": PURCHASE,
}  # fmt: skip


@pytest.mark.parametrize("came", [EVENT, {"payload": EVENT}, {"payload": json.dumps(EVENT)}])
def test_stripes_event_object_lands_as_a_line_and_as_a_payload(tmp_path: Path, came: Row) -> None:
    [row] = read_lines(tmp_path, STRIPE, [came]).accepted
    assert told(row) == STRIPE_ROW


@pytest.mark.parametrize(
    "came",
    [
        push(DEVELOPER_NOTIFICATION) | {"purchase": PURCHASE},
        {"payload": push(DEVELOPER_NOTIFICATION), "purchase": PURCHASE},
        {"payload": json.dumps(push(DEVELOPER_NOTIFICATION)), "purchase": json.dumps(PURCHASE)},
    ],
)
def test_a_pub_sub_push_lands_beside_the_purchase(tmp_path: Path, came: Row) -> None:
    [row] = read_lines(tmp_path, GOOGLE, [came]).accepted
    assert told(row) == GOOGLE_ROW


@pytest.mark.parametrize("came", [DEVELOPER_NOTIFICATION, {"payload": DEVELOPER_NOTIFICATION}])
def test_a_notification_without_its_envelope_is_known_again_by_its_content(tmp_path: Path, came: Row) -> None:
    """As a Pub/Sub subscription that writes to Cloud Storage delivers it."""
    other = {"eventTimeMillis": "1773140400251"}
    changed = came | other if "payload" not in came else {"payload": DEVELOPER_NOTIFICATION | other}
    rows = [each | {"purchase": PURCHASE} for each in (came, came, changed)]
    first, again, another = read_lines(tmp_path, GOOGLE, rows).accepted
    assert told(first) == told(again)
    assert first["message_id"] != another["message_id"]
    assert (len(first["message_id"]), first["occurred_at"]) == (64, AT_11.replace(microsecond=250_000))


def test_signed_payloads_are_opened_and_verified(tmp_path: Path) -> None:
    came = APP_STORE.post(NOTIFICATION)
    [row] = read_lines(tmp_path, APPLE, [came], trusting(tmp_path)).accepted
    inner = {name: NOTIFICATION["data"][name] | SIGNED for name in ("transactionInfo", "renewalInfo")}  # type: ignore[index]
    assert told(row) == {
        "notification_uuid": "uuid-1",
        "occurred_at": AT_11,
        "ingested_at": AT_11,
        "payload": NOTIFICATION | {"data": NOTIFICATION["data"] | inner},  # type: ignore[operator]
        "signature": "verified",
    }


@pytest.mark.parametrize(
    ("table", "delivered"),
    [(STRIPE, envelopes.STRIPE), (GOOGLE, envelopes.GOOGLE_PLAY), (APPLE, envelopes.APP_STORE)],
)
def test_every_column_of_a_contract_may_stand_beside_what_came(
    table: str, delivered: envelopes.Delivered
) -> None:
    assert delivered.columns == set(CONTRACTS[table].model_fields)


@pytest.mark.parametrize(
    ("of_data", "of_transaction", "column"),
    [
        ("com.example.music", "com.example.music", None),
        (None, None, None),
        ("com.example.game", "com.example.game", "payload.data.bundleId"),
        ("com.example.music", "com.example.game", "payload.data.transactionInfo.bundleId"),
    ],
)
def test_what_the_app_store_signed_for_another_app_is_refused(
    tmp_path: Path, of_data: str | None, of_transaction: str | None, column: str | None
) -> None:
    data: Any = NOTIFICATION["data"]
    transaction = data["transactionInfo"] | {"bundleId": of_transaction}
    came = APP_STORE.post(
        NOTIFICATION | {"data": data | {"bundleId": of_data, "transactionInfo": transaction}}
    )
    ours = {"app_store_bundle_ids": frozenset({"com.example.music", "com.example.radio"})}
    read = read_lines(tmp_path, APPLE, [came], trusting(tmp_path).model_copy(update=ours))
    refused = [(column, f"{column} is none of SEGUE_APP_STORE_BUNDLE_IDS")] if column else []
    assert (len(read.accepted), read.reasons) == (1 - len(refused), refused)
    assert len(read_lines(tmp_path, APPLE, [came], trusting(tmp_path)).accepted) == 1


def test_without_roots_it_is_said_that_nobody_verified(tmp_path: Path) -> None:
    read = read_lines(tmp_path, APPLE, [APP_STORE.post(NOTIFICATION), NOTIFICATION])
    assert [row["signature"] for row in read.accepted] == ["not_verified", None]
    assert read.landing.rows_not_verified == 1


def test_inner_signatures_of_a_decoded_notification_are_opened(tmp_path: Path) -> None:
    data = NOTIFICATION["data"]
    assert isinstance(data, dict)
    half = data | {"signedRenewalInfo": APP_STORE.sign(data["renewalInfo"] | SIGNED)}
    del half["renewalInfo"]
    [row] = read_lines(tmp_path, APPLE, [NOTIFICATION | {"data": half}], trusting(tmp_path)).accepted
    assert told(row)["payload"]["data"]["renewalInfo"]["autoRenewStatus"] == 1
    assert row["signature"] == "verified"


def _tampered(signed: str) -> str:
    head, _, signature = signed.split(".")
    body = b64encode(json.dumps(NOTIFICATION | {"notificationType": "REFUND"}).encode()).decode()
    return f"{head}.{body.rstrip('=').replace('+', '-').replace('/', '_')}.{signature}"


@pytest.mark.parametrize(
    ("signed", "reason"),
    [
        (AppStore().post(NOTIFICATION)["signedPayload"], "was not signed by the App Store"),
        (_tampered(APP_STORE.post(NOTIFICATION)["signedPayload"]), "was not signed by the App Store"),
        ("e30.e30.e30", "is not a JSON object in a JSON Web Signature by ES256"),
        ("e30", "is not JSON in a JSON Web Signature"),
        (7, "is not JSON in a JSON Web Signature"),
    ],
    ids=["another root", "tampered", "unsigned", "no signature", "no text"],
)
def test_what_the_app_store_did_not_sign_is_refused(tmp_path: Path, signed: Any, reason: str) -> None:
    read = read_lines(tmp_path, APPLE, [{"signedPayload": signed}], trusting(tmp_path))
    assert (read.accepted, read.reasons) == (
        [],
        [("payload.signedPayload", f"payload.signedPayload {reason}")],
    )


def test_other_certificates_under_apples_root_sign_for_others(tmp_path: Path) -> None:
    other = AppStore(marks=())
    read = read_lines(tmp_path, APPLE, [other.post(NOTIFICATION)], trusting(tmp_path, other))
    assert [reason for _, reason in read.reasons] == ["payload.signedPayload was not signed by the App Store"]


def test_a_certificate_is_as_valid_as_it_was_when_it_signed(tmp_path: Path) -> None:
    expired = AppStore(valid_until=datetime(2026, 3, 11, tzinfo=UTC))
    late = NOTIFICATION | {"signedDate": 1775818800000, "notificationUUID": "uuid-2"}
    read = read_lines(
        tmp_path, APPLE, [expired.post(NOTIFICATION), expired.post(late)], trusting(tmp_path, expired)
    )
    assert [row["notification_uuid"] for row in read.accepted] == ["uuid-1"]
    assert [reason for _, reason in read.reasons] == ["payload.signedPayload was not signed by the App Store"]


def test_inner_texts_that_were_never_decoded_are_refused_by_their_path(tmp_path: Path) -> None:
    data = {"environment": "Production", "status": 1, "signedTransactionInfo": "e30.e30.e30"}
    read = read_lines(tmp_path, APPLE, [NOTIFICATION | {"data": data}])
    assert [column for column, _ in read.reasons] == ["payload.data.signedTransactionInfo"]


@pytest.mark.parametrize(
    ("came", "column"),
    [
        (push({"version": "1.0"}), "payload"),
        (push([1]), "payload.message.data"),
        ({"message": {"data": "%%%", "messageId": "m"}}, "payload.message.data"),
        ({"message": {"messageId": "m"}}, "payload.message.data"),
    ],
)
def test_a_push_that_holds_no_notification_is_refused_by_its_path(
    tmp_path: Path, came: Row, column: str
) -> None:
    read = read_lines(tmp_path, GOOGLE, [came | {"purchase": PURCHASE}])
    assert (read.accepted, [named for named, _ in read.reasons]) == ([], [column])


@pytest.mark.parametrize("depth", [150, 250, 900, 5_000])
def test_what_is_nested_without_end_is_refused_like_any_other(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    notification = json.dumps(DEVELOPER_NOTIFICATION)[:-1] + f', "deep": {deep}}}'
    came = {
        "message": {"data": b64encode(notification.encode()).decode(), "messageId": "m"},
        "purchase": PURCHASE,
    }
    event = json.dumps(EVENT)[:-1] + f', "deep": {deep}}}'
    for table, row in ((GOOGLE, came), (STRIPE, {"payload": event})):
        read = read_lines(tmp_path / table, table, [row])
        assert (len(read.accepted), len(read.refused)) == ((1, 0) if depth < 200 else (0, 1))


def test_a_chain_of_one_certificate_is_no_chain(tmp_path: Path) -> None:
    lonely = AppStore(marks=())
    settings = Settings(_env_file=None, app_store_roots_file=lonely.write_root(tmp_path / "root.pem"))
    for x5c in ([], [7], ["e30="], [lonely.x5c[-1]], [lonely.x5c[-1]] * 3):
        signed = lonely.sign(NOTIFICATION, x5c)
        read = read_lines(tmp_path / str(len(x5c)), APPLE, [{"signedPayload": signed}], settings)
        assert [reason for _, reason in read.reasons] == [
            "payload.signedPayload was not signed by the App Store"
        ]


def test_what_the_row_says_is_not_said_anew_by_the_message(tmp_path: Path) -> None:
    own = {"event_id": "ours", "occurred_at": "2026-03-10T10:00:00Z", "ingested_at": "2026-03-10T12:00:00Z"}
    [row] = read_lines(tmp_path, STRIPE, [own | {"payload": EVENT}]).accepted
    assert (row["event_id"], row["occurred_at"].hour, row["ingested_at"].hour) == ("ours", 10, 12)


@pytest.mark.parametrize(
    ("created", "arrived"),
    [
        (datetime(2026, 3, 9, 23, 59, 50, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)),
        (datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC), datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC)),
        (datetime(2026, 3, 11, 0, 0, 5, tzinfo=UTC), datetime(2026, 3, 10, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
    ids=["sent before midnight", "sent on the day", "a clock that is ahead"],
)
def test_what_was_sent_arrives_at_the_earliest_moment_of_its_folders_day(
    tmp_path: Path, created: datetime, arrived: datetime
) -> None:
    [row] = read_lines(tmp_path, STRIPE, [EVENT | {"created": int(created.timestamp())}]).accepted
    assert (row["occurred_at"], row["ingested_at"]) == (created, arrived)


def test_a_message_that_tells_no_time_is_refused(tmp_path: Path) -> None:
    silent = {name: value for name, value in EVENT.items() if name not in ("created", "id")}
    read = read_lines(tmp_path, STRIPE, [silent])
    assert read.accepted == []
    assert all(name in read.reasons[0][1] for name in ("event_id", "occurred_at", "ingested_at"))


def test_what_is_ignored_is_ignored_out_of_its_envelope_too(tmp_path: Path) -> None:
    test = push({"testNotification": {"version": "1.0"}})
    assert read_lines(tmp_path, GOOGLE, [test]).ignored == {"testNotification": ("test", 1)}
    sandbox = {
        "notificationType": "TEST",
        "notificationUUID": "u",
        "data": {"environment": "Sandbox"},
    } | SIGNED
    read = read_lines(tmp_path, APPLE, [APP_STORE.post(sandbox)])
    assert (read.ignored, read.refused) == ({"TEST": ("test", 1)}, [])
    intent = EVENT | {"type": "payment_intent.succeeded"}
    assert read_lines(tmp_path, STRIPE, [intent]).ignored == {
        "payment_intent.succeeded": ("not about a subscription", 1)
    }


CAME = {
    STRIPE: {"payload": EVENT},
    GOOGLE: {"payload": push(DEVELOPER_NOTIFICATION), "purchase": PURCHASE},
    APPLE: {"payload": APP_STORE.post(NOTIFICATION)},
}


@pytest.mark.parametrize("table", CAME)
def test_every_format_takes_messages_as_they_came(tmp_path: Path, table: str) -> None:
    """Parquet and CSV without the columns that messages tell, one good message and one that is none."""
    rows = [
        {name: json.dumps(value) for name, value in CAME[table].items()},
        {"payload": '{"signedPayload": "e30", "message": {}}', "purchase": None},
    ]
    names = list(CAME[table])
    cells = {name: [row.get(name) for row in rows] for name in names}
    for format in ("ndjson", "csv", "parquet"):
        folder = tmp_path / format / table / str(DAY)
        folder.mkdir(parents=True)
        if format == "parquet":
            pq.write_table(pa.table(cells), folder / "n.parquet")
        elif format == "csv":
            with (folder / "n.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerows([names, *zip(*cells.values(), strict=True)])
        else:
            (folder / "n.ndjson").write_text("\n".join(json.dumps(row) for row in rows))
    read = {format: read_day(tmp_path / format, table) for format in ("ndjson", "csv", "parquet")}

    [of_lines] = [told(row) for row in read["ndjson"].accepted]
    assert of_lines["payload"]
    for each in read.values():
        assert [told(row) for row in each.accepted] == [of_lines]
        assert [row["landing_row"] for row in each.refused] == [2]


def test_roots_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("no certificate")
    settings = Settings(_env_file=None, app_store_roots_file=tmp_path / "root.pem")
    with pytest.raises(SettingsError, match=r"SEGUE_APP_STORE_ROOTS_FILE: .*root\.pem"):
        read_lines(tmp_path, APPLE, [NOTIFICATION], settings)


@pytest.mark.parametrize(
    "came",
    [
        push(DEVELOPER_NOTIFICATION | {"note": {"obfuscatedExternalAccountId": "acct_of_somebody"}}),
        APP_STORE.post(NOTIFICATION | {"data": {"renewalInfo": {"appAccountToken": "acct_of_somebody"}}}),
    ],
    ids=["base64", "signed"],
)
def test_an_erased_id_is_found_in_what_could_not_be_opened(came: Row) -> None:
    """A refused row stays in the quarantine as it came."""
    settings = Settings(_env_file=None, erasure_salt="salt")
    hashes = {kind: frozenset[str]() for kind in KINDS}
    erased = ErasedSubjects(
        settings, hashes | {"account": frozenset({subject_hash(settings, "acct_of_somebody")})}
    )
    nobody = ErasedSubjects(
        settings, hashes | {"account": frozenset({subject_hash(settings, "acct_of_nobody")})}
    )
    refusal = Refusal("f.ndjson", 1, "payload", "cannot be opened", json.dumps(came))
    assert is_erased(erased, refusal)
    assert not is_erased(nobody, refusal)
