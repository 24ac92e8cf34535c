"""The example receiver, served on loopback: what providers post lands, once, or is posted again."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from loaders.objects.folder import FolderStore
from segue.settings import PROJECT_ROOT, Settings
from tests.loaders.landing import delivered
from tests.loaders.landing.signed import AppStore
from tests.loaders.landing.test_delivery import (
    DEVELOPER_NOTIFICATION,
    EVENT,
    NOTIFICATION,
    PURCHASE,
    push,
)

SECRET = "whsec_1"
Row = dict[str, Any]


class Google:
    """What the Play Developer API would answer, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.is_down = False

    def __call__(self, package: str, token: str) -> Row | None:
        self.asked.append((package, token))
        if self.is_down:
            raise ConnectionError("no answer")
        return PURCHASE if token == "tok_1" else None


@contextmanager
def served(store: FolderStore, google: Google) -> Iterator[httpx.Client]:
    file = PROJECT_ROOT / "docs/examples/receiver/receiver.py"
    spec = importlib.util.spec_from_file_location("receiver", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    application = module.receiver(store, google, SECRET, "push-token")
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
def client(tmp_path: Path, google: Google) -> Iterator[httpx.Client]:
    with served(FolderStore(tmp_path), google) as client:
        yield client


def stripe_headers(body: str, secret: str = SECRET, sent_at: float | None = None) -> dict[str, str]:
    stamp = str(int(sent_at or time.time()))
    signature = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), "sha256").hexdigest()
    return {"stripe-signature": f"t={stamp},v0=x,v1={signature}"}


def landed(root: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> delivered.Read:
    monkeypatch.setattr(delivered, "DAY", datetime.now(UTC).date())
    return delivered.read_day(root, table, Settings(_env_file=None))


def test_what_every_provider_posts_lands(
    tmp_path: Path, client: httpx.Client, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = json.dumps(EVENT)
    signed = AppStore().post(NOTIFICATION)
    answers = [
        client.post("/stripe", content=event, headers=stripe_headers(event)),
        client.post("/google-play?token=push-token", json=push(DEVELOPER_NOTIFICATION)),
        client.post("/app-store", json=signed),
    ]
    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert google.asked == [("org.example", "tok_1")]
    for table, id_column, expected in (
        ("stripe_events", "event_id", "evt_1"),
        ("google_play_notifications", "message_id", "msg_1"),
        ("app_store_notifications", "notification_uuid", "uuid-1"),
    ):
        read = landed(tmp_path, table, monkeypatch)
        assert ([row[id_column] for row in read.accepted], read.refused) == ([expected], [])


def test_what_is_posted_again_is_one_file(tmp_path: Path, client: httpx.Client) -> None:
    event = json.dumps(EVENT)
    for _ in range(2):
        assert client.post("/stripe", content=event, headers=stripe_headers(event)).status_code == 204
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == [f"{hashlib.sha256(event.encode()).hexdigest()}.ndjson"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"stripe-signature": "v1=é"}, stripe_headers(json.dumps(EVENT), "another"),
     stripe_headers(json.dumps(EVENT), sent_at=1_773_140_400)],
    ids=["none", "nonsense", "another secret", "too old"],
)  # fmt: skip
def test_what_stripe_did_not_sign_just_now_is_not_taken(
    tmp_path: Path, client: httpx.Client, headers: dict[str, str]
) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    assert client.post("/stripe", content=json.dumps(EVENT), headers=encoded).status_code == 400
    assert list(tmp_path.iterdir()) == []


def test_a_push_by_somebody_else_is_not_taken(tmp_path: Path, client: httpx.Client) -> None:
    answer = client.post("/google-play?token=guess", json=push(DEVELOPER_NOTIFICATION))
    assert (answer.status_code, list(tmp_path.iterdir())) == (403, [])


def test_what_google_does_not_answer_for_is_posted_again(
    tmp_path: Path, client: httpx.Client, google: Google
) -> None:
    google.is_down = True
    answer = client.post("/google-play?token=push-token", json=push(DEVELOPER_NOTIFICATION))
    assert (answer.status_code, list(tmp_path.iterdir())) == (500, [])


def test_only_subscriptions_have_a_purchase_to_fetch(
    tmp_path: Path, client: httpx.Client, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    for notification in (
        {"testNotification": {"version": "1.0"}},
        {"oneTimeProductNotification": {"notificationType": 1, "purchaseToken": "t", "sku": "coins"}},
        {"subscriptionNotification": {"notificationType": 20, "purchaseToken": "t"}},
        {"voidedPurchaseNotification": {"purchaseToken": "t", "productType": 2, "refundType": 1}},
    ):
        assert client.post("/google-play?token=push-token", json=push(notification)).status_code == 204
    assert google.asked == []
    read = landed(tmp_path, "google_play_notifications", monkeypatch)
    assert (read.landing.rows_ignored, read.refused) == (4, [])


def test_a_purchase_that_is_gone_is_quarantined_with_its_reason(
    tmp_path: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"notificationType": 13, "purchaseToken": "tok_gone"}
    notification = DEVELOPER_NOTIFICATION | {"subscriptionNotification": about}
    assert client.post("/google-play?token=push-token", json=push(notification)).status_code == 204
    assert landed(tmp_path, "google_play_notifications", monkeypatch).reasons == [
        ("purchase", "purchase is null though payload is about a subscription")
    ]
