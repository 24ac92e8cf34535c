"""Which files a day must have, by what has arrived so far; nothing here needs a warehouse."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.listing import folders
from loaders.objects.folder import FolderStore
from segue.errors import SettingsError
from segue.settings import Settings

EARLY = date(2019, 12, 31)
FIRST, SECOND, THIRD, FOURTH = (date(2026, 3, day) for day in (1, 2, 3, 4))


def arrivals(
    landed: dict[date, set[str]] | None = None,
    files: dict[str, set[date]] | None = None,
    feeds: set[str] | None = None,
) -> Arrivals:
    return Arrivals(
        history_start_date=date(2020, 1, 1),
        landed={day: frozenset(tables) for day, tables in (landed or {}).items()},
        files={table: frozenset(days) for table, days in (files or {}).items()},
        named_feeds=None if feeds is None else frozenset(feeds),
    )


def test_a_feed_is_due_from_its_first_file_on() -> None:
    found = arrivals({FIRST: {"payments"}}, {"stripe_events": {SECOND}})

    assert [found.is_due("payments", day) for day in (FIRST, SECOND, THIRD)] == [True, True, True]
    assert [found.is_due("stripe_events", day) for day in (FIRST, SECOND, THIRD)] == [False, True, True]
    assert not found.is_due("app_store_notifications", THIRD)


def test_files_that_come_now_and_then_are_due_where_they_landed_before() -> None:
    found = arrivals({FIRST: {"accounts"}})

    assert [found.is_due("accounts", day) for day in (FIRST, SECOND)] == [True, False]


def test_named_feeds_are_due_and_no_others() -> None:
    found = arrivals({FIRST: {"payments", "stripe_events"}}, feeds={"stripe_events", "accounts"})

    assert found.is_due("stripe_events", SECOND)
    assert found.is_due("accounts", SECOND)
    assert not found.is_due("payments", SECOND)
    # What landed with a file does not land again without.
    assert found.is_due("payments", FIRST)


def test_a_named_feed_that_begins_later_is_not_due_before() -> None:
    found = arrivals({FIRST: {"payments"}}, {"stripe_events": {THIRD}}, feeds={"payments", "stripe_events"})

    assert [found.is_due("stripe_events", day) for day in (SECOND, THIRD)] == [False, True]


def test_feeds_are_named_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_FEEDS", "payments, stripe_events,")
    assert Settings(_env_file=None).feeds == {"payments", "stripe_events"}
    monkeypatch.setenv("SEGUE_FEEDS", "")
    assert Settings(_env_file=None).feeds is None


@pytest.mark.parametrize("setting", ["feeds", "manifest_feeds"])
def test_a_feed_that_is_no_table_is_a_wrong_setting(setting: str) -> None:
    with pytest.raises(SettingsError, match=f"SEGUE_{setting.upper()}: there is no table strype"):
        Arrivals.read(Settings(_env_file=None, **{setting: "payments,strype"}))


def test_days_are_missing_between_the_first_with_files_and_the_one_asked_for() -> None:
    found = arrivals({THIRD: set()}, {"payments": {FIRST, THIRD}, "accounts": {EARLY}})

    assert found.first_day == FIRST
    assert found.missing(FOURTH) == [FIRST, SECOND, FOURTH]
    assert found.with_landed({FOURTH: {"payments"}}).contiguous_from(THIRD) == FOURTH


def test_files_before_the_history_are_no_arrivals_but_are_known() -> None:
    found = arrivals(files={"payments": {EARLY, SECOND}})

    assert (found.first_day, found.unread_days) == (SECOND, [EARLY])


def test_what_is_no_tables_and_no_days_folder_is_known(tmp_path: Path) -> None:
    for name in (
        "payments/2026-03-01/p0.csv", "payments/20260302/p0.csv", "payments/2026-03-03",
        "payment/2026-03-02/x", "plans/_cursor", "_scratch/x", "readme.txt",
    ):  # fmt: skip
        FolderStore(tmp_path).write(name, b"")
    (tmp_path / "payments" / "2026-02-28").mkdir()

    found, strays = folders(FolderStore(tmp_path), CONTRACTS)

    assert found == {"payments": {FIRST}, "plans": frozenset()}
    assert strays == ("payment", "payments/2026-03-03", "payments/20260302", "readme.txt")
