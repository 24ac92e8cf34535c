"""Alerts as they arrive: at a webhook of Slack's kind, an endpoint of events, a mailbox, a callable."""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from loaders.alerts.alert import Alert, AlertNotSentError
from loaders.alerts.channels import channels_of
from loaders.alerts.slack import SECTION_LENGTH
from segue.errors import SettingsError
from segue.settings import Settings, get_settings
from tests.certificates import Authority
from tests.loaders.alerts.receivers import mail_server, webhooks

# Of the receiver, which takes passwords without TLS here.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

OPENED = Alert(
    incident_id="2026-11-26:landing_refused#1",
    transition="opened",
    day=date(2026, 11, 26),
    cause="landing_refused",
    severity="error",
    what="daily_marts.land has failed: fx_rates/2026-11-26: <no> file & nothing",
    since=datetime(2026, 11, 27, 0, 41, tzinfo=UTC),
    owner="subscriptions-data",
    still_served="marts up to 2026-11-25, offers of 2026-11-25",
    runbook="https://docs.example/runbook/#landing_refused",
    day_page="https://airflow.example/segue/days/2026-11-26",
)
CLOSED = replace(
    OPENED,
    transition="closed",
    closed_at=datetime(2026, 11, 27, 7, 12, tzinfo=UTC),
    closed_because="2026-11-26..2026-11-26 was published",
)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.alerts.webhook.FIRST_WAIT_SECONDS", 0)


def send(alert: Alert, **settings: Any) -> None:
    [channel] = channels_of(Settings(_env_file=None, **settings))
    channel.send(alert)


def test_slack_is_told_everything_that_somebody_needs_to_act() -> None:
    with webhooks() as slack:
        send(OPENED, alert_slack_url=slack.url)
        send(CLOSED, alert_slack_url=slack.url)

    opened, closed = slack.bodies
    assert opened["text"] == "Segue 2026-11-26: landing_refused"
    assert opened["blocks"][0]["text"]["text"].splitlines() == [
        "*Segue 2026-11-26: landing_refused*",
        # A mention of everybody would be <!channel>.
        "*What:* daily_marts.land has failed: fx_rates/2026-11-26: &lt;no&gt; file &amp; nothing",
        "*Since:* 2026-11-27 00:41 UTC",
        "*Still served:* marts up to 2026-11-25, offers of 2026-11-25",
        "*Owner:* subscriptions-data",
        "*What to do:* https://docs.example/runbook/#landing_refused",
        "*The day:* https://airflow.example/segue/days/2026-11-26",
    ]
    assert closed["text"] == "Segue 2026-11-26: over: landing_refused"
    assert (
        "*Until:* 2026-11-27 07:12 UTC: 2026-11-26..2026-11-26 was published"
        in closed["blocks"][0]["text"]["text"]
    )


@pytest.mark.parametrize("sign", ["x", "&", "<"])
def test_slack_is_told_the_beginning_of_what_is_too_long_and_where_to_read_on(sign: str) -> None:
    long = replace(OPENED, what=sign * 9_000, still_served=sign * 9_000)
    with webhooks() as slack:
        send(long, alert_slack_url=slack.url)

    text = slack.bodies[0]["blocks"][0]["text"]["text"]
    title, what, *_, day = text.splitlines()
    # An entity is up to five characters, and is not cut in two.
    assert SECTION_LENGTH - 10 < len(text) <= SECTION_LENGTH == 3_000
    assert title == "*Segue 2026-11-26: landing_refused*"
    assert re.fullmatch(r"\*What:\* (x+|(&amp;)+|(&lt;)+)…", what)
    assert day == "*The day:* https://airflow.example/segue/days/2026-11-26"


def test_an_event_pages_once_and_its_recovery_resolves_the_same_one() -> None:
    with webhooks([(202, "{}")]) as pagerduty:
        for alert in (OPENED, CLOSED):
            send(
                alert,
                alert_pagerduty_key="r0uting",
                alert_pagerduty_url=pagerduty.url,
                project_id="acme-prod",
            )

    opened, closed = pagerduty.bodies
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    # Without how often it has come: what could not be recorded is the same incident.
    assert opened["dedup_key"] == closed["dedup_key"] == "segue:acme-prod:2026-11-26:landing_refused"
    assert opened["routing_key"] == "r0uting"
    assert opened["payload"]["severity"] == "error"
    assert opened["payload"]["timestamp"] == "2026-11-27T00:41:00+00:00"
    assert opened["payload"]["custom_details"]["Owner"] == "subscriptions-data"
    assert [link["href"] for link in opened["links"]] == [OPENED.runbook, OPENED.day_page]


def test_a_mail_goes_to_everybody_and_its_recovery_is_shown_below_it() -> None:
    with mail_server(password="pa55") as box:
        for alert in (OPENED, CLOSED):
            send(
                alert,
                alert_smtp_host="127.0.0.1",
                alert_smtp_port=box.port,
                alert_smtp_security="none",
                alert_smtp_user="segue",
                alert_smtp_password="pa55",
                alert_mail_from="segue@example.com",
                alert_mail_to="ann@example.com, bo@example.com",
            )

    opened, closed = box.mails
    assert box.recipients == ["ann@example.com", "bo@example.com"] * 2
    assert opened["Subject"] == "Segue 2026-11-26: landing_refused"
    assert "Still served: marts up to 2026-11-25" in opened.get_content()
    assert closed["Subject"] == "Segue 2026-11-26: over: landing_refused"
    assert closed["In-Reply-To"] == opened["Message-ID"]


TOLD: list[dict[str, Any]] = []


def note_down(alert: dict[str, Any]) -> None:
    TOLD.append(alert)


def fail(alert: dict[str, Any]) -> None:
    raise ConnectionError(f"https://hooks.example/?token=s3cret does not take {alert['cause']}")


def test_a_callable_of_others_is_given_plain_values() -> None:
    send(OPENED, alert_callback=f"{__name__}:note_down")

    [told] = TOLD
    assert (told["transition"], told["day"], told["since"]) == (
        "opened",
        "2026-11-26",
        "2026-11-27T00:41:00+00:00",
    )
    with pytest.raises(AlertNotSentError) as failed:
        send(OPENED, alert_callback=f"{__name__}:fail")
    # What others say may show an address or a token.
    assert str(failed.value) == f"landing_refused: {__name__}:fail: ConnectionError"
    assert failed.value.__suppress_context__


def test_a_receiver_that_is_busy_is_asked_again() -> None:
    with webhooks([(500, "oops"), (429, "slow down"), (200, "ok")]) as slack:
        send(OPENED, alert_slack_url=slack.url)

    assert len(slack.bodies) == 3


@pytest.mark.parametrize(
    ("answers", "said", "attempts"),
    [
        ([(404, "no_service")], "slack: HTTP 404: no_service", 1),
        ([(503, "down")], "slack: HTTP 503: down", 4),
    ],
)
def test_what_a_receiver_refuses_is_said_without_its_address(
    answers: list[tuple[int, str]], said: str, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        webhooks(answers) as slack,
        pytest.raises(AlertNotSentError) as failed,
    ):
        send(OPENED, alert_slack_url=slack.url)

    assert str(failed.value) == said
    assert len(slack.bodies) == attempts
    # httpx logs each address that it asks.
    assert "s3cret" not in caplog.text + repr(failed.value) + repr(failed.value.__context__)


def test_nobody_there_is_said_without_the_address() -> None:
    with pytest.raises(AlertNotSentError, match=r"^slack: ConnectError$"):
        send(OPENED, alert_slack_url="http://127.0.0.1:9/services/s3cret")
    with pytest.raises(AlertNotSentError, match=r"^mail: ConnectionRefusedError$"):
        send(
            OPENED,
            alert_smtp_host="127.0.0.1",
            alert_smtp_port=9,
            alert_mail_from="segue@example.com",
            alert_mail_to="ann@example.com",
        )


def test_a_wrong_password_is_said_and_not_shown() -> None:
    with mail_server(password="pa55") as box, pytest.raises(AlertNotSentError) as failed:
        send(
            OPENED,
            alert_smtp_host="127.0.0.1",
            alert_smtp_port=box.port,
            alert_smtp_security="none",
            alert_smtp_user="segue",
            alert_smtp_password="wr0ng",
            alert_mail_from="segue@example.com",
            alert_mail_to="ann@example.com",
        )

    assert str(failed.value) == "mail: SMTPAuthenticationError 535"


def test_mail_goes_over_tls_to_a_server_whose_certificate_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with mail_server(tls=context) as box:
        told = {
            "alert_smtp_host": "localhost",
            "alert_smtp_port": box.port,
            "alert_mail_from": "segue@example.com",
            "alert_mail_to": "ann@example.com",
        }
        with pytest.raises(AlertNotSentError, match="SSLCertVerificationError"):
            send(OPENED, **told)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        send(OPENED, **told)

    assert [mail["Subject"] for mail in box.mails] == ["Segue 2026-11-26: landing_refused"]


def test_a_server_without_tls_gets_no_mail_unless_that_is_allowed() -> None:
    with mail_server() as box, pytest.raises(AlertNotSentError, match="SMTPNotSupportedError"):
        send(
            OPENED,
            alert_smtp_host="127.0.0.1",
            alert_smtp_port=box.port,
            alert_mail_from="segue@example.com",
            alert_mail_to="ann@example.com",
        )


def test_secrets_of_channels_are_not_shown() -> None:
    settings = Settings(
        _env_file=None,
        alert_slack_url="https://hooks.example/s3cret",
        alert_pagerduty_key="s3cret",
        alert_smtp_host="mail.example",
        alert_smtp_password="s3cret",
        alert_mail_from="segue@example.com",
        alert_mail_to="ann@example.com",
    )

    assert "s3cret" not in repr(settings) + repr(channels_of(settings))


@pytest.mark.parametrize("named", [{}, {"SEGUE_ALERT_MAIL_FROM": "segue@example.com"}])
def test_a_channel_that_is_named_in_part_is_refused_when_the_settings_are_read(
    named: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (named | {"SEGUE_ALERT_SMTP_HOST": "mail.example"}).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=r"^SEGUE_ALERT_MAIL_TO: .*SEGUE_ALERT_SMTP_HOST is set"):
        get_settings.__wrapped__()


def test_without_settings_there_is_no_channel() -> None:
    assert channels_of(Settings(_env_file=None)) == []
