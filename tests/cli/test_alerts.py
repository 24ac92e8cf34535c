"""``segue alerts``: what is open, whether anybody would be told, and saying that it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import cli
from loaders.warehouse.incidents import Incident
from runs.incidents import raise_incidents
from segue.settings import Settings
from tests.loaders.alerts.receivers import mail_server, webhooks

RUNNER = CliRunner()


def use(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)


def test_a_test_alert_goes_to_every_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    with webhooks() as slack:
        use(monkeypatch, Settings(_env_file=None, alert_slack_url=SecretStr(slack.url)))
        done = RUNNER.invoke(cli.app, ["alerts", "test"])

    assert (done.exit_code, done.stdout) == (0, "slack: taken\n")
    assert [body["text"].partition(": ")[2] for body in slack.bodies] == ["test", "over: test"]


def test_a_channel_that_does_not_take_it_is_said_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with webhooks([(403, "action_prohibited")]) as slack:
        use(monkeypatch, Settings(_env_file=None, alert_slack_url=SecretStr(slack.url)))
        done = RUNNER.invoke(cli.app, ["alerts", "test"])

    assert (done.exit_code, done.stdout) == (1, "slack: slack: HTTP 403: action_prohibited\n")

    with webhooks() as new:
        use(monkeypatch, Settings(_env_file=None, alert_slack_url=SecretStr(new.url)))
        done = RUNNER.invoke(cli.app, ["alerts", "test"])
    assert (done.exit_code, done.stdout) == (0, "slack: taken\n")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_fault_of_a_channel_is_said_like_a_refusal_and_shows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mail_server(password="pa55") as box:
        settings = Settings(
            _env_file=None,
            alert_smtp_host="127.0.0.1",
            alert_smtp_port=box.port,
            alert_smtp_security="none",
            alert_smtp_user="segue",
            # Python's SMTP encodes passwords as ASCII.
            alert_smtp_password=SecretStr("pä55"),
            alert_mail_from="segue@example.com",
            alert_mail_to=frozenset({"ann@example.com"}),
        )
        use(monkeypatch, settings)
        done = RUNNER.invoke(cli.app, ["alerts", "test"])

    assert (done.exit_code, done.stdout) == (1, "mail: mail: UnicodeEncodeError\n")


def test_without_a_channel_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Settings(_env_file=None))

    assert "no channel is set" in RUNNER.invoke(cli.app, ["alerts", "test"]).stdout


def test_what_is_open_is_listed_until_somebody_says_that_it_is_over(
    world: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world("alerts")
    use(monkeypatch, settings)
    raise_incidents(
        settings,
        [
            Incident(
                day=date(2026, 11, 26),
                cause="volume",
                what="feed payments has 600 rows",
                since=datetime(2026, 11, 27, 0, 41, tzinfo=UTC),
                ends_with="judged",
                runbook="volume",
                owner="subscriptions-data",
            )
        ],
    )

    listed = RUNNER.invoke(cli.app, ["alerts", "list"])
    assert listed.stdout == (
        "2026-11-26:volume:judged#1  since 2026-11-27T00:41+00:00  feed payments has 600 rows\n"
    )
    close = ["alerts", "close", "2026-11-26:volume:judged#1", "--because", "a campaign"]
    assert RUNNER.invoke(cli.app, close).exit_code == 0
    assert RUNNER.invoke(cli.app, close).exit_code == 1
    assert "nothing is wrong" in RUNNER.invoke(cli.app, ["alerts", "list"]).stdout
    [over] = json.loads(RUNNER.invoke(cli.app, ["alerts", "list", "--all", "--json"]).stdout)
    assert over["incident"] == "2026-11-26:volume:judged#1"
    assert over["closed"]
