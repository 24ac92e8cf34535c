"""What a run says about its arrivals: what came, what was refused, and what does not reach the marts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from loaders.landing.arrivals import Arrivals
from loaders.landing.days import Landed
from runs.stale import Widening
from segue.settings import Settings
from segue.window import DAY, ImpossibleDaysError, RunWindow


def refuse_unread_days(settings: Settings, arrivals: Arrivals) -> None:
    """Stop when files have arrived on days that no run reads, unless somebody has decided on it.

    Raises:
        ImpossibleDaysError: nobody has set the first day of the history, and there are files before it.
    """
    unread = arrivals.unread_days
    if unread and "history_start_date" not in settings.model_fields_set:
        raise ImpossibleDaysError(
            f"files have arrived on {len(unread)} days from {unread[0]} on, before SEGUE_HISTORY_START_DATE, "
            f"{settings.history_start_date}, and no run would read them; set it to {unread[0]} to have them "
            f"read, or to {settings.history_start_date} to leave them out"
        )


def landing_summary(landed: Landed, asked: RunWindow, widening: Widening) -> str:
    """One line for a log: the days, the rows, and why other days than the ones asked for are built."""
    parts = [f"arrival days to {asked.end_date}, known as of {asked.as_of_date}"]
    parts.append(f"{sum(each.rows_in for each in landed.landings):,} rows")
    refused: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    for each in (*landed.landings, *landed.late):
        refused[each.table] += each.rows_quarantined
        ignored[each.table] += each.rows_ignored
    for what, counts in (("quarantined", refused), ("ignored", ignored)):
        listed = ", ".join(f"{count:,} of {table}" for table, count in sorted(counts.items()) if count)
        if listed:
            parts.append(f"{what} {listed}")
    if landed.late:
        again = sorted({f"{each.table}/{each.day}" for each in landed.late})
        parts.append(f"landed again, because files came or changed: {', '.join(again)}")
    if widening.taken_in:
        parts.append(f"also builds {_ranges(widening.taken_in)}, whose arrivals have changed")
    return "; ".join(parts)


def landing_warnings(settings: Settings, landed: Landed, widening: Widening) -> Iterator[str]:
    """A sentence for everything that has arrived and does not change what is published."""
    yield from _late(settings, landed, widening)
    unverified = sum(each.rows_not_verified for each in (*landed.landings, *landed.late))
    if unverified:
        yield (
            f"signatures of {unverified:,} rows of app_store_notifications were not verified: set "
            "SEGUE_APP_STORE_ROOTS_FILE"
        )
    for reason in landed.waiting:
        yield f"{reason}: the day stays as it had landed until a later run finds it complete"
    if widening.left:
        first, last = widening.left[0], widening.left[-1]
        yield (
            f"{_ranges(widening.left)} were published from arrivals that have changed since, and lie further "
            f"back than SEGUE_RESTATEMENT_DAYS ({settings.restatement_days}): they are not final until "
            f"`segue run {first} {last}` builds them again"
        )
    unread = landed.arrivals.unread_days
    if unread:
        yield (
            f"files of {len(unread)} days from {unread[0]} to {unread[-1]} are not read: they are before "
            f"SEGUE_HISTORY_START_DATE, {settings.history_start_date}"
        )
    if landed.arrivals.strays:
        yield (
            f"nobody reads {', '.join(landed.arrivals.strays)} below the landing root: files lie at "
            "<table>/<YYYY-MM-DD>/, and the contracts name the tables"
        )


def _late(settings: Settings, landed: Landed, widening: Widening) -> Iterator[str]:
    """Rows of days that stay as they were published, because they are not restated any more.

    The very first arrivals bring the past with them, and days that are built now know all of it.
    """
    first, built_from = widening.first_published, widening.window.start_date
    if first is None or first >= built_from:
        return
    rows: Counter[str] = Counter()
    oldest: dict[str, date] = {}
    for each in landed.landings:
        since = each.first_event_date
        if each.rows_late and since and since < built_from and each.day != landed.arrivals.first_day:
            rows[each.table] += each.rows_late
            oldest[each.table] = min(since, oldest.get(each.table, since))
    for table, count in sorted(rows.items()):
        yield (
            f"{count:,} rows of {table} are later than SEGUE_RESTATEMENT_DAYS ({settings.restatement_days}): "
            f"published days before {built_from} do not know them until "
            f"`segue run {max(oldest[table], first)} {built_from - DAY}` builds them again"
        )


def _ranges(days: Sequence[date]) -> str:
    """Days in order, as ranges without gaps."""
    ranges: list[list[date]] = []
    for day in days:
        if ranges and ranges[-1][-1] + DAY == day:
            ranges[-1].append(day)
        else:
            ranges.append([day])
    return ", ".join(f"{each[0]}..{each[-1]}" if len(each) > 1 else str(each[0]) for each in ranges)
