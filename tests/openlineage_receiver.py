"""An OpenLineage receiver on loopback that keeps the events it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Receiver:
    """Events in the order in which they came."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def of_job(self, name: str) -> dict[str, Any]:
        """The newest event of a job."""
        return [each for each in self.events if each["job"]["name"] == name][-1]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One that listens, on a free port."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/v1/lineage":
                kept.events.append(json.loads(body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()
