"""A Contentful space on loopback: the parts of the Content Delivery API that a sync uses.

Payloads have the shape of recorded ones. Editors' actions are methods; ``answer_next`` puts other answers
before the regular ones.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SPACE = "cfexampleapi"
TOKEN = "delivery-token"
OPENED = datetime(2026, 3, 1, tzinfo=UTC)

Fields = Mapping[str, Mapping[str, Any]]
"""Values by field and locale, as in a sync payload."""


@dataclass(frozen=True)
class Answer:
    """An answer out of the ordinary; ``cut`` promises more bytes than it sends."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


class Space:
    """An environment with the content type ``offer``; every editor's action is one change."""

    def __init__(self, page_size: int = 100) -> None:
        self.page_size = page_size
        self.published: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.valid_since = 0
        """Sync tokens of earlier changes are not accepted."""
        self._revisions: dict[str, int] = {}
        self._changes: list[str] = []
        self._pages: dict[str, tuple[list[dict[str, Any]], str, int]] = {}
        self._answers: list[tuple[str, Answer]] = []
        self.broken_after_page: int | None = None
        """Pages of a sync beyond this one are cut off."""

    # What editors do

    def publish(self, entry_id: str, fields: Fields) -> None:
        """Publish an entry, for the first time or again."""
        self._revisions[entry_id] = self._revisions.get(entry_id, 0) + 1
        self._changes.append(entry_id)
        self.published[entry_id] = {
            "metadata": {"tags": [], "concepts": []},
            "sys": {
                **self._sys("Entry", entry_id),
                "contentType": {"sys": {"type": "Link", "linkType": "ContentType", "id": "offer"}},
            },
            "fields": fields,
        }

    def unpublish(self, entry_id: str) -> None:
        """Unpublish an entry; for the Delivery API this is the same as deleting it."""
        if self.published.pop(entry_id, None):
            self._changes.append(entry_id)

    def expire_tokens(self) -> None:
        """Forget what changed up to now: no sync token that was given out is accepted any more."""
        self.valid_since = len(self._changes) + 1
        self._changes.append("")

    def _sys(self, kind: str, entry_id: str) -> dict[str, Any]:
        moment = (OPENED + timedelta(minutes=len(self._changes))).isoformat(timespec="milliseconds")
        return {
            "space": {"sys": {"type": "Link", "linkType": "Space", "id": SPACE}},
            "environment": {"sys": {"type": "Link", "linkType": "Environment", "id": "master"}},
            "id": entry_id,
            "type": kind,
            "createdAt": OPENED.isoformat(),
            "updatedAt": moment.replace("+00:00", "Z"),
            "revision": self._revisions[entry_id],
        }

    # What the network does

    def answer_next(self, path_end: str, *answers: Answer) -> None:
        """Give these answers, one each, to the next requests whose path ends so."""
        self._answers += [(path_end, answer) for answer in answers]

    # What the API answers

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        self.requests.append(request)
        for index, (path_end, answer) in enumerate(self._answers):
            if request.path.endswith(path_end):
                del self._answers[index]
                return answer
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(401, "AccessTokenInvalid", "The access token you sent is invalid.")
        prefix = f"/spaces/{SPACE}/environments/master/"
        if not request.path.startswith(prefix):
            return error(404, "NotFound", "The resource could not be found.")
        match request.path.removeprefix(prefix):
            case "locales":
                return _ok(_array([_locale("en-US", is_default=True), _locale("sv-SE"), _locale("de-DE")]))
            case "content_types":
                return _ok(_array([_OFFER]))
            case "sync":
                return self._sync(request.query)
        return error(404, "NotFound", "The resource could not be found.")

    def _sync(self, query: Mapping[str, str]) -> Answer:
        if "sync_token" in query and len(query) > 1:
            return error(400, "BadRequest", "A sync token takes no other parameters.")
        token = query.get("sync_token")
        if token in self._pages:
            items, end, number = self._pages[token]
            return self._page(items, end, number)
        end = f"sync-{len(self._changes)}"
        if token is None:
            return self._page([*self.published.values(), _ASSET], end)
        kind, _, since = token.partition("-")
        if kind != "sync" or not since.isdigit() or int(since) < self.valid_since:
            return error(400, "BadRequest", "The sync token is invalid or has expired.")
        changed = dict.fromkeys(entry_id for entry_id in self._changes[int(since) :] if entry_id)
        items = [self.published.get(entry_id) or self._deleted(entry_id) for entry_id in changed]
        return self._page(items, end)

    def _deleted(self, entry_id: str) -> dict[str, Any]:
        sys = self._sys("DeletedEntry", entry_id)
        return {"sys": sys | {"deletedAt": sys["updatedAt"]}}

    def _page(self, items: list[dict[str, Any]], end: str, number: int = 1) -> Answer:
        if self.broken_after_page is not None and number > self.broken_after_page:
            return Answer(200, '{"sys": {"type": "Array"}, "items": [{"sys": {"ty')
        shown, rest = items[: self.page_size], items[self.page_size :]
        url = f"https://cdn.contentful.com/spaces/{SPACE}/environments/master/sync?sync_token="
        if not rest:
            return _ok({"sys": {"type": "Array"}, "items": shown, "nextSyncUrl": url + end})
        token = f"page-{len(self._pages)}"
        self._pages[token] = (rest, end, number + 1)
        return _ok({"sys": {"type": "Array"}, "items": shown, "nextPageUrl": url + token})


def error(status: int, kind: str, message: str) -> Answer:
    """An error as Contentful words it; ``details`` is not what the SDK's own error classes expect."""
    body = {"sys": {"type": "Error", "id": kind}, "message": message, "details": {}, "requestId": "a1b2"}
    return Answer(status, json.dumps(body))


def _ok(body: Any) -> Answer:
    return Answer(200, json.dumps(body))


def _array(items: list[Any]) -> dict[str, Any]:
    return {"sys": {"type": "Array"}, "total": len(items), "skip": 0, "limit": 1000, "items": items}


def _locale(code: str, *, is_default: bool = False) -> dict[str, Any]:
    fallback = None if is_default else "en-US"
    return {
        "code": code, "name": code, "default": is_default, "fallbackCode": fallback,
        "sys": {"id": code.lower(), "type": "Locale", "version": 1},
    }  # fmt: skip


_OFFER = {
    "sys": {"id": "offer", "type": "ContentType", "revision": 3},
    "name": "Offer",
    "displayField": "title",
    "fields": [
        {"id": "title", "name": "Title", "type": "Symbol", "localized": True, "required": True},
        {"id": "validFrom", "name": "Valid from", "type": "Date", "localized": False, "required": False},
        {"id": "validUntil", "name": "Valid until", "type": "Date", "localized": False, "required": False},
    ],
}
_ASSET = {
    "sys": {"id": "hero", "type": "Asset", "revision": 1, "createdAt": "2026-03-01T00:00:00Z",
            "updatedAt": "2026-03-01T00:00:00Z"},
    "fields": {"title": {"en-US": "Hero"}, "file": {"en-US": {"url": "//images.example/hero.png"}}},
}  # fmt: skip


@contextmanager
def serve(space: Space) -> Iterator[str]:
    """The space on a free port of loopback; gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            answer = space.answer(Request(url.path, query, self.headers))
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/vnd.contentful.delivery.v1+json")
            self.send_header("Content-Length", str(len(body) + 100 * answer.is_cut))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = answer.is_cut

        def log_message(self, *_: object) -> None:
            """Quiet: the tests look at ``space.requests``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
