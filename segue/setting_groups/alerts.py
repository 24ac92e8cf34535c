"""Who is told of an incident, beside ``ops.incidents`` and the log, and by when a day is due."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode


class AlertSettings(BaseSettings):
    """Channels of alerts, the addresses that they lead to, and deadlines."""

    alert_slack_url: SecretStr | None = Field(
        default=None, description="Incoming webhook of a Slack channel; whoever knows it can write there."
    )
    alert_smtp_host: str | None = Field(default=None, description="Mail server that takes alerts.")
    alert_smtp_port: int = Field(default=587, description="Its port; 465 for `tls`.")
    alert_smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` for a relay on the same machine only."
    )
    alert_smtp_user: str | None = Field(default=None, description="None: no login.")
    alert_smtp_password: SecretStr | None = Field(default=None, description="Password of that user.")
    alert_mail_from: str | None = Field(default=None, description="Sender of alerts.")
    alert_mail_to: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(), description="Who gets alerts by mail, comma-separated."
    )
    alert_pagerduty_key: SecretStr | None = Field(
        default=None, description="Integration key of a PagerDuty service (Events API v2)."
    )
    alert_pagerduty_url: str = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        description="EU: https://events.eu.pagerduty.com/v2/enqueue; or another service that takes the same.",
    )
    alert_callback: str | None = Field(
        default=None, description="module:callable that is given each alert as a dictionary."
    )
    alert_timeout_seconds: float = Field(
        default=10, gt=0, description="A channel that has not answered by then is tried again, four times."
    )
    ui_url: str | None = Field(
        default=None,
        description="Where people reach the Airflow UI, https://…: alerts link a day's page in it. None: "
        "they name its path.",
    )
    docs_url: str | None = Field(
        default=None,
        description="Where these pages are published, https://…: alerts link the runbook's entry. None: they "
        "name the file.",
    )
    marts_deadline_hours: float = Field(
        default=6, gt=0, description="A day's marts are published by so long after its end, or it is told."
    )
    online_deadline_hours: float = Field(
        default=6.5, gt=0, description="A day's segments are online by so long after its end, or it is told."
    )

    @field_validator("alert_mail_to", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        """An environment variable is one text, names between commas."""
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("alert_mail_to")
    @classmethod
    def _is_named_whole(cls, value: frozenset[str], read: ValidationInfo) -> frozenset[str]:
        """Half a mail server is found when settings are read: not when the others would tell of something."""
        if read.data.get("alert_smtp_host") and not (value and read.data.get("alert_mail_from")):
            raise ValueError(
                "SEGUE_ALERT_SMTP_HOST is set, so SEGUE_ALERT_MAIL_FROM and SEGUE_ALERT_MAIL_TO have to be"
            )
        return value
