"""An export that is made again, or converted again: what its files say, and what no longer lies there."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.landing.errors import LandingError
from loaders.landing.period_map import PeriodMap, read_period_map
from loaders.landing.periods import PeriodsLanding, land_periods
from loaders.objects.folder import FolderStore
from loaders.objects.store import ObjectStoreError

MAP = """
usd_rates: {USD: 1}
periods:
  subscription_id: sub
  account_id: acct
  start: begins
  end: ends
  plan: {constant: Solo}
  plan_kind: {constant: individual}
  interval: {constant: month}
  price: price
  currency: {constant: USD}
  is_trial: {constant: "false"}
accounts: {market: {constant: US}, locale: {constant: en}}
"""
FEBRUARY, MARCH = date(2026, 2, 2), date(2026, 3, 2)


@pytest.fixture
def out(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "out")


def period_map(tmp_path: Path, keys: str = "", changed: str = MAP) -> PeriodMap:
    (tmp_path / "map.yml").write_text(f"{keys}\n{changed}")
    return read_period_map(tmp_path / "map.yml")


def convert(
    tmp_path: Path,
    out: FolderStore,
    rows: str,
    arrival: date | None = None,
    keys: str = "",
    name: str = "subs.csv",
    **given: Any,
) -> PeriodsLanding:
    """Convert an export of the rows ``subscription account begins ends price``, with - for an empty value."""
    lines = [",".join("" if v == "-" else v for v in row.split()) for row in rows.split("|")]
    (tmp_path / name).write_text("sub,acct,begins,ends,price\n" + "\n".join(lines) + "\n")
    return land_periods(tmp_path / name, period_map(tmp_path, keys), out, arrival, **given)


def events(out: FolderStore, day: date | str = "*") -> list[tuple[str, ...]]:
    """(arrival day, id, type, price) of every event, in order."""
    return [
        (path.parent.name, row["provider_event_id"], row["event_type"], f"{row['price_amount'] or 0:.0f}")
        for path in sorted(out.root.glob(f"subscription_events/{day}/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def files(out: FolderStore) -> set[str]:
    return {str(path.relative_to(out.root)) for path in out.root.glob("*/*-*-*/*.parquet")}


Drawn = tuple[str, int, int | None, int]
_DAYS = st.integers(0, 40) | st.integers(0, 2)
_ROWS = st.lists(
    st.tuples(st.sampled_from(["s1", "s2"]), _DAYS, st.one_of(st.none(), _DAYS), st.integers(0, 3)),
    min_size=1,
    max_size=8,
)


@given(_ROWS, st.randoms())
@settings(max_examples=60, deadline=None)
def test_whatever_the_rows_none_is_lost_and_their_order_and_doing_it_twice_change_nothing(
    drawn: list[Drawn], random: Random
) -> None:
    def day(number: int) -> date:
        return date(2026, 1, 1) + timedelta(days=number)

    rows = [
        f"{sub} a_{sub} {day(start)} {'-' if end is None else day(end)} {price}"
        for sub, start, end, price in drawn
    ]
    with TemporaryDirectory() as folder:
        tmp_path, store = Path(folder), FolderStore(Path(folder) / "out")
        try:
            result = convert(tmp_path, store, "|".join(rows), MARCH)
        except LandingError:
            assert all(end is not None and end < start for _, start, end, _ in drawn)
            return
        told = events(store)
        assert result.periods_in == result.periods_out + result.superseded + len(result.refused) == len(rows)
        assert len({event_id for _, event_id, _, _ in told}) == len(told)
        random.shuffle(rows)
        assert convert(tmp_path, store, "|".join(rows), MARCH).periods_out == result.periods_out
        assert events(store) == told


def test_a_period_has_the_same_id_in_every_export_that_names_it(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-01 2026-02-01 10|s1 a1 2026-02-01 2026-03-01 12", FEBRUARY)
    convert(tmp_path, out, "s1 a1 2026-02-01 2026-03-01 12|s1 a1 2026-03-01 2026-04-01 15", MARCH)
    assert events(out) == [
        ("2026-02-02", "s1:2026-01-01:start", "started", "10"),
        ("2026-02-02", "s1:2026-02-01:start", "plan_changed", "12"),
        ("2026-03-02", "s1:2026-02-01:start", "started", "12"),
        ("2026-03-02", "s1:2026-03-01:start", "plan_changed", "15"),
    ]


def test_the_order_of_the_rows_says_nothing(tmp_path: Path, out: FolderStore) -> None:
    first, second = "s1 a1 2026-01-01 2026-01-20 10", "s1 a1 2026-02-01 - 12"
    convert(tmp_path, out, f"{first}|{second}", FEBRUARY)
    in_order = events(out)
    convert(tmp_path, out, f"{second}|{first}", FEBRUARY)
    assert events(out) == in_order
    assert [row[1] for row in in_order] == [
        "s1:2026-01-01:start", "s1:2026-01-20:end", "s1:2026-02-01:start"
    ]  # fmt: skip


def test_an_id_that_would_be_too_long_is_a_digest(tmp_path: Path, out: FolderStore) -> None:
    long = "s" * 128
    result = convert(tmp_path, out, f"{long} a1 2026-01-01 - 10", FEBRUARY)
    [(_, event_id, _, _)] = events(out)
    assert (result.refused, len(event_id)) == ([], 64)


def test_rows_say_which_export_they_are_part_of_when_it_arrives_as_one(
    tmp_path: Path, out: FolderStore
) -> None:
    keys = "export: {name: billing, covers: partial}"
    convert(tmp_path, out, "s1 a1 2026-01-01 2026-02-01 10", FEBRUARY, keys)
    convert(tmp_path, out, "s1 a1 2026-01-01 2026-02-01 10", None, keys, name="by-days.csv")
    told = [
        (path.parent.name, row["event_type"], row["export_name"], row["export_covers"])
        for path in sorted(out.root.glob("subscription_events/*/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert told == [
        ("2026-01-01", "started", None, None),
        ("2026-02-01", "expired", None, None),
        ("2026-02-02", "started", "billing", "partial"),
        ("2026-02-02", "expired", "billing", "partial"),
    ]


def test_converting_again_leaves_no_file_of_before(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2025-02-01 - 10")
    result = convert(tmp_path, out, "s1 a1 2026-02-01 - 10")
    assert events(out) == [("2026-02-01", "s1:2026-02-01:start", "started", "10")]
    assert files(out) == {
        f"{table}/2026-02-01/subs.parquet"
        for table in ("accounts", "plans", "fx_rates", "subscription_events")
    }
    assert result.files_removed == 4


def test_other_exports_keep_their_files(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-02-01 - 10", MARCH, name="east.csv")
    convert(tmp_path, out, "s2 a2 2026-02-01 - 10", FEBRUARY, name="west.csv")
    convert(tmp_path, out, "s3 a3 2026-02-01 - 10", MARCH, name="west.csv")
    assert [row[1][:2] for row in events(out)] == ["s2", "s1", "s3"]


def test_a_conversion_by_days_that_was_no_such_export_goes(tmp_path: Path, out: FolderStore) -> None:
    """Somebody forgot the arrival day: converted again with it, only what had landed stays beside it."""
    convert(tmp_path, out, "s1 a1 2026-01-01 2026-01-03 10")
    convert(tmp_path, out, "s1 a1 2026-01-01 2026-01-03 10", FEBRUARY, landed={date(2026, 1, 1)})
    assert [row[:2] for row in events(out)] == [
        ("2026-01-01", "s1:2026-01-01:start"),
        ("2026-02-02", "s1:2026-01-01:start"),
        ("2026-02-02", "s1:2026-01-03:end"),
    ]
    with pytest.raises(LandingError, match=r"subs: has been converted as what arrived on 2026-02-02"):
        convert(tmp_path, out, "s1 a1 2026-01-01 2026-01-03 10")


class Interrupted(FolderStore):
    """Breaks off after so many objects."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.writes = writes

    def write(self, name: str, content: Any, *, replacing: int | None = None) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise ObjectStoreError(f"{name}: no space left")
        return super().write(name, content, replacing=replacing)


@pytest.mark.parametrize("writes", range(10))
def test_a_conversion_that_was_interrupted_is_finished_by_the_next(
    tmp_path: Path, out: FolderStore, writes: int
) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-05 - 10")
    with pytest.raises(ObjectStoreError):
        convert(tmp_path, Interrupted(out.root, writes), "s1 a1 2026-01-10 2026-01-12 10")
    convert(tmp_path, out, "s1 a1 2026-02-01 - 10")
    assert {path.split("/")[1] for path in files(out)} == {"2026-02-01"}


def test_what_would_change_days_that_have_landed_is_refused_before_anything_is_written(
    tmp_path: Path, out: FolderStore
) -> None:
    convert(tmp_path, out, "s1 a1 2026-03-01 - 10|s2 a2 2026-03-01 - 7")
    before, landed = files(out), {date(2026, 3, day) for day in range(1, 12)}
    for rows in (
        "s1 a1 2026-03-01 2026-03-09 10|s2 a2 2026-03-01 - 7",
        "s1 a1 2026-03-12 - 10",
    ):
        with pytest.raises(LandingError, match=r"have landed; convert it with --arrival-date"):
            convert(tmp_path, out, rows, landed=landed)
    with pytest.raises(LandingError, match="2026-03-01 have landed"):
        convert(tmp_path, out, "s1 a1 2026-03-01 - 11", date(2026, 3, 1), landed=landed, name="other.csv")
    assert files(out) == before


def test_what_says_the_same_of_the_days_that_have_landed_goes_on(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-03-01 - 10")
    written = {path: path.stat().st_mtime_ns for path in out.root.glob("*/2026-03-01/*")}
    landed = {date(2026, 3, 1), date(2026, 3, 2)}
    convert(tmp_path, out, "s1 a1 2026-03-01 - 10|s2 a2 2026-03-04 - 7", landed=landed)
    assert [row[:2] for row in events(out)] == [
        ("2026-03-01", "s1:2026-03-01:start"),
        ("2026-03-04", "s2:2026-03-04:start"),
    ]
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert {path.split("/")[1] for path in files(out)} == {"2026-03-01", "2026-03-03", "2026-03-04"}


def test_the_days_between_two_exports_get_files_that_say_that_nothing_comes(
    tmp_path: Path, out: FolderStore
) -> None:
    weekly = "export: {every_days: 7}"
    convert(tmp_path, out, "s1 a1 2026-02-01 - 10", date(2026, 3, 1), weekly)
    convert(tmp_path, out, "s1 a1 2026-02-01 - 12", date(2026, 3, 7), weekly)
    quiet = sorted(path for path in files(out) if path.endswith("quiet.parquet"))
    assert quiet == [
        f"{table}/2026-03-{day:02}/subs.quiet.parquet"
        for table in ("fx_rates", "subscription_events")
        for day in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    ]
    assert [row[0] for row in events(out)] == ["2026-03-01", "2026-03-07"]


def test_a_feed_that_must_come_every_day_has_an_empty_file(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-02-01 - 10", FEBRUARY, feeds={"payments", "subscription_events"})
    assert "payments/2026-02-02/subs.parquet" in files(out)


COMPLETE = "export: {covers: complete}"


def test_a_complete_export_counts_the_subscriptions_that_it_no_longer_names(
    tmp_path: Path, out: FolderStore
) -> None:
    first = "s1 a1 2026-01-01 - 10|s2 a2 2026-01-01 - 10|s3 a3 2026-01-01 - 10"
    assert convert(tmp_path, out, first, FEBRUARY, COMPLETE).withdrawn == 0
    assert convert(tmp_path, out, "s2 a2 2026-01-01 - 10", MARCH, COMPLETE, name="march.csv").withdrawn == 2
    # Of the export before, whatever the day on which it is converted.
    assert convert(tmp_path, out, "s2 a2 2026-01-01 - 10", MARCH, COMPLETE, name="march.csv").withdrawn == 2
    assert convert(tmp_path, out, "s9 a9 2026-01-01 - 10", MARCH, name="partial.csv").withdrawn == 0


def test_an_export_may_come_in_parts_that_name_different_subscriptions(
    tmp_path: Path, out: FolderStore
) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-01 - 10|s2 a2 2026-01-01 - 10", FEBRUARY, COMPLETE)
    convert(tmp_path, out, "s1 a1 2026-01-01 - 10", MARCH, COMPLETE, name="part-1.csv")
    second = convert(tmp_path, out, "s2 a2 2026-01-01 - 10", MARCH, COMPLETE, name="part-2.csv")
    assert second.withdrawn == 0
    with pytest.raises(
        LandingError,
        match="1 of its subscriptions are in part-2 as well, for the same export and arrival day",
    ):
        convert(tmp_path, out, "s2 a2 2026-01-01 - 11", MARCH, COMPLETE, name="corrected.csv")
    assert [row[3] for row in events(out, MARCH)] == ["10", "10"]


def test_a_complete_export_with_refused_rows_withdraws_nothing(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-01 - 10|s2 a2 2026-01-01 - 10", FEBRUARY, COMPLETE)
    result = convert(tmp_path, out, "s1 a1 2026-01-01 - ten|s2 a2 2026-01-01 - 10", MARCH, COMPLETE)
    assert (result.withdrawn, result.withdraws_nothing) == (0, True)
    [path] = out.root.glob(f"subscription_events/{MARCH}/*")
    assert [row["export_covers"] for row in pq.read_table(path).to_pylist()] == ["partial"]


def test_no_file_of_refused_rows_stays_when_none_are(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-01 - ten|s2 a2 2026-01-01 - 10", FEBRUARY)
    [kept] = (out.root / "_refused/subs.ndjson").read_text().splitlines()
    assert json.loads(kept)["row"] == 1
    convert(tmp_path, out, "s1 a1 2026-01-01 - 10|s2 a2 2026-01-01 - 10", FEBRUARY)
    assert not (out.root / "_refused/subs.ndjson").exists()


def test_an_export_without_a_column_of_the_map_leaves_what_is_there(tmp_path: Path, out: FolderStore) -> None:
    convert(tmp_path, out, "s1 a1 2026-01-01 - 10", FEBRUARY)
    before = events(out)
    (tmp_path / "subs.csv").write_text("sub,acct,begins,price\ns1,a1,2026-01-01,10\n")
    with pytest.raises(LandingError, match="column ends is in the map but not in the file"):
        land_periods(tmp_path / "subs.csv", period_map(tmp_path), out, FEBRUARY)
    assert events(out) == before


TIMES = 'date_format: "%Y-%m-%dT%H:%M:%S%z"'


def test_offsets_decide_the_day(tmp_path: Path, out: FolderStore) -> None:
    rows = "s1 a1 2026-01-31T23:30:00-0800 - 10|s2 a2 2026-02-01T00:30:00+0100 - 20"
    convert(tmp_path, out, rows, keys=TIMES)
    assert [row[:2] for row in events(out)] == [
        ("2026-01-31", "s2:2026-01-31T23:30:00Z:start"),
        ("2026-02-01", "s1:2026-02-01T07:30:00Z:start"),
    ]


def test_the_second_before_the_next_period_is_no_gap(tmp_path: Path, out: FolderStore) -> None:
    convert(
        tmp_path,
        out,
        "s1 a1 2026-01-05T10:00:00Z 2026-02-05T09:59:59Z 10|"
        "s1 a1 2026-02-05T10:00:00Z 2026-02-28T23:59:59Z 10",
        MARCH,
        TIMES,
    )
    assert [row[1:3] for row in events(out)] == [
        ("s1:2026-01-05T10:00:00Z:start", "started"),
        ("s1:2026-02-05T10:00:00Z:start", "renewed"),
        ("s1:2026-03-01:end", "expired"),
    ]


def test_a_gap_is_an_end_and_a_return_and_another_price_a_change(tmp_path: Path, out: FolderStore) -> None:
    convert(
        tmp_path,
        out,
        "s1 a1 2026-01-01 2026-01-15 10|s1 a1 2026-01-20 2026-02-10 10|s1 a1 2026-02-10 - 15",
        MARCH,
    )
    assert [row[2] for row in events(out)] == ["started", "expired", "reactivated", "plan_changed"]


def test_a_trial_that_is_prolonged_stays_one(tmp_path: Path, out: FolderStore) -> None:
    (tmp_path / "subs.csv").write_text(
        "sub,acct,begins,ends,price,trial\n"
        "s1,a1,2026-01-01,2026-01-08,0,true\n"
        "s1,a1,2026-01-08,2026-01-15,0,true\n"
        "s1,a1,2026-01-15,,10,false\n"
    )
    trials = period_map(tmp_path, changed=MAP.replace('is_trial: {constant: "false"}', "is_trial: trial"))
    land_periods(tmp_path / "subs.csv", trials, out, MARCH)
    assert [row[2] for row in events(out)] == ["trial_started", "plan_changed", "trial_converted"]
