"""What a run says about its arrivals; everything that does not reach the marts is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.landing.days import Landed
from loaders.landing.read_days import TableLanding
from runs.landing_report import landing_summary, landing_warnings
from runs.stale import Widening
from segue.settings import Settings
from segue.window import DAY, RunWindow

SETTINGS = Settings(_env_file=None)
FIRST, TODAY = date(2026, 1, 1), date(2026, 3, 31)
ARRIVALS = Arrivals(SETTINGS.history_start_date, {FIRST: frozenset()}, {})
WINDOW = RunWindow.whole(SETTINGS, TODAY - 14 * DAY, TODAY)
NOTHING_STALE = Widening(WINDOW, first_published=FIRST, taken_in=(), left=())


def warnings(*landings: TableLanding, widening: Widening = NOTHING_STALE) -> list[str]:
    return list(landing_warnings(SETTINGS, Landed(list(landings), ARRIVALS), widening))


def late(rows: int, since: date, day: date = TODAY) -> TableLanding:
    return TableLanding("payments", day, first_event_date=since, rows_late=rows)


def test_a_quiet_morning_has_no_warnings() -> None:
    assert warnings(TableLanding("payments", TODAY, first_event_date=TODAY)) == []


def test_rows_of_published_days_that_are_not_restated_any_more_are_counted() -> None:
    assert warnings(late(2, date(2026, 2, 3)), late(1, date(2026, 2, 1), TODAY - DAY)) == [
        "3 rows of payments are later than SEGUE_RESTATEMENT_DAYS (14): published days before 2026-03-17 do "
        "not know them until `segue run 2026-02-01 2026-03-16` builds them again"
    ]


def test_late_rows_miss_no_day_that_is_built_now_or_was_never_published() -> None:
    built_now = replace(NOTHING_STALE, window=WINDOW.model_copy(update={"start_date": FIRST}))
    unpublished = replace(NOTHING_STALE, first_published=WINDOW.start_date)

    assert warnings(late(2, date(2026, 2, 3)), widening=built_now) == []
    assert warnings(late(2, date(2026, 2, 3)), widening=unpublished) == []
    assert warnings(late(900, date(2023, 1, 1), day=FIRST)) == []


def test_stale_days_that_are_left_are_named_with_the_command_for_them() -> None:
    left = (date(2026, 2, 1), date(2026, 2, 2), date(2026, 2, 5))

    assert warnings(widening=replace(NOTHING_STALE, left=left)) == [
        "2026-02-01..2026-02-02, 2026-02-05 were published from arrivals that have changed since, and lie "
        "further back than SEGUE_RESTATEMENT_DAYS (14): they are not final until `segue run 2026-02-01 "
        "2026-02-05` builds them again"
    ]


def test_the_summary_counts_what_was_refused_and_says_why_more_days_are_built() -> None:
    landings = [
        TableLanding("payments", TODAY, rows_in=1_000, rows_quarantined=3),
        TableLanding("accounts", TODAY, rows_in=234),
    ]
    widening = replace(NOTHING_STALE, taken_in=(date(2026, 3, 17), date(2026, 3, 18)))

    assert landing_summary(Landed(landings, ARRIVALS), WINDOW, widening) == (
        "arrival days to 2026-03-31, known as of 2026-03-31; 1,234 rows; quarantined 3 of payments; also "
        "builds 2026-03-17..2026-03-18, whose arrivals have changed"
    )
