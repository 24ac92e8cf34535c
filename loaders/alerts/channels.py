"""Which channels the settings name."""

from __future__ import annotations

from loaders.alerts.alert import Channel
from loaders.alerts.callback import Callback
from loaders.alerts.mail import Mail
from loaders.alerts.pagerduty import PagerDuty
from loaders.alerts.slack import Slack
from segue.settings import Settings


def channels_of(settings: Settings) -> list[Channel]:
    """Every channel that the settings name; none: alerts are rows of ``ops.incidents`` and lines of a log."""
    channels: list[Channel] = []
    timeout = settings.alert_timeout_seconds
    if settings.alert_slack_url:
        channels.append(Slack(settings.alert_slack_url.get_secret_value(), timeout))
    if settings.alert_smtp_host and settings.alert_mail_from:
        password = settings.alert_smtp_password
        channels.append(
            Mail(
                host=settings.alert_smtp_host,
                port=settings.alert_smtp_port,
                sender=settings.alert_mail_from,
                recipients=tuple(sorted(settings.alert_mail_to)),
                timeout_seconds=timeout,
                security=settings.alert_smtp_security,
                user=settings.alert_smtp_user,
                password=password.get_secret_value() if password else None,
            )
        )
    if settings.alert_pagerduty_key:
        key = settings.alert_pagerduty_key.get_secret_value()
        channels.append(PagerDuty(settings.alert_pagerduty_url, key, settings.project_id, timeout))
    if settings.alert_callback:
        channels.append(Callback(settings.alert_callback))
    return channels
