"""What one run is about: the days it builds, what it may read, and where it builds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from segue.errors import SegueError
from segue.settings import Settings

DAY = timedelta(days=1)
ATTEMPT_TIME = "%Y%m%d%H%M%S"
"""How an audit dataset's name says when its attempt began, in UTC."""


class ImpossibleDaysError(SegueError):
    """The days that were asked for cannot be built."""

    code = "impossible_days"
    exit_code = 2
    is_final = True


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day of [first, last]; none when ``last`` is before ``first``."""
    return (first + DAY * n for n in range((last - first).days + 1))


def first_of_next_month(day: date) -> date:
    """The first day of the month after that of ``day``."""
    return (day.replace(day=28) + 4 * DAY).replace(day=1)


def refuse_impossible_days(settings: Settings, start_date: date, end_date: date) -> None:
    """Say so before anything starts, rather than leave days out without a word.

    Raises:
        ImpossibleDaysError: the days are in the wrong order, or before the history that is kept.
    """
    if end_date < start_date:
        raise ImpossibleDaysError(f"{start_date}..{end_date} ends before it starts")
    if start_date < settings.history_start_date:
        raise ImpossibleDaysError(
            f"{start_date} is before SEGUE_HISTORY_START_DATE, {settings.history_start_date}: no model reads "
            "arrivals before it, so those days would be left out; set it to the first day of your data"
        )


class HistoryWindow(BaseModel):
    """First partition of each history table that a run builds; it reads the earlier ones as published.

    Of a table that ``first_days`` does not name everything is built; a day after the run's as-of day means
    that nothing has to be. ``raw_read_at`` is the moment of the last landing that the run reads: what landed,
    or was erased, later it may not have seen. ``code_version`` is a digest of the models and macros that the
    history is made by. ``goes_on_from`` is the first of an earlier month, whose partitions of tables that go
    on from each other the run's own begin with; None: with the first arrival.
    ``published_marts`` are those of which it reads the days that it does not build as published: no later
    arrival changes them.
    """

    model_config = ConfigDict(frozen=True)

    first_days: Mapping[str, date]
    raw_read_at: datetime
    code_version: str
    goes_on_from: date | None = None
    published_marts: tuple[str, ...] = ()


class RunWindow(BaseModel):
    """The UTC days a run builds, both inclusive, the last arrival day that it may read, what it builds of the
    history on the way, the dataset it builds in, and whether dbt tests the structure of what it builds.

    ``project_digest`` is of the dbt project that built it, empty before it is built. ``override_reason`` is
    why somebody publishes the run although the gate refuses it; without one, nobody can.

    Crosses from task to task whole: ``model_dump(mode="json")`` and ``model_validate``.
    """

    model_config = ConfigDict(frozen=True)

    start_date: date
    end_date: date
    as_of_date: date
    audit_dataset: str
    history: HistoryWindow
    data_tests: bool = False
    project_digest: str = ""
    override_reason: str | None = None
    awaits_scores: bool = False
    """Whether the build has left what reads scores to the step that scores the days."""
    asked_end_date: date | None = None
    """Last day that was asked for, whatever days are built with it; None: nobody has asked."""
    known_start_date: date | None = None
    """First day of the marts that describe a day as it was known then, which late events do not change; None:
    ``start_date``."""

    @classmethod
    def whole(
        cls,
        settings: Settings,
        start_date: date,
        end_date: date,
        as_of_date: date | None = None,
        raw_read_at: datetime | None = None,
    ) -> RunWindow:
        """A run that builds all of the history from raw and reads nothing that was published.

        Without ``raw_read_at`` it has yet to be seen what has landed; only this machine's clock is known.
        """
        return cls(
            start_date=start_date,
            end_date=end_date,
            as_of_date=as_of_date or end_date,
            audit_dataset=settings.audit_dataset(end_date),
            history=HistoryWindow(
                first_days={},
                raw_read_at=raw_read_at or datetime.now(UTC),
                code_version="",
            ),
        )

    def new_attempt(self, settings: Settings, project_digest: str) -> RunWindow:
        """The same run with an audit dataset that no other attempt knows, not even one of the same days.

        Its name has the attempt's time, by which those that nobody removed are found.
        """
        stamp = f"{datetime.now(UTC):{ATTEMPT_TIME}}_{secrets.token_hex(2)}"
        dataset = f"{settings.audit_dataset(self.end_date)}_{stamp}"
        return self.model_copy(update={"audit_dataset": dataset, "project_digest": project_digest})

    def table(self, model: str) -> str:
        """The quoted name of a model as this run built it, in the project of whoever asks."""
        return f"`{self.audit_dataset}.{model}`"

    @property
    def days(self) -> list[date]:
        """The days that are built."""
        return list(days_between(self.start_date, self.end_date))

    def first_day(self, *, as_known_then: bool = False) -> date:
        """The first day that is built of marts of which each day knows all, or ``as_known_then``."""
        return (self.known_start_date or self.start_date) if as_known_then else self.start_date

    def partitions(self, column: str, restates_days: int = 0, *, as_known_then: bool = False) -> str:
        """The constant filter on the partitions that a mart rebuilds, as many days early as it restates."""
        first = self.first_day(as_known_then=as_known_then) - DAY * restates_days
        return f"{column} between date '{first}' and date '{self.end_date}'"

    def day_before(self, column: str) -> str:
        """The constant filter on the days that the run's days are compared with."""
        return f"{column} between date '{self.start_date - DAY}' and date '{self.end_date - DAY}'"

    def __str__(self) -> str:
        return f"{self.start_date}..{self.end_date}"
