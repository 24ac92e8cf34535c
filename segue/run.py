"""One run of the platform: land, build, validate, publish a range of days, then load the last one online.

A day and a range are the same code; Airflow calls the steps one by one, ``segue run`` all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from loaders.warehouse.history import HistoryWindow, history_window
from segue.settings import Settings

StepReport = Callable[[str, str], None]
"""Called with a step's name and one line of what it did."""


@dataclass(frozen=True)
class RunWindow:
    """The UTC days a run builds, both inclusive, the last arrival day it may read, and what it builds of the
    subscription history on the way."""

    start_date: date
    end_date: date
    as_of_date: date
    history: HistoryWindow

    def to_dict(self) -> dict[str, str]:
        """ISO strings, for XCom and JSON."""
        return {
            "start_date": self.start_date.isoformat(),
            "end_date": self.end_date.isoformat(),
            "as_of_date": self.as_of_date.isoformat(),
            "events_from_date": self.history.events_from_date.isoformat(),
            "versions_from_date": self.history.versions_from_date.isoformat(),
            "raw_read_at": self.history.raw_read_at.isoformat(),
            "code_version": self.history.code_version,
        }

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> RunWindow:
        """The reverse of ``to_dict``; other keys are ignored."""
        return cls(
            start_date=date.fromisoformat(values["start_date"]),
            end_date=date.fromisoformat(values["end_date"]),
            as_of_date=date.fromisoformat(values["as_of_date"]),
            history=HistoryWindow(
                events_from_date=date.fromisoformat(values["events_from_date"]),
                versions_from_date=date.fromisoformat(values["versions_from_date"]),
                raw_read_at=datetime.fromisoformat(values["raw_read_at"]),
                code_version=values["code_version"],
            ),
        )


def land(settings: Settings, start_date: date, end_date: date) -> RunWindow:
    """Land the arrival days of a run and say which days it must build.

    A single day reaches back to the earliest day that its late events belong to (at most
    ``settings.restatement_days``); a longer range is built as asked. Earlier arrival days that never landed
    are landed first, so that runs may come in any order.

    Days before the very first arrival have no files and need none: they are built from what the first
    arrival tells about them, as a billing export does that is made once.

    Raises:
        LandingError: a file is missing, unreadable or breaks its contract as a whole.
    """
    from loaders.landing import days

    earliest = days.first_arrival_day(settings) or start_date
    last = max(end_date, earliest)
    days.land_through(settings, max(start_date, earliest), last)
    as_of = days.contiguous_landed_day(settings, last)
    first = days.reach(settings, end_date) if start_date == end_date else start_date
    return RunWindow(first, end_date, as_of, history_window(settings, as_of))


def run(settings: Settings, start_date: date, end_date: date, report: StepReport) -> RunWindow:
    """Every step for [start_date, end_date]; running it again gives the same tables.

    Raises:
        LandingError, BuildError, ValidationFailedError, PublishError, LoadError: the step of that name
            failed; what was published before stays as it is.
    """
    from loaders.warehouse.build import build, ensure_parsed
    from loaders.warehouse.publish import drop_audit, publish

    ensure_parsed(settings)
    window = land(settings, start_date, end_date)
    report("land", f"arrival days to {end_date}, known as of {window.as_of_date}")
    build(settings, window.start_date, window.end_date, window.as_of_date, history=window.history)
    report("build", f"{window.start_date}..{window.end_date}")
    # Imported here because Great Expectations takes ten seconds, which a failing build need not wait for.
    from expectations.gate import validate

    result = validate(settings, window.start_date, window.end_date, window.as_of_date)
    report("validate", f"{len(result.outcomes)} expectations, {len(result.warnings)} warnings")
    publication = publish(
        settings, window.start_date, window.end_date, window.as_of_date, history=window.history
    )
    drop_audit(settings, end_date)
    report("publish", publication.summary())
    return window
