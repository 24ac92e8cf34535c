"""A company that brings the events of one billing provider and its plans, nothing else: a valid company.

Nobody has an offer there, its other feeds do not exist, and a file of its first day is corrected after four
days were published.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlparse

import pytest
from typer.testing import CliRunner, Result

from cli import app
from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from runs.publish import publish
from runs.published import published_marts
from runs.steps import asked, land
from segue.settings import Settings
from segue.window import RunWindow
from tests.judged import let_through
from tests.pages import PAGES, mentioned, plain, shown, typed

FIRST, SECOND, THIRD, FOURTH = (date(2026, 3, day) for day in (1, 2, 3, 4))
SUBSCRIPTIONS = range(15)


@dataclass(frozen=True)
class Company:
    settings: Settings

    def deliver(self, table: str, day: date, *rows: dict[str, object]) -> None:
        folder = Path(urlparse(self.settings.landing_files_root).path) / table / str(day)
        folder.mkdir(parents=True, exist_ok=True)
        arrived = {"ingested_at": f"{day}T13:00:00Z"}
        (folder / "rows.ndjson").write_text("".join(json.dumps(arrived | row) + "\n" for row in rows))

    def run_again(self, first: date, last: date | None = None) -> RunWindow:
        """A run of a day or more, of which only subscriptions and what they are made from are built."""
        wanted_days = asked(self.settings, first, last or first)
        window = land(self.settings, wanted_days).window.new_attempt(self.settings, "")
        marts = published_marts(self.settings.dbt_manifest)
        wanted = [each for each in marts if each.kind == "arrivals" or each.name == "fct_subscription_daily"]
        build(self.settings, window, [f"+{each.name}" for each in wanted])
        let_through(self.settings, window, wanted)
        publish(self.settings, window, wanted)
        return window

    def subscriptions(self) -> list[int]:
        """How many were active at the end of each published day."""
        found = warehouse_of(self.settings).run(
            "select countif(was_active_at_day_end) as active from marts.fct_subscription_daily "
            "group by snapshot_date order by snapshot_date"
        )
        return [row.active for row in found]


def event(event_type: str, number: int, day: date) -> dict[str, object]:
    """An event of a subscription, at noon of the day on which it arrives."""
    return {
        "provider": "stripe", "provider_event_id": f"{event_type}-{number}", "subscription_id": f"s{number}",
        "account_id": f"a{number}", "event_type": event_type, "plan_id": "solo", "price_amount": 10,
        "currency": "USD", "interval": "month", "occurred_at": f"{day}T12:00:00Z",
    }  # fmt: skip


def segue(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def first_run(
    world: Callable[..., Settings], parsed_project: Path, bigtable_emulator: str
) -> tuple[Company, Result]:
    """Four days, as somebody would type it who has just begun."""
    settings = world("billing-only", bigtable_emulator_host=bigtable_emulator)
    shutil.copytree(parsed_project.parent, settings.dbt_target_dir)
    company = Company(settings)
    company.deliver(
        "plans",
        FIRST,
        {"plan_id": "solo", "kind": "individual", "interval": "month", "trial_days": 0, "seats": 1},
    )
    company.deliver("subscription_events", FIRST, *(event("started", each, FIRST) for each in SUBSCRIPTIONS))
    company.deliver("subscription_events", SECOND, event("started", 15, SECOND))
    company.deliver("subscription_events", THIRD)
    company.deliver("subscription_events", FOURTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        of_the_page = "segue run 2026-11-20 2026-11-22"
        here = {"2026-11-20": FIRST, "2026-11-22": FOURTH}
        return company, segue(*typed("README.md", of_the_page, here))


def test_what_there_is_is_built_validated_and_published(first_run: tuple[Company, Result]) -> None:
    company, run = first_run

    assert run.exit_code == 0, run.output
    assert company.subscriptions() == [15, 16, 16, 16]


def test_each_line_that_is_logged_says_of_which_run_day_and_step_it_is(
    first_run: tuple[Company, Result],
) -> None:
    _, run = first_run

    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert {line["step"] for line in lines} >= {"land", "build", "validate", "publish", "load"}
    assert {line["day"] for line in lines} == {str(FOURTH)}
    assert len({line["run_id"] for line in lines}) == 1


def test_a_day_on_which_nobody_has_an_offer_is_a_success(first_run: tuple[Company, Result]) -> None:
    _, run = first_run

    said = " ".join(run.output.split())
    assert "load 2026-03-04: nobody has an offer and nothing is online, nothing to load" in said


def said_by_pages(name: str) -> list[str]:
    """Every command of that name for days that a page says."""
    said = {plain(command) for page in PAGES for command in (*shown(page), *mentioned(page))}
    return sorted(each for each in said if re.match(rf"{name} (\d{{4}}-|[A-Z]\b)", each))


def with_day(command: str, day: date) -> list[str]:
    """Its words, with one day for all that it names."""
    return [re.sub(r"^(\d{4}-\d\d-\d\d|[A-Z])$", str(day), word) for word in shlex.split(command)[1:]]


@pytest.mark.parametrize("command", said_by_pages("segue run"))
def test_what_a_page_says_of_a_run_is_what_it_is_asked_for(
    first_run: tuple[Company, Result], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Without the steps, which the run above has gone through; what comes after them is done."""
    company, _ = first_run
    monkeypatch.setattr("segue.settings.get_settings", lambda: company.settings)
    monkeypatch.setattr("runs.steps.STEPS", ())

    done = segue(*with_day(command, FOURTH), "--json")

    assert done.exit_code == 0, done.output
    window = RunWindow.model_validate_json(done.stdout)
    assert (window.start_date, window.end_date) == (FOURTH, FOURTH)
    assert window.data_tests == ("--data-tests" in command)
    assert (window.override_reason is not None) == ("--override-reason" in command)


@pytest.mark.parametrize("command", said_by_pages("segue land day"))
def test_a_day_is_only_landed(
    first_run: tuple[Company, Result], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    company, _ = first_run
    monkeypatch.setattr("segue.settings.get_settings", lambda: company.settings)

    done = segue(*with_day(command, SECOND))

    assert done.exit_code == 0, done.output
    assert "subscription_events" in done.output
    assert company.subscriptions() == [15, 16, 16, 16]


def test_a_corrected_file_rebuilds_every_published_day_that_it_reaches(
    first_run: tuple[Company, Result],
) -> None:
    company, _ = first_run
    started = [event("started", each, FIRST) for each in SUBSCRIPTIONS]
    company.deliver("subscription_events", FIRST, *started, event("expired", 0, FIRST))

    window = company.run_again(FIRST)

    assert (window.start_date, window.end_date, window.as_of_date) == (FIRST, FOURTH, FOURTH)
    assert company.subscriptions() == [14, 15, 15, 15]
