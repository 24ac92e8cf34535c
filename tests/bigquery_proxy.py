"""An HTTP proxy before the embedded BigQuery that treats requests as a network and a busy service may.

The emulator answers a job's insertion when the job is done; the service answers at once. What is ``running``
here is answered so, and done a moment later.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""
_BUSY = (
    (429, "rateLimitExceeded"),
    (403, "rateLimitExceeded"),
    (500, "internalError"),
    (503, "backendError"),
)
_FAILURES = ("jobRateLimitExceeded", "backendError", "jobBackendError")
_JOB = re.compile(r"/projects/([^/]+)/(?:jobs|queries)/([^/?]+)(/cancel)?")
_DONE_SECONDS = 0.15


@dataclass(frozen=True)
class Request:
    """What a client has sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def inserts(self) -> str:
        """The id of the job that it inserts; empty: it inserts none."""
        if self.method != "POST" or not urlsplit(self.path).path.endswith("/jobs"):
            return ""
        found = re.search(rb'"jobId":\s*"([^"]+)"', self.body)
        return found[1].decode() if found else ""

    @property
    def is_upload(self) -> bool:
        """Whether the rows come with it."""
        return self.path.startswith("/upload/")


@dataclass(frozen=True)
class Answer:
    """What a server says."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, content: dict[str, Any]) -> Answer:
        return cls(status, {"Content-Type": "application/json"}, json.dumps(content).encode())

    @classmethod
    def error(cls, status: int, reason: str) -> Answer:
        errors = [{"reason": reason, "message": f"{reason}: try again"}]
        return cls.of(status, {"error": {"code": status, "message": reason, "errors": errors}})


Fault = Callable[[Request], str]
"""What happens to a request; empty: nothing."""


@dataclass
class BigQueryProxy:
    """Forwards requests to ``target`` (http://host:port); ``fault`` says what goes wrong."""

    target: str
    fault: Fault = lambda _: ""
    late_seconds: float = 1.0
    done_seconds: float = _DONE_SECONDS
    happened: dict[str, int] = field(default_factory=dict)
    _jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """http://host:port for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def forward(self, request: Request) -> Answer:
        """What the emulator answers."""
        connection = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=120)
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            answer = connection.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() in {"content-type", "content-encoding", "location", "range"}
            }
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()

    def note(self, what: str) -> None:
        """Count what has happened."""
        with self._lock:
            self.happened[what] = self.happened.get(what, 0) + 1

    def answer(self, request: Request, what: str) -> Answer:
        """The answer to a request that something happens to on the server's side."""
        known = self._known(request)
        if known is not None:
            return known
        if what == "twice":
            self.forward(request)
        if what == "running" and request.inserts and not request.is_upload:
            return self._begin(request)
        if what == "failed job" and request.inserts and not request.is_upload:
            reason = random.Random(request.inserts).choice(_FAILURES)
            return self._keep(request, "DONE", {"reason": reason, "message": "no fault of yours"})
        answer = self.forward(request)
        return Answer.error(500, "internalError") if what == "broken" else answer

    def _keep(self, request: Request, state: str, error: dict[str, Any] | None = None) -> Answer:
        sent = json.loads(request.body)
        status: dict[str, Any] = {"state": state}
        if error:
            status |= {"errorResult": error, "errors": [error]}
        reference = sent["jobReference"] | {"location": "US"}
        job = {
            "kind": "bigquery#job",
            "jobReference": reference,
            "configuration": sent["configuration"],
            "status": status,
            "statistics": {"creationTime": str(int(time.time() * 1000))},
        }
        with self._lock:
            self._jobs[request.inserts] = job
        return Answer.of(200, job)

    def _begin(self, request: Request) -> Answer:
        """As the service does: the job is taken, and done later."""
        taken = self._keep(request, "RUNNING")
        job = self._jobs[request.inserts]

        def perform() -> None:
            time.sleep(self.done_seconds)
            if job["status"]["state"] == "RUNNING":
                self.forward(request)
                with self._lock:
                    self._jobs.pop(request.inserts, None)

        threading.Thread(target=perform, daemon=True).start()
        return taken

    def _known(self, request: Request) -> Answer | None:
        """The answer about a job that the emulator does not know."""
        path = urlsplit(request.path).path
        if path.endswith("/jobs") and request.method == "GET":
            return self._listed(request)
        found = _JOB.search(path)
        job_id = request.inserts or (found[2] if found else "")
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            return None
        if request.inserts:
            return Answer.error(409, "duplicate")
        if found and found[3]:
            with self._lock:
                stopped = {
                    "reason": "stopped",
                    "message": "Job execution was cancelled: User requested cancellation",
                }
                job["status"] = {"state": "DONE", "errorResult": stopped, "errors": [stopped]}
            return Answer.of(200, {"kind": "bigquery#jobCancelResponse", "job": job})
        if "/queries/" in path:
            time.sleep(0.05)
            return Answer.of(200, {"jobComplete": False, "jobReference": job["jobReference"]})
        return Answer.of(200, job)

    def _listed(self, request: Request) -> Answer:
        listed = json.loads(self.forward(request).body)
        wanted = re.search(r"stateFilter=(\w+)", request.path)
        with self._lock:
            listed["jobs"] += [
                job
                for job in self._jobs.values()
                if not wanted or job["status"]["state"] == wanted[1].upper()
            ]
        return Answer.of(200, listed)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def shutdown_request(self, request: Any) -> None:
        """Without the polite FIN first: what is reset here is reset."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[BigQueryProxy]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        what = self.proxy.fault(request)
        if what:
            self.proxy.note(what)
        if what == "reset":
            return self._reset()
        if what == "busy":
            status, reason = _BUSY[sum(self.proxy.happened.values()) % len(_BUSY)]
            return self._send(Answer.error(status, reason))
        answer = self.proxy.answer(request, what)
        if what == "lost":
            return self._reset()
        if what == "late":
            time.sleep(self.proxy.late_seconds)
        return self._send(answer, cut=what == "cut")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _send(self, answer: Answer, *, cut: bool = False) -> None:
        with suppress(OSError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
            self.wfile.flush()
        if cut:
            self._reset()

    def _reset(self) -> None:
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True


SHARES = {
    "reset": 0.03,
    "lost": 0.05,
    "late": 0.02,
    "twice": 0.05,
    "busy": 0.04,
    "broken": 0.03,
    "cut": 0.02,
    "running": 0.08,
    "failed job": 0.03,
}
"""How often what happens."""


def chaos(seed: int) -> Fault:
    """Faults at random, but by a seed: each request draws what happens to it."""
    draw, lock = random.Random(f"bigquery {seed}"), threading.Lock()

    def fault(_: Request) -> str:
        with lock:
            lot = draw.random()
        for what, share in SHARES.items():
            lot -= share
            if lot < 0:
                return what
        return ""

    return fault
