"""E-mail over SMTP."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

from loaders.alerts.alert import Alert, AlertNotSentError

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class Mail:
    """A mail server that takes alerts for ``recipients``; one thread an incident."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    timeout_seconds: float
    security: Security = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    name: str = "mail"

    def send(self, alert: Alert) -> None:
        """Send one mail to all recipients.

        Raises:
            AlertNotSentError: the server cannot be reached, or refused the mail.
        """
        try:
            with self._connected() as server:
                if self.user and self.password:
                    server.login(self.user, self.password)
                server.send_message(self._mail(alert))
        except (OSError, smtplib.SMTPException) as error:
            # What a server says of a refused login may hold what was given.
            code = getattr(error, "smtp_code", "")
            raise AlertNotSentError(f"{self.name}: {type(error).__name__} {code}".rstrip()) from None

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_seconds, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_seconds)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _mail(self, alert: Alert) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = alert.title, self.sender, ", ".join(self.recipients)
        thread = hashlib.sha256(alert.incident_id.encode()).hexdigest()[:24]
        mail["Message-ID"] = f"<{thread}.{alert.transition}@segue.invalid>"
        if alert.transition == "closed":
            # Mail programs show it below what it is about.
            mail["In-Reply-To"] = mail["References"] = f"<{thread}.opened@segue.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(alert.text)
        return mail
