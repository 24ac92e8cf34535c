"""Cloud Storage on loopback as an identity sees it that may do everything with objects and nothing else.

The protocol is gcp-storage-emulator's. What it forgives and Cloud Storage does not, the proxy before it
refuses: requests about buckets (403), folder markers (403), writes and reads whose generation is not there
(412, 404); listings come in small pages and, as ever, tell of no folder that holds nothing.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from gcp_storage_emulator.server import create_server

from segue.settings import Settings

PAGE = 3
"""Names in one page of a listing."""


@dataclass
class Gcs:
    """The server's address, what was refused, and answers that are to be lost on their way."""

    endpoint: str
    storage_folder: Path
    emulator_port: int
    refused: list[str] = field(default_factory=list)
    lose_answers: int = 0
    """So many of the next writes are done and not answered."""
    is_role_gone: bool = False
    """While it is, the identity may do nothing with objects either."""

    def bucket_of(self, settings: Settings) -> Settings:
        """Settings whose landing is a bucket; the embedded BigQuery reads what is written into it."""
        bucket = urlsplit(settings.landing_uri).netloc
        folder = urlsplit(str(settings.landing_files_uri)).path
        (self.storage_folder / bucket).symlink_to(folder, target_is_directory=True)
        self._directly("POST", "/storage/v1/b?project=owner", {"name": bucket})
        return settings.model_copy(update={"landing_files_uri": None, "storage_endpoint": self.endpoint})

    def put(self, settings: Settings, name: str, content: bytes = b" ") -> None:
        """Somebody delivers an object."""
        bucket = urlsplit(settings.landing_uri).netloc
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        self._directly("POST", path, content)

    def names(self, settings: Settings) -> list[str]:
        """Every object of the bucket."""
        bucket = urlsplit(settings.landing_uri).netloc
        return [each["name"] for each in self._directly("GET", f"/storage/v1/b/{bucket}/o")["items"]]

    def _directly(self, method: str, path: str, body: Any = None) -> Any:
        """As the bucket's owner does it, beside the proxy."""
        status, _, answer = ask(self.emulator_port, method, path, body, {})
        assert status < 300, (status, path, answer)
        return json.loads(answer or b"null")


def ask(
    port: int, method: str, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """One request to the emulator: status, headers and body of its answer."""
    if isinstance(body, dict):
        body, headers = json.dumps(body).encode(), headers | {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


class _ObjectsOnly(BaseHTTPRequestHandler):
    """Forwards what an Object Admin may do."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two packets; the second would wait 40 ms for the first's acknowledgement.
    disable_nagle_algorithm = True
    gcs: Gcs
    one_at_a_time = threading.Lock()
    preconditions: dict[str, tuple[str, str]]
    """Object's path and generation that has to be there, by the upload that has begun."""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.one_at_a_time:
            status, headers, answer = self._answer(body)
        is_write = self.command in ("POST", "PUT") and status == 200 and "upload_id" in self.path
        if is_write and self.gcs.lose_answers:
            self.gcs.lose_answers -= 1
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "date", "server", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any  # noqa: N815

    def _answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = url.path.removeprefix("/upload").removeprefix("/download").split("/")
        # "", storage, v1, b, <bucket>, o, <object>
        if parts[1:4] != ["storage", "v1", "b"] or len(parts) < 6 or parts[5] != "o":
            return self._refuse(403, "does not have access to the bucket")
        if self.gcs.is_role_gone:
            return self._refuse(403, "does not have access to the object")
        bucket, name = parts[4], unquote("/".join(parts[6:]))
        if self.command == "GET" and not name:
            return self._page(bucket, query)
        if "/upload/" in url.path and "upload_id" not in query:
            told = json.loads(body) if query.get("uploadType") == "resumable" else {}
            name = query.get("name") or told["name"]
            if name.endswith("/"):
                return self._refuse(403, f"folder marker {name}")
        wanted = query.get("ifGenerationMatch")
        if "upload_id" in query:
            name, wanted = self.preconditions.get(query["upload_id"], ("", None))  # type: ignore[assignment]
        present = self._generation(bucket, name) if name else "0"
        if wanted is not None and wanted != present:
            return self._refuse(412, "conditionNotMet")
        if query.get("generation", present) != present:
            return self._refuse(404, f"No such object: {name}")
        status, headers, answer = self._forward(self.path, body)
        location = headers.get("Location")
        if location and query.get("ifGenerationMatch") is not None:
            upload = parse_qs(urlsplit(location).query)["upload_id"][0]
            self.preconditions[upload] = (name, query["ifGenerationMatch"])
        return status, headers, answer

    def _forward(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        return ask(self.gcs.emulator_port, self.command, path, body, headers)

    def _generation(self, bucket: str, name: str) -> str:
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        status, _, answer = ask(self.gcs.emulator_port, "GET", path, None, {})
        return str(json.loads(answer)["generation"]) if status == 200 else "0"

    def _page(self, bucket: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked = "&".join(
            f"{key}={quote(query[key], safe='')}" for key in ("prefix", "delimiter") if query.get(key)
        )
        _, headers, answer = self._forward(f"/storage/v1/b/{bucket}/o?{asked}", b"")
        listed = json.loads(answer)
        items = {each["name"]: each for each in listed["items"]}
        start, end = query.get("startOffset", ""), query.get("endOffset") or chr(0x10FFFF)
        after = query.get("pageToken", "")
        names = sorted(name for name in (*items, *listed["prefixes"]) if start <= name < end and name > after)
        page = {
            "items": [items[name] for name in names[:PAGE] if name in items],
            "prefixes": [name for name in names[:PAGE] if name not in items],
        }
        if names[PAGE:]:
            page["nextPageToken"] = names[PAGE - 1]
        return 200, headers, json.dumps(page).encode()

    def _refuse(self, code: int, message: str) -> tuple[int, dict[str, str], bytes]:
        self.gcs.refused.append(f"{code} {self.command} {self.path.split('?')[0]}: {message}")
        answer = {"error": {"code": code, "message": message}}
        return code, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[Gcs]:
    """The emulator, which keeps its objects below ``folder``, and the proxy before it."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _ObjectsOnly)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as probe:
        port = probe.server_address[1]
    emulator = create_server("127.0.0.1", port, in_memory=False, data_dir=str(folder))
    gcs = Gcs(f"http://127.0.0.1:{proxy.server_address[1]}", folder / ".cloudstorage", port)
    proxy.RequestHandlerClass = type("Proxy", (_ObjectsOnly,), {"gcs": gcs, "preconditions": {}})
    emulator.start()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield gcs
    finally:
        proxy.shutdown()
        proxy.server_close()
        emulator.stop()


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    """One Cloud Storage for the session."""
    with serve(tmp_path_factory.mktemp("cloud-storage")) as server:
        yield server
