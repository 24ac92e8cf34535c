"""What models predict: events of an account, each declared once over the published marts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

EventName = Literal["trial_started", "trial_converted", "subscribed", "churned"]


@dataclass(frozen=True)
class Event:
    """Rows of a mart, each of which says that something happened to an account on a UTC day.

    ``condition`` and ``day`` are GoogleSQL over the mart's own columns: which rows count, and the day on
    which it happened. That day is at most ``reach_days`` after the row's ``partition``, and never before it.
    """

    description: str
    mart: str
    partition: str
    day: str
    condition: str = "true"
    reach_days: int = 0
    account: str = "account_id"
    at: str | None = None
    """The instant, where the mart tells it: what an offer did can so be told from what came before it."""
    settles_days: int = 0
    """For so many days after it happened, the mart may still find that it did not count."""


EVENTS: Final[dict[str, Event]] = {
    "trial_started": Event("starts a trial", "fct_trial", "trial_date", "trial_date", at="trial_started_at"),
    "trial_converted": Event(
        "pays for the first time after a trial, and keeps what it paid for",
        "fct_trial",
        "trial_date",
        "date(converted_at)",
        condition="is_converted",
        reach_days=90,
        at="converted_at",
        settles_days=14,
    ),
    "subscribed": Event(
        "begins to pay, for the first time or again",
        "fct_subscriber_daily",
        "snapshot_date",
        "snapshot_date",
        condition="movement in ('new', 'reactivation')",
    ),
    "churned": Event(
        "ceases to pay for anything",
        # Small, and the same accounts and days as the movement churn of fct_subscriber_daily.
        "fct_churn",
        "churn_date",
        "churn_date",
    ),
}

assert set(get_args(EventName)) == set(EVENTS), "the type checker and editors know the same names"
