"""Who listens to alerts, on loopback: a server of webhooks, and a mail server."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.bigquery_process import free_port


@dataclass
class Webhooks:
    """An HTTP server; ``answers`` are given in turn, the last one from then on."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, "ok")])


@contextmanager
def webhooks(answers: Sequence[tuple[int, str]] = ((200, "ok"),)) -> Iterator[Webhooks]:
    """Listen for the time of a test."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            received.bodies.append(json.loads(self.rfile.read(length)))
            turn = min(len(received.bodies), len(received.answers)) - 1
            status, text = received.answers[turn]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Tests look at what was received."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Webhooks(f"http://127.0.0.1:{server.server_port}/services/T0/B0/s3cret", answers=list(answers))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server's address, and what it has taken."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


@contextmanager
def mail_server(password: str | None = None, tls: SSLContext | None = None) -> Iterator[Mailbox]:
    """Listen for the time of a test; with ``password``, take mail of whoever logs in with it."""
    box = Mailbox()

    class Keeper:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            box.mails.append(mail)
            box.recipients.extend(envelope.rcpt_tos)
            return "250 OK"

    def authenticate(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given.password.decode() == password, handled=False)

    # The server warns of passwords without TLS, rightly so elsewhere.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    options: dict[str, Any] = {"tls_context": tls, "require_starttls": tls is not None}
    if password:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    box.port = free_port()
    controller = Controller(Keeper(), hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
