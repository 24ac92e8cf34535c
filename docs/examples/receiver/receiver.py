"""An example receiver: what billing providers post becomes landing files, as it came.

    SEGUE_LANDING_URI=gs://landing STRIPE_SECRET=whsec_… PUSH_TOKEN=… \\
        uv run --group receiver uvicorn --factory --app-dir docs/examples/receiver receiver:app

Every message is a file of its own, which is there whole or not at all, and whose name is its content: what is
posted again on the same day is the same file. Only what is written is acknowledged; the rest is posted again.
"""

import hashlib
import hmac
import json
import os
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import google.auth
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from google.auth.transport.requests import AuthorizedSession

from loaders.objects.store import ABSENT, ObjectConflictError, ObjectStore, open_store
from segue.settings import get_settings

PURCHASES = "https://androidpublisher.googleapis.com/androidpublisher/v3/applications"
PENDING_PURCHASE_CANCELED, ONE_TIME_PRODUCT = 20, 2
Fetch = Callable[[str, str], dict[str, Any] | None]
"""The SubscriptionPurchaseV2 of a package's purchase token; None when Google knows none any more."""


def receiver(store: ObjectStore, fetch_purchase: Fetch, stripe_secret: str, push_token: str) -> FastAPI:
    """The application; what cannot be fetched or written is a 500, after which the provider posts again."""
    application = FastAPI()

    async def write(table: str, came: bytes, **columns: Any) -> Response:
        now = datetime.now(UTC)
        row = {"ingested_at": now.isoformat(), "payload": came.decode(errors="replace"), **columns}
        name = f"{table}/{now.date()}/{hashlib.sha256(came).hexdigest()}.ndjson"
        try:
            line = json.dumps(row).encode() + b"\n"
            await run_in_threadpool(store.write, name, line, replacing=ABSENT)
        except ObjectConflictError:
            pass  # Posted again.
        return Response(status_code=204)

    @application.post("/stripe")
    async def stripe(request: Request) -> Response:
        came = await request.body()
        # https://docs.stripe.com/webhooks#verify-manually
        said = [part.partition("=")[::2] for part in request.headers.get("stripe-signature", "").split(",")]
        sent_at = dict(said).get("t", "0")
        wanted = hmac.new(stripe_secret.encode(), sent_at.encode() + b"." + came, "sha256").hexdigest()
        if not any(
            key == "v1" and hmac.compare_digest(value.encode(), wanted.encode()) for key, value in said
        ):
            raise HTTPException(400, "the signature is another")
        if abs(time.time() - int(sent_at)) > 300:
            raise HTTPException(400, "the signature is too old")
        return await write("stripe_events", came)

    @application.post("/google-play")
    async def google_play(request: Request, token: str = "") -> Response:
        if not hmac.compare_digest(token.encode(), push_token.encode()):
            raise HTTPException(403, "the token is another")
        came = await request.body()
        told = json.loads(b64decode(json.loads(came)["message"]["data"]))
        about = told.get("subscriptionNotification") or told.get("voidedPurchaseNotification") or {}
        is_bought = about.get("notificationType") != PENDING_PURCHASE_CANCELED
        purchase = None
        if "purchaseToken" in about and is_bought and about.get("productType") != ONE_TIME_PRODUCT:
            purchase = await run_in_threadpool(fetch_purchase, told["packageName"], about["purchaseToken"])
        return await write("google_play_notifications", came, purchase=purchase)

    @application.post("/app-store")
    async def app_store(request: Request) -> Response:
        # Landing verifies the signature against SEGUE_APP_STORE_ROOTS_FILE.
        return await write("app_store_notifications", await request.body())

    return application


def app() -> FastAPI:
    """What uvicorn starts; the Play Developer API is asked as the process's own Google identity."""
    scopes = ["https://www.googleapis.com/auth/androidpublisher"]
    session = AuthorizedSession(google.auth.default(scopes)[0])

    def fetch(package: str, token: str) -> dict[str, Any] | None:
        answer = session.get(f"{PURCHASES}/{package}/purchases/subscriptionsv2/tokens/{token}", timeout=10)
        if answer.status_code in (404, 410):
            return None
        answer.raise_for_status()
        purchase: dict[str, Any] = answer.json()
        return purchase

    settings = get_settings()
    store = open_store(settings, settings.landing_files_root)
    return receiver(store, fetch, os.environ["STRIPE_SECRET"], os.environ["PUSH_TOKEN"])
