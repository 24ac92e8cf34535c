"""Landing on the real protocols: files in a bucket, load jobs, one transaction."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psutil import NoSuchProcess, Process

from loaders.landing import days as landing_days
from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.days import Landed
from loaders.landing.errors import LandingError, ReaderKilledError
from loaders.landing.land import land_days
from loaders.landing.read_days import reach
from loaders.landing.schema import arrow_schema
from loaders.warehouse.client import warehouse_of
from segue.logs import lines_of
from segue.settings import Settings
from segue.window import ImpossibleDaysError

DAY = date(2026, 3, 29)
NEXT = date(2026, 3, 30)
TRIO = ["accounts", "subscription_events", "fx_rates"]
SIDE_BY_SIDE = {"landing_processes": 2, "landing_processes_from_bytes": 0}


@pytest.fixture
def settings(world: Any) -> Settings:
    """A world of its own for each test: landing keeps history."""
    fresh: Settings = world("landing")
    return fresh


def root(settings: Settings) -> Path:
    return Path(urlparse(settings.landing_files_root).path)


def folder(settings: Settings, table: str, day: date = DAY) -> Path:
    path = root(settings) / table / str(day)
    path.mkdir(parents=True, exist_ok=True)
    return path


def event(number: int, day: date = DAY, **values: Any) -> dict[str, Any]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        "ingested_at": noon,
        "provider": "stripe",
        "provider_event_id": f"e{number}",
        "subscription_id": f"s{number}",
        "account_id": f"a{number}",
        "event_type": "started",
        "plan_id": "solo-month",
        "price_amount": Decimal("9.99"),
        "occurred_at": noon,
    } | values


def write(
    settings: Settings, table: str, rows: list[dict[str, Any]], day: date = DAY, name: str = "p0"
) -> Path:
    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(CONTRACTS[table])])
    path = folder(settings, table, day) / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def write_day(settings: Settings, day: date = DAY, events: list[dict[str, Any]] | None = None) -> None:
    """A whole arrival day: every table that must not be absent, empty but for the events."""
    for contract in CONTRACTS.values():
        if not contract.may_be_absent:
            write(settings, contract.table, [], day)
    write(settings, "subscription_events", [event(1, day)] if events is None else events, day)


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def raw_events(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select provider_event_id, price_amount, occurred_at, arrival_date, landing_file, landing_row "
        f"from `{settings.project_id}.raw.subscription_events` "
        "order by arrival_date, landing_file, landing_row",
    )


def quarantined(settings: Settings, table: str = "subscription_events") -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select arrival_date, landing_file, landing_row, column_name, reason "
        f"from `{settings.project_id}.quarantine.{table}` order by 1, 2, 3",
    )


def ledger(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select run_date, table_name, rows_in, rows_out, rows_quarantined, files "
        f"from `{settings.project_id}.ops.run_ledger` where step = 'land' and files > 0 order by 1, 2",
    )


def test_a_day_lands_with_lineage_and_its_refused_rows_aside(settings: Settings) -> None:
    write(settings, "fx_rates", [])
    write(settings, "subscription_events", [event(1), event(2, event_type="boosted"), event(3)], name="b")
    write(settings, "subscription_events", [event(4, price_amount=Decimal("0.07"))], name="a")
    land_days(settings, [DAY], TRIO)
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert raw_events(settings) == [
        ("e4", Decimal("0.070000000"), noon, DAY, "subscription_events/2026-03-29/a.parquet", 1),
        ("e1", Decimal("9.990000000"), noon, DAY, "subscription_events/2026-03-29/b.parquet", 1),
        ("e3", Decimal("9.990000000"), noon, DAY, "subscription_events/2026-03-29/b.parquet", 3),
    ]
    [(day, file, row, column, reason)] = quarantined(settings)
    assert (day, file, row, column) == (DAY, "subscription_events/2026-03-29/b.parquet", 2, "event_type")
    assert reason.startswith("event_type 'boosted' is not one of trial_started,")
    assert ledger(settings) == [(DAY, "fx_rates", 0, 0, 0, 1), (DAY, "subscription_events", 4, 3, 1, 2)]


def test_processes_side_by_side_land_what_one_does(settings: Settings) -> None:
    write_day(settings, DAY, [event(1), event(2, event_type="boosted")])
    write(settings, "subscription_events", [event(3), event(4, provider="paypal"), event(5)], name="p1")
    write(settings, "subscription_events", [event(6)], name="p2")
    land_days(settings, [DAY])
    alone = raw_events(settings), quarantined(settings), ledger(settings)
    assert [row[0] for row in alone[0]] == ["e1", "e3", "e5", "e6"]

    land_days(settings.model_copy(update=SIDE_BY_SIDE), [DAY])

    assert (raw_events(settings), quarantined(settings), ledger(settings)) == alone
    assert not list((root(settings) / "_scratch").glob("**/*.parquet"))


def test_a_file_that_another_process_cannot_read_is_named(settings: Settings) -> None:
    write_day(settings)
    (folder(settings, "subscription_events") / "p9.parquet").write_text("torn")
    with pytest.raises(LandingError, match=r"subscription_events/2026-03-29/p9.parquet: cannot be read"):
        land_days(settings.model_copy(update=SIDE_BY_SIDE), [DAY])
    assert not list((root(settings) / "_scratch").glob("**/*.parquet"))


def test_a_day_whose_readers_were_killed_lands_with_one_process(settings: Settings) -> None:
    write_day(settings, DAY, [event(1)])
    watcher = Thread(target=kill_readers)

    watcher.start()
    with pytest.raises(ReaderKilledError):
        land_days(settings.model_copy(update=SIDE_BY_SIDE), [DAY])
    watcher.join()
    assert not list((root(settings) / "_scratch").glob("**/*.parquet"))

    land_days(settings.model_copy(update=SIDE_BY_SIDE | {"landing_processes": 1}), [DAY])
    assert [row[0] for row in raw_events(settings)] == ["e1"]


def kill_readers(seconds: float = 30) -> None:
    """As a machine does that has run out of memory: all of them, as soon as there are any."""
    deadline, killed = time.monotonic() + seconds, set[int]()
    while len(killed) < SIDE_BY_SIDE["landing_processes"] and time.monotonic() < deadline:
        for child in Process().children():
            # Those that were killed before are still there, without a command line.
            with suppress(NoSuchProcess):
                if "loaders.landing.reader" in str(child.cmdline()):
                    child.kill()
                    killed.add(child.pid)
        time.sleep(0.01)


def test_nine_decimal_places_and_microseconds_survive(settings: Settings) -> None:
    rate = {
        "ingested_at": datetime(2026, 3, 29, 1, 2, 3, 456_789, tzinfo=UTC),
        "day": DAY,
        "currency": "JPY",
        "usd_rate": Decimal("0.006543"),
    }
    write(settings, "fx_rates", [rate])
    land_days(settings, [DAY], ["fx_rates"])
    assert rows(settings, f"select usd_rate, ingested_at from `{settings.project_id}.raw.fx_rates`") == [
        (Decimal("0.006543000"), rate["ingested_at"])
    ]


def test_rates_keep_their_twelve_decimals_in_every_format(settings: Settings) -> None:
    noon = "2026-03-29T12:00:00Z"
    told = {"VND": "0.0000379507", "IDR": "0.00006124", "IRR": "0.000000769231", "SEK": "0.0954321"}
    into = folder(settings, "fx_rates")
    (into / "a.csv").write_text(
        "ingested_at,day,currency,usd_rate\n"
        + "".join(f"{noon},2026-03-29,{currency},{rate}\n" for currency, rate in told.items())
        + f"{noon},2026-03-29,KHR,0.0002481389\n{noon},2026-03-29,LAK,0.0000000000001\n"
    )
    (into / "b.ndjson").write_text(
        f'{{"ingested_at": "{noon}", "day": "2026-03-28", "currency": "VND", "usd_rate": 3.79507e-05}}\n'
    )
    finer = {"ingested_at": datetime(2026, 3, 29, 12, tzinfo=UTC), "day": date(2026, 3, 27)}
    write(settings, "fx_rates", [finer | {"currency": "VND", "usd_rate": Decimal("0.000037950664")}])

    land_days(settings, [DAY], ["fx_rates"])

    found = rows(settings, f"select currency, day, usd_rate from `{settings.project_id}.raw.fx_rates`")
    assert {(currency, rate) for currency, day, rate in found if day == DAY} == {
        (currency, Decimal(rate)) for currency, rate in (told | {"KHR": "0.0002481389"}).items()
    }
    assert {(str(day), rate) for currency, day, rate in found if currency == "VND" and day != DAY} == {
        ("2026-03-28", Decimal("0.0000379507")),
        ("2026-03-27", Decimal("0.000037950664")),
    }
    assert [(row, column, reason) for *_, row, column, reason in quarantined(settings, "fx_rates")] == [
        (
            6,
            "usd_rate",
            "usd_rate: Decimal input should have no more than 12 decimal places",
        )
    ]


def test_landing_again_replaces_the_day_and_no_other(settings: Settings) -> None:
    write_day(settings, DAY, [event(1)])
    write_day(settings, NEXT, [event(2, NEXT)])
    land_days(settings, [DAY, NEXT])
    once = raw_events(settings)
    land_days(settings, [DAY])
    assert raw_events(settings) == once
    write(settings, "subscription_events", [event(3), event(4, provider="paypal")])
    land_days(settings, [DAY])
    assert [(r[0], r[3]) for r in raw_events(settings)] == [("e3", DAY), ("e2", NEXT)]
    write(settings, "subscription_events", [event(3)])
    land_days(settings, [DAY])
    assert quarantined(settings) == []
    assert [r for r in ledger(settings) if r[1] == "subscription_events"] == [
        (DAY, "subscription_events", 1, 1, 0, 1),
        (NEXT, "subscription_events", 1, 1, 0, 1),
    ]


def test_the_three_formats_give_the_same_rows(settings: Settings) -> None:
    noon = "2026-03-29T12:00:00Z"
    keys = ["ingested_at", "provider", "provider_event_id", "subscription_id", "account_id", "event_type"]
    keys += ["plan_id", "price_amount", "auto_renew", "occurred_at"]
    cells = [noon, "stripe", "e1", "s1", "a1", "started", "solo-month", "9.99", "true", noon]
    written = dict(zip(keys, cells, strict=True))
    into = folder(settings, "subscription_events")
    (into / "a.csv").write_text(",".join(keys) + "\n" + ",".join(cells) + "\n")
    (into / "b.ndjson").write_text(json.dumps(written | {"price_amount": 9.99, "auto_renew": True}) + "\n")
    write(settings, "subscription_events", [event(1, auto_renew=True)], name="c")
    land_days(settings, [DAY], ["subscription_events"])
    found = rows(
        settings,
        f"select * except (landing_file) from `{settings.project_id}.raw.subscription_events` "
        "order by landing_file",
    )
    assert len(found) == 3
    assert found[0] == found[1] == found[2]


def test_text_that_is_no_value_is_refused_with_its_row_and_column(settings: Settings) -> None:
    into = folder(settings, "fx_rates")
    (into / "a.csv").write_text(
        "ingested_at,day,currency,usd_rate\n"
        "2026-03-29T01:00:00Z,2026-03-29,EUR,1.08\n"
        "2026-03-29T01:00:00Z,2026-02-30,EUR,1.08\n"
        "2026-03-29T01:00:00Z,2026-03-29,GBP,lots\n"
        "2026-03-29T01:00:00,2026-03-29,SEK,0.1\n"
        "2026-03-29T01:00:00Z,2026-03-29\n"
        '"2026-03-29T01:00:00Z","2026-03-29",CHF,1.1\n'
    )
    (into / "b.ndjson").write_text(
        '{"ingested_at": "2026-03-29T01:00:00Z", "day": "2026-03-29", "currency": "NOK", "usd_rate": 0.1}\n'
        "not json\n"
        '{"ingested_at": "2026-03-29T01:00:00Z", "day": "2026-03-29", "currency": "DKK"}\n'
        '{"ingested_at": "2026-03-29T01:00:00Z", "day": "2026-03-29", "currency": "PLN", "usd_rate": "0.2"}\n'
        '{"ingested_at": "2026-03-29T01:00:00Z", "day": "2026-03-29", "currency": "CZK", "usd_rate": "2"}\n'
        '{"ingested_at": "2026-03-29T01:00:00Z", "day": "2026-03-29", "currency": "HUF", "usd_rate": "3"}\n'
    )
    land_days(settings, [DAY], ["fx_rates"])
    assert rows(
        settings, f"select currency, landing_row from `{settings.project_id}.raw.fx_rates` order by currency"
    ) == [("CHF", 6), ("CZK", 5), ("EUR", 1), ("HUF", 6), ("NOK", 1), ("PLN", 4)]
    found = [(file[-5:], row, column) for _, file, row, column, _ in quarantined(settings, "fx_rates")]
    assert found == [
        ("a.csv", 2, "day"),
        ("a.csv", 3, "usd_rate"),
        ("a.csv", 4, "ingested_at"),
        ("a.csv", 5, ""),
        ("djson", 2, ""),
        ("djson", 3, "usd_rate"),
    ]


def test_an_absent_nullable_column_becomes_null_and_is_noted(settings: Settings) -> None:
    path = write(settings, "subscription_events", [event(1)])
    pq.write_table(pq.read_table(path).drop_columns(["offer_id"]), path)
    land_days(settings, [DAY], ["subscription_events"])
    assert rows(settings, f"select offer_id from `{settings.project_id}.raw.subscription_events`") == [
        (None,)
    ]
    [(detail,)] = rows(settings, f"select detail from `{settings.project_id}.ops.run_ledger`")
    assert json.loads(detail)["absent_columns"] == {"subscription_events/2026-03-29/p0.parquet": ["offer_id"]}


def break_missing_table(file: Path) -> None:
    file.unlink()


def break_truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def break_unknown_column(file: Path) -> None:
    table = pq.read_table(file)
    pq.write_table(table.append_column("colour", pa.array(["red"] * table.num_rows)), file)


def break_changed_type(file: Path) -> None:
    table = pq.read_table(file)
    place = table.schema.get_field_index("price_amount")
    pq.write_table(table.set_column(place, "price_amount", table["price_amount"].cast(pa.float64())), file)


def break_naive_time(file: Path) -> None:
    table = pq.read_table(file)
    place = table.schema.get_field_index("occurred_at")
    pq.write_table(
        table.set_column(place, "occurred_at", table["occurred_at"].cast(pa.timestamp("us"))), file
    )


def break_missing_column(file: Path) -> None:
    pq.write_table(pq.read_table(file).drop_columns(["account_id"]), file)


def break_unknown_format(file: Path) -> None:
    file.rename(file.with_suffix(".xlsx"))


def break_unknown_key(file: Path) -> None:
    file.unlink()
    values = {k: str(v) for k, v in event(1).items()} | {"colour": "red"}
    file.with_suffix(".csv").write_text(",".join(values) + "\n" + ",".join(values.values()) + "\n")


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (break_missing_table, ["subscription_events/2026-03-29"]),
        (break_truncated, ["subscription_events/2026-03-29/p0.parquet"]),
        (break_unknown_column, ["p0.parquet", "colour"]),
        (break_changed_type, ["p0.parquet", "price_amount", "double"]),
        (break_naive_time, ["p0.parquet", "occurred_at"]),
        (break_missing_column, ["p0.parquet", "account_id"]),
        (break_unknown_format, ["p0.xlsx"]),
        (break_unknown_key, ["p0.csv", "colour"]),
    ],
)
def test_a_broken_file_names_itself_and_leaves_the_whole_day_as_it_was(
    settings: Settings, break_it: Any, named: list[str]
) -> None:
    account = {
        "ingested_at": datetime(2026, 3, 29, tzinfo=UTC),
        "account_id": "a1",
        "created_at": datetime(2026, 3, 29, tzinfo=UTC),
        "market": "SE",
        "locale": "sv",
        "is_test": False,
        "is_employee": False,
    }
    write(settings, "accounts", [account])
    write(settings, "fx_rates", [])
    write(settings, "subscription_events", [event(1)])
    land_days(settings, [DAY], TRIO)
    before = raw_events(settings), ledger(settings)
    write(settings, "accounts", [account | {"account_id": "a2"}])
    break_it(folder(settings, "subscription_events") / "p0.parquet")
    with pytest.raises(LandingError) as error:
        land_days(settings, [DAY], TRIO)
    for part in named:
        assert part in str(error.value)
    assert (raw_events(settings), ledger(settings)) == before
    assert rows(settings, f"select account_id from `{settings.project_id}.raw.accounts`") == [("a1",)]
    assert not list((root(settings) / "_scratch").rglob("*.parquet"))


def test_too_many_refused_rows_stop_the_day_and_are_kept(settings: Settings) -> None:
    write(settings, "subscription_events", [event(0)])
    land_days(settings, [DAY], ["subscription_events"])
    write(
        settings,
        "subscription_events",
        [event(n, currency="euro" if n % 4 == 0 else None) for n in range(100)],
    )
    with pytest.raises(LandingError, match="25 of 100"):
        land_days(settings, [DAY], ["subscription_events"])
    assert [row[0] for row in raw_events(settings)] == ["e0"]
    assert [row[2] for row in quarantined(settings)] == list(range(1, 101, 4))
    assert ledger(settings) == [(DAY, "subscription_events", 1, 1, 0, 1)]

    land_days(settings.model_copy(update={"max_quarantined_share": 0.25}), [DAY], ["subscription_events"])
    assert ledger(settings) == [(DAY, "subscription_events", 100, 75, 25, 1)]


def test_a_killed_run_leaves_nothing_that_matters(settings: Settings) -> None:
    write(settings, "subscription_events", [event(1)])
    left = root(settings) / "_scratch"
    left.mkdir()
    for name in ("killed.payments.parquet", "_unfinished_0.killed.payments.parquet", "going-on.parquet"):
        (left / name).write_bytes(b"half a file")
    for name in ("killed.payments.parquet", "_unfinished_0.killed.payments.parquet"):
        os.utime(left / name, (0, 0))
    land_days(settings, [DAY], ["subscription_events"])
    assert [row[0] for row in raw_events(settings)] == ["e1"]
    assert [path.name for path in left.iterdir()] == ["going-on.parquet"]
    assert warehouse_of(settings).tables("raw_scratch") == []


def land_through(settings: Settings, start: date, end: date) -> Landed:
    return landing_days.land_through(settings, Arrivals.read(settings), start, end)


def test_missing_days_are_landed_before_a_later_one(settings: Settings) -> None:
    first, second, third = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
    for number, day in enumerate((first, second, third)):
        write_day(settings, day, [event(number, day)])
    assert Arrivals.read(settings).missing(first) == [first]
    land_through(settings, first, first)
    assert Arrivals.read(settings).missing(third) == [second, third]
    landed = land_through(settings, third, third)
    assert [row[3] for row in raw_events(settings)] == [first, second, third]
    for arrivals in (landed.arrivals, Arrivals.read(settings)):
        assert arrivals.missing(third) == []
        assert arrivals.contiguous_from(first) == third


def test_late_events_reach_back_to_their_day_within_the_window(settings: Settings) -> None:
    late = datetime(2026, 3, 25, 23, 59, tzinfo=UTC)
    write_day(settings, DAY, [event(1), event(2, occurred_at=late)])
    write_day(settings, NEXT, [event(3, NEXT, occurred_at=datetime(2026, 1, 1, tzinfo=UTC))])
    landings = land_through(settings, DAY, NEXT).landings
    assert reach(settings, DAY, landings) == date(2026, 3, 25)
    assert reach(settings, NEXT, landings) == date(2026, 3, 16)
    young = settings.model_copy(update={"history_start_date": date(2026, 3, 27)})
    assert [reach(young, day, landings) for day in (DAY, NEXT)] == [date(2026, 3, 27)] * 2
    # What lies further back than the window is counted.
    found = "select run_date, first_event_date, detail from ops.run_ledger"
    assert rows(settings, f"{found} where table_name = 'subscription_events' order by 1") == [
        (DAY, date(2026, 3, 25), "{}"),
        (NEXT, date(2026, 1, 1), '{"rows_late": 1}'),
    ]


def test_landing_runs_in_any_order_lands_the_same_days(settings: Settings) -> None:
    span = [date(2026, 3, n) for n in (1, 2, 3, 4)]
    for number, day in enumerate(span):
        write_day(settings, day, [event(number, day)])
    land_through(settings, span[3], span[3])
    land_through(settings, span[1], span[1])
    assert {row[3] for row in raw_events(settings)} == set(span)
    assert corrections(settings) == []


def corrections(settings: Settings) -> list[tuple[Any, ...]]:
    """Arrival day, table, earliest day of what changed, rows removed and added."""
    return rows(
        settings,
        "select run_date, table_name, first_event_date, rows_removed, rows_added from ops.corrections "
        "order by corrected_at, table_name",
    )


def test_a_day_that_lands_again_with_other_rows_is_a_correction_from_the_day_they_belong_to(
    settings: Settings,
) -> None:
    long_ago = datetime(2026, 3, 2, 12, tzinfo=UTC)
    write_day(settings, DAY, [event(1), event(2, occurred_at=long_ago)])
    write_day(settings, NEXT, [event(3, NEXT)])
    land_days(settings, [DAY, NEXT])
    # The same rows in another order and another file say nothing new.
    write(settings, "subscription_events", [event(2, occurred_at=long_ago), event(1)])
    (folder(settings, "subscription_events") / "p0.parquet").rename(
        folder(settings, "subscription_events") / "again.parquet"
    )
    land_days(settings, [DAY])
    assert corrections(settings) == []

    price = {"price_amount": Decimal("8.99")}
    write(settings, "subscription_events", [event(1, **price), event(2, occurred_at=long_ago)], name="again")
    land_days(settings, [DAY])
    assert corrections(settings) == [(DAY, "subscription_events", DAY, 1, 1)]

    write(settings, "subscription_events", [event(1, **price)], name="again")
    with lines_of("scheduled__1", DAY, "land"):
        land_days(settings, [DAY])
    assert rows(settings, "select run_id from ops.corrections order by corrected_at") == [
        (None,),
        ("scheduled__1",),
    ]
    assert corrections(settings)[1:] == [(DAY, "subscription_events", date(2026, 3, 2), 1, 0)]


def test_rows_that_do_not_say_when_they_happened_reach_as_far_as_their_day_does(settings: Settings) -> None:
    plan = {
        "ingested_at": datetime(2026, 3, 29, tzinfo=UTC), "plan_id": "solo", "kind": "individual",
        "interval": "month", "trial_days": 30, "seats": 1,
    }  # fmt: skip
    write_day(settings, DAY, [event(1, occurred_at=datetime(2026, 3, 25, tzinfo=UTC))])
    write(settings, "plans", [plan])
    land_days(settings, [DAY])
    write(settings, "plans", [plan | {"interval": "year"}])
    land_days(settings, [DAY])

    assert corrections(settings) == [(DAY, "plans", date(2026, 3, 25), 1, 1)]


def test_the_ledger_says_what_was_ignored_by_kind_and_why(settings: Settings) -> None:
    row = {
        "ingested_at": datetime(2026, 3, 29, 13, tzinfo=UTC),
        "occurred_at": datetime(2026, 3, 29, 12, tzinfo=UTC),
    }
    kinds = [("charge.succeeded", True), ("payment_intent.succeeded", True), ("charge.succeeded", False)]
    payloads = [
        {"type": kind, "livemode": livemode, "data": {"object": {}}} for kind, livemode in [*kinds, kinds[1]]
    ]
    write(
        settings,
        "stripe_events",
        [row | {"event_id": f"e{n}", "payload": json.dumps(each)} for n, each in enumerate(payloads)],
    )
    land_days(settings, [DAY], ["stripe_events"])

    [(rows_in, rows_out, quarantined, ignored, detail)] = rows(
        settings,
        "select rows_in, rows_out, rows_quarantined, rows_ignored, detail from ops.run_ledger",
    )
    assert (rows_in, rows_out, quarantined, ignored) == (4, 1, 0, 3)
    assert json.loads(detail)["ignored"] == [
        {"kind": "charge.succeeded", "reason": "test", "rows": 1},
        {"kind": "payment_intent.succeeded", "reason": "not about a subscription", "rows": 2},
    ]
    assert rows(settings, "select event_id from raw.stripe_events") == [("e0",)]


def test_a_payload_that_changes_is_a_correction(settings: Settings) -> None:
    notification = {"type": "charge.succeeded", "livemode": True, "created": 1774785600, "id": "evt_1"}
    row = {
        "ingested_at": datetime(2026, 3, 29, 13, tzinfo=UTC), "event_id": "evt_1",
        "occurred_at": datetime(2026, 3, 29, 12, tzinfo=UTC),
    }  # fmt: skip

    def deliver(**changes: Any) -> None:
        payload = json.dumps({"object": "event", "data": {"object": {}}} | notification | changes)
        write(settings, "stripe_events", [row | {"payload": payload}])
        land_days(settings, [DAY], ["stripe_events"])

    deliver()
    deliver()
    assert corrections(settings) == []
    deliver(note="read by nobody")
    assert corrections(settings) == [(DAY, "stripe_events", DAY, 1, 1)]


def test_a_day_that_comes_after_its_successor_is_a_correction(settings: Settings) -> None:
    write_day(settings, NEXT, [event(2, NEXT)])
    land_days(settings, [NEXT])
    write_day(settings, DAY, [event(1)])
    land_days(settings, [DAY])

    assert corrections(settings) == [(DAY, "subscription_events", DAY, 0, 1)]


def test_a_file_that_had_landed_and_is_gone_does_not_take_its_rows_with_it(settings: Settings) -> None:
    write_day(settings)
    consent = {
        "ingested_at": datetime(2026, 3, 29, tzinfo=UTC), "account_id": "a1", "purpose": "marketing",
        "granted": False, "occurred_at": datetime(2026, 3, 29, tzinfo=UTC),
    }  # fmt: skip
    file = write(settings, "consents", [consent])
    land_days(settings, [DAY])
    file.unlink()

    with pytest.raises(LandingError, match="consents/2026-03-29: what had landed is no longer there"):
        land_days(settings, [DAY])

    assert rows(settings, "select account_id from raw.consents") == [("a1",)]

    write(settings, "consents", [])
    land_days(settings, [DAY])
    assert rows(settings, "select account_id from raw.consents") == []


def test_a_feed_that_never_delivered_need_not_be_there_and_one_that_did_must(settings: Settings) -> None:
    """The second day of a company that sells through one provider alone."""
    write(settings, "subscription_events", [event(1)])
    write(settings, "fx_rates", [])
    land_days(settings, [DAY])
    write(settings, "subscription_events", [event(2, NEXT)], NEXT)

    with pytest.raises(LandingError, match=r"^fx_rates/2026-03-30: no file has arrived; .* SEGUE_FEEDS"):
        land_days(settings, [NEXT])

    gone_for_good = settings.model_copy(update={"feeds": frozenset(["subscription_events"])})
    land_days(gone_for_good, [NEXT])
    assert [row[3] for row in raw_events(settings)] == [DAY, NEXT]
    absent = rows(settings, "select count(*) from raw.stripe_events")
    assert absent == [(0,)]


def test_a_folder_among_a_days_files_is_named(settings: Settings) -> None:
    write_day(settings)
    (folder(settings, "payments") / "part-1").mkdir()
    (folder(settings, "payments") / "part-1" / "p0.parquet").touch()

    with pytest.raises(LandingError, match="payments/2026-03-29/part-1: a folder"):
        land_days(settings, [DAY])


def test_a_day_that_no_run_would_read_does_not_land(settings: Settings) -> None:
    early = date(2019, 12, 31)
    write_day(settings, early)

    with pytest.raises(ImpossibleDaysError, match="SEGUE_HISTORY_START_DATE"):
        land_days(settings, [early])
