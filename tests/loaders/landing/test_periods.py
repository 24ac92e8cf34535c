"""A plain billing export becomes canonical events; what cannot be read is kept with its reason."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import cli
from cli.land import app
from loaders.landing.errors import LandingError
from loaders.landing.land import land_days
from loaders.landing.period_map import PeriodMap, read_period_map
from loaders.landing.periods import PeriodsLanding, land_periods
from loaders.objects.folder import FolderStore
from loaders.warehouse.client import warehouse_of
from segue.settings import PROJECT_ROOT, Settings
from tests.pages import typed

ARRIVAL = date(2026, 1, 1)
HEADER = "sub,acct,from,to,tier,rhythm,monthly,yearly,trial,renews"
MAP = """
date_format: "%d/%m/%Y"
usd_rates: {EUR: 1.08}
periods:
  subscription_id: sub
  account_id: acct
  start: from
  end: to
  plan: tier
  plan_kind: {column: tier, values: {Solo: individual, Home: family}}
  interval: {column: rhythm, values: {monthly: month, annual: year}}
  price: {month: monthly, year: yearly}
  currency: {constant: EUR}
  is_trial: trial
  auto_renew: renews
accounts:
  file: accounts.csv
  account_id: id
  created: since
  market: {column: country, values: {UK: GB}}
  locale: {constant: en}
reasons:
  file: churn.csv
  account_id: id
  ended: "on"
  reason: why
"""


@pytest.fixture
def period_map(tmp_path: Path) -> PeriodMap:
    path = tmp_path / "export.map.yml"
    path.write_text(MAP)
    (tmp_path / "accounts.csv").write_text("id,since,country\na1,01/02/2025,UK\na2,02/02/2025,DE\n")
    (tmp_path / "churn.csv").write_text("id,on,why\na1,01/06/2025,price\na2,09/09/2025,unknown\n")
    return read_period_map(path)


def convert(
    tmp_path: Path, period_map: PeriodMap, *lines: str, arrival: date | None = ARRIVAL
) -> PeriodsLanding:
    export = tmp_path / "export.csv"
    export.write_text("\n".join([HEADER, *lines]) + "\n")
    return land_periods(export, period_map, FolderStore(tmp_path / "out"), arrival)


def landed(tmp_path: Path, table: str, *columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for path in sorted((tmp_path / "out" / table).glob("*/*.parquet")):
        found += [tuple(_short(row[column]) for column in columns) for row in pq.read_table(path).to_pylist()]
    return found


def _short(value: Any) -> Any:
    if hasattr(value, "hour"):
        return value.isoformat()[:10]
    return f"{value:f}".rstrip("0").rstrip(".") if hasattr(value, "normalize") else value


def events(tmp_path: Path) -> list[tuple[Any, ...]]:
    return landed(
        tmp_path, "subscription_events", "event_type", "occurred_at", "plan_id", "price_amount", "reason"
    )


def test_the_periods_of_a_subscription_tell_its_life(tmp_path: Path, period_map: PeriodMap) -> None:
    result = convert(
        tmp_path,
        period_map,
        "s1,a1,01/03/2025,01/04/2025,Solo,monthly,0,0,True,True",
        "s1,a1,01/04/2025,01/05/2025,Solo,monthly,10,120,False,True",
        "s1,a1,01/05/2025,15/05/2025,Solo,monthly,10,120,False,True",
        "s1,a1,15/05/2025,01/06/2025,Home,monthly,15,180,False,False",
        "s1,a1,01/08/2025,,Home,annual,15,180,False,True",
    )
    assert events(tmp_path) == [
        ("trial_started", "2025-03-01", "solo-month", "0", None),
        ("trial_converted", "2025-04-01", "solo-month", "10", None),
        ("renewed", "2025-05-01", "solo-month", "10", None),
        ("plan_changed", "2025-05-15", "home-month", "15", None),
        ("expired", "2025-06-01", None, None, "price"),
        ("reactivated", "2025-08-01", "home-year", "180", None),
    ]
    assert (result.periods_in, result.periods_out, result.refused) == (5, 5, [])
    assert result.reasons_unmatched == 1


def test_one_arrival_day_has_a_file_of_what_the_export_tells_and_no_other(
    tmp_path: Path, period_map: PeriodMap
) -> None:
    convert(tmp_path, period_map, "s1,a1,01/03/2025,,Solo,annual,10,120,False,True")
    out = tmp_path / "out"
    folders = {path.parent.parent.name for path in out.glob("*/2026-01-01/export.parquet")}
    assert folders == {"accounts", "plans", "fx_rates", "subscription_events"}
    assert {path.name for path in out.glob("*/*-*-*")} == {"2026-01-01"}
    assert landed(tmp_path, "accounts", "account_id", "created_at", "market") == [
        ("a1", "2025-02-01", "GB"),
        ("a2", "2025-02-02", "DE"),
    ]
    assert landed(tmp_path, "plans", "plan_id", "kind", "interval") == [("solo-year", "individual", "year")]
    assert landed(tmp_path, "fx_rates", "day", "currency", "usd_rate") == [
        (date(2025 + month // 13, (month - 1) % 12 + 1, 1), "EUR", "1.08") for month in range(3, 14)
    ]


def test_without_an_arrival_day_rows_arrive_when_they_happen(tmp_path: Path, period_map: PeriodMap) -> None:
    result = convert(
        tmp_path, period_map, "s1,a1,01/03/2025,04/03/2025,Solo,monthly,10,120,False,True", arrival=None
    )
    assert (result.first_arrival, result.last_arrival) == (date(2025, 2, 1), date(2025, 3, 4))
    days = {path.parent.name for path in (tmp_path / "out/subscription_events").glob("*/*.parquet")}
    assert len(days) == 32
    assert [row[:2] for row in events(tmp_path)] == [("started", "2025-03-01"), ("expired", "2025-03-04")]


def test_an_end_that_lies_ahead_is_no_event_yet(tmp_path: Path, period_map: PeriodMap) -> None:
    convert(
        tmp_path,
        period_map,
        "s2,a1,01/03/2025,02/01/2026,Solo,monthly,10,120,False,True",
        "s1,a1,01/03/2025,01/01/2026,Solo,monthly,10,120,False,True",
    )
    assert [row[:2] for row in events(tmp_path)] == [
        ("started", "2025-03-01"),
        ("expired", "2026-01-01"),
        ("started", "2025-03-01"),
    ]


def test_a_subscription_may_end_on_the_day_it_starts(tmp_path: Path, period_map: PeriodMap) -> None:
    convert(tmp_path, period_map, "s1,a1,01/03/2025,01/03/2025,Solo,monthly,10,120,False,True")
    assert [row[:2] for row in events(tmp_path)] == [("started", "2025-03-01"), ("expired", "2025-03-01")]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [
                "s1,a1,01/03/2025,01/03/2025,Solo,monthly,0,0,True,True",
                "s1,a1,01/03/2025,,Solo,monthly,20,0,False,True",
            ],
            [("started", "2025-03-01", "solo-month", "20", None)],
        ),
        (
            [
                "s1,a1,01/03/2025,01/03/2025,Solo,monthly,20,0,False,True",
                "s1,a1,01/03/2025,,Home,annual,0,120,False,True",
            ],
            [("started", "2025-03-01", "home-year", "120", None)],
        ),
        (
            [
                "s1,a1,01/02/2025,01/03/2025,Solo,monthly,20,0,False,True",
                "s1,a1,01/03/2025,01/03/2025,Home,monthly,40,0,False,True",
                "s1,a1,01/03/2025,,Home,monthly,30,0,False,True",
            ],
            [
                ("started", "2025-02-01", "solo-month", "20", None),
                ("plan_changed", "2025-03-01", "home-month", "30", None),
            ],
        ),
        (
            [
                "s1,a1,01/03/2025,01/03/2025,Solo,monthly,20,0,False,True",
                "s1,a1,01/03/2025,01/03/2025,Solo,monthly,20,0,False,True",
            ],
            [
                ("started", "2025-03-01", "solo-month", "20", None),
                ("expired", "2025-03-01", None, None, None),
            ],
        ),
    ],
    ids=["trial, then paid", "bought and swapped", "swapped twice", "twice the same"],
)
@pytest.mark.parametrize("in_order", [True, False])
def test_a_period_of_no_length_is_superseded_by_the_one_that_begins_at_its_instant(
    tmp_path: Path, period_map: PeriodMap, lines: list[str], told: list[tuple[Any, ...]], in_order: bool
) -> None:
    result = convert(tmp_path, period_map, *(lines if in_order else lines[::-1]))
    assert events(tmp_path) == told
    assert (result.periods_in, result.periods_out, result.superseded) == (len(lines), len(lines) - 1, 1)
    assert result.refused == []


def test_free_time_in_mid_life_is_service_for_nothing(tmp_path: Path, period_map: PeriodMap) -> None:
    """Whatever the export calls it and whatever price it names: nobody left, and nobody is won anew."""
    result = convert(
        tmp_path,
        period_map,
        "s1,a1,01/03/2025,01/04/2025,Solo,monthly,10,120,False,True",
        "s1,a1,01/04/2025,01/05/2025,Solo,monthly,10,120,True,True",
        "s1,a1,01/05/2025,01/07/2025,Solo,monthly,0,0,True,True",
        "s1,a1,01/07/2025,,Solo,monthly,10,120,False,True",
    )
    assert [row[:4] for row in events(tmp_path)] == [
        ("started", "2025-03-01", "solo-month", "10"),
        ("plan_changed", "2025-04-01", "solo-month", "0"),
        ("renewed", "2025-05-01", "solo-month", "0"),
        ("plan_changed", "2025-07-01", "solo-month", "10"),
    ]
    assert landed(tmp_path, "subscription_events", "trial_ends_at") == [(None,)] * 4
    assert result.refused == []


def test_what_lies_ahead_is_refused_where_rows_arrive_when_they_happen(
    tmp_path: Path, period_map: PeriodMap
) -> None:
    (tmp_path / "accounts.csv").write_text("id,since,country\na1,01/02/2025,UK\na2,01/02/2999,DE\n")
    result = convert(
        tmp_path,
        period_map,
        "s1,a1,01/03/2025,31/12/2999,Solo,monthly,10,120,False,True",
        "s2,a2,01/12/2998,,Solo,monthly,10,120,False,True",
        arrival=None,
    )
    assert [(refusal.file, refusal.row, refusal.column) for refusal in result.refused] == [
        ("export.csv", 2, "from"),
        ("accounts.csv", 2, "since"),
    ]
    assert result.refused[0].reason.startswith("starts on 2998-12-01, after today, ")
    assert not list((tmp_path / "out").glob("*/2[1-9]*"))


@pytest.mark.usefixtures("period_map")
def test_times_at_the_edges_of_the_calendar_refuse_their_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "edges.map.yml"
    path.write_text(f"end_is: last_day\ntime_zone: Asia/Tokyo\n{MAP}")
    result = convert(
        tmp_path,
        read_period_map(path),
        "s1,a1,01/03/2025,31/12/9999,Solo,monthly,10,120,False,True",
        "s2,a1,01/01/0001,,Solo,monthly,10,120,False,True",
    )
    assert landed(tmp_path, "subscription_events", "event_type", "period_end_at") == [("started", None)]
    assert [(refusal.row, refusal.column) for refusal in result.refused] == [(2, "from")]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("s1,a1,2025-03-01,,Solo,monthly,10,120,False,True", "from", "no date like %d/%m/%Y"),
        ("s1,a1,01/03/2025,01/02/2025,Solo,monthly,10,120,False,True", "to", "before its start"),
        ("s1,a1,02/01/2026,,Solo,monthly,10,120,False,True", "from", "after its arrival"),
        ("s1,,01/03/2025,,Solo,monthly,10,120,False,True", "acct", "acct is empty"),
        ("s1,a1,01/03/2025,,Gold,monthly,10,120,False,True", "kind", "kind: Input should be 'free'"),
        (
            "s1,a1,01/03/2025,,Solo,daily,10,120,False,True",
            "rhythm",
            "'daily' is none of day, week, month, year, and no",
        ),
        ("s1,a1,01/03/2025,,Solo,P1M15D,10,120,False,True", "rhythm", "no ISO 8601 duration in whole years"),
        ("s1,a1,01/03/2025,,Solo,P3M,10,120,False,True", "price", "no price for every 3 months"),
        ("s1,a1,01/03/2025,,Solo,P9999D,10,120,False,True", "price", "no price for every 9999 days"),
        ("s1,a1,01/03/2025,,Solo,monthly,ten,120,False,True", "monthly", "'ten' is no amount"),
        ("s1,a1,01/03/2025,,Solo,monthly,nan,120,False,True", "monthly", "'nan' is no amount"),
        ("s1,a1,01/03/2025,,Solo,monthly,9.999,120,False,True", "price_amount", "decimal"),
        ("s1,a1,01/03/2025,,Solo,monthly,10,120,maybe,True", "trial", "neither true nor false"),
        ("s1,a1,01/03/2025,,Solo,monthly,10,120,False", "", "header's columns"),
        ("s0,a1,15/03/2025,,Solo,monthly,10,120,False,True", "start", "inside the period of row 1"),
        (
            "s0,a2,01/04/2025,,Solo,monthly,10,120,False,True",
            "account_id",
            "the period has another account_id than row 1",
        ),
    ],
)
def test_a_bad_row_is_refused_and_kept(
    tmp_path: Path, period_map: PeriodMap, line: str, column: str, reason: str
) -> None:
    result = convert(tmp_path, period_map, "s0,a1,01/03/2025,01/04/2025,Solo,monthly,10,120,False,True", line)
    [refusal] = result.refused
    assert (refusal.file, refusal.row, refusal.column) == ("export.csv", 2, column)
    assert reason in refusal.reason
    assert (result.periods_in, result.periods_out) == (2, 1)
    [kept] = (tmp_path / "out/_refused/export.ndjson").read_text().splitlines()
    assert json.loads(kept)["reason"] == refusal.reason
    assert json.loads(json.loads(kept)["payload"])["sub"] == line[:2]
    assert [row[:2] for row in events(tmp_path)] == [("started", "2025-03-01"), ("expired", "2025-04-01")]


def test_a_column_that_the_file_lacks_is_named_and_nothing_is_written(
    tmp_path: Path, period_map: PeriodMap
) -> None:
    export = tmp_path / "export.csv"
    export.write_text("sub,acct\ns1,a1\n")
    with pytest.raises(LandingError, match=r"export\.csv: column from is in the map but not in the file"):
        land_periods(export, period_map, FolderStore(tmp_path / "out"), ARRIVAL)
    assert not (tmp_path / "out").exists()


def test_a_wrong_map_names_each_wrong_entry(tmp_path: Path) -> None:
    path = tmp_path / "x.map.yml"
    path.write_text(MAP.replace("start: from", "strat: from"))
    with pytest.raises(LandingError, match=r"periods\.start: Field required.*periods\.strat: Extra"):
        read_period_map(path)


RHYTHMS_MAP = MAP.replace("{monthly: month, annual: year}", "{quarterly: P3M, annual: year}").replace(
    "price: {month: monthly, year: yearly}",
    "price: {year: yearly, P3M: monthly, P4W: monthly, P18M: monthly}",
)


@pytest.mark.usefixtures("period_map")
def test_a_rhythm_is_an_interval_a_duration_or_a_word_of_the_export(tmp_path: Path) -> None:
    path = tmp_path / "rhythms.map.yml"
    path.write_text(RHYTHMS_MAP)
    result = convert(
        tmp_path,
        read_period_map(path),
        "s1,a1,01/03/2025,,Solo,quarterly,41.91,0,False,True",
        "s2,a1,01/03/2025,,Solo,P4W,9.98,0,False,True",
        "s3,a1,01/03/2025,,Solo,annual,0,99.90,False,True",
        "s4,a1,01/03/2025,,Solo,P1Y,0,99.90,False,True",
        "s5,a1,01/03/2025,,Solo,P1Y6M,120,0,False,True",
    )
    assert result.refused == []
    columns = ("plan_id", "interval", "interval_count", "price_amount")
    assert landed(tmp_path, "subscription_events", "subscription_id", *columns) == [
        ("s1", "solo-3-month", "month", 3, "41.91"),
        ("s2", "solo-4-week", "week", 4, "9.98"),
        ("s3", "solo-year", "year", 1, "99.9"),
        ("s4", "solo-year", "year", 1, "99.9"),
        ("s5", "solo-18-month", "month", 18, "120"),
    ]
    assert landed(tmp_path, "plans", *columns[:3]) == [
        ("solo-18-month", "month", 18),
        ("solo-3-month", "month", 3),
        ("solo-4-week", "week", 4),
        ("solo-year", "year", 1),
    ]


@pytest.mark.usefixtures("period_map")
def test_a_count_of_intervals_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    """Here in ``yearly``; a rhythm without a count is every interval, a nought is refused."""
    path = tmp_path / "counted.map.yml"
    path.write_text(
        MAP.replace("price: {month: monthly, year: yearly}", "interval_count: yearly\n  price: monthly")
    )
    result = convert(
        tmp_path,
        read_period_map(path),
        "s1,a1,01/03/2025,,Solo,monthly,55,6,False,True",
        "s2,a1,01/03/2025,,Solo,P2W,55,2,False,True",
        "s3,a1,01/03/2025,,Solo,monthly,10,,False,True",
        "s4,a1,01/03/2025,,Solo,monthly,10,0,False,True",
        "s5,a1,01/03/2025,,Solo,monthly,10,9999,False,True",
    )
    assert landed(tmp_path, "subscription_events", "plan_id", "interval", "interval_count") == [
        ("solo-6-month", "month", 6),
        ("solo-4-week", "week", 4),
        ("solo-month", "month", 1),
    ]
    assert [(refusal.row, refusal.column) for refusal in result.refused] == [
        (4, "yearly"),
        (5, "interval_count"),
    ]


EXAMPLES = PROJECT_ROOT / "docs" / "examples"


def test_the_example_maps_are_valid() -> None:
    maps = {path.name: read_period_map(path) for path in EXAMPLES.glob("*.map.yml")}
    assert {name: found.accounts.file for name, found in maps.items()} == {
        "ravenstack.map.yml": "accounts.csv",
        "one-file.map.yml": None,
        "daily.map.yml": None,
        "weekly.map.yml": None,
    }


def test_an_export_without_a_file_of_accounts_tells_them_by_its_periods(tmp_path: Path) -> None:
    """Who pays is in the rows, market and locale are the map's; it is created with its first period."""
    export = tmp_path / "billing.csv"
    export.write_text(
        "subscription,customer,paid_from,paid_until,product,amount\n"
        "s1,a1,2025-03-01,2025-04-01,Solo,99\n"
        "s1,a1,2025-04-01,,Solo,99\n"
        "s2,a1,2025-02-01,,Solo,99\n"
        "s3,a2,2025-03-05,,Solo,99\n"
        "s4,a3,yesterday,,Solo,99\n"
    )
    one_file = read_period_map(EXAMPLES / "one-file.map.yml")
    result = land_periods(export, one_file, FolderStore(tmp_path / "out"), ARRIVAL)
    assert landed(tmp_path, "accounts", "account_id", "created_at", "market", "locale", "ingested_at") == [
        ("a1", "2025-02-01", "SE", "sv-SE", "2026-01-01"),
        ("a2", "2025-03-05", "SE", "sv-SE", "2026-01-01"),
    ]
    assert (result.periods_in, result.periods_out) == (5, 4)
    assert (result.accounts_in, result.accounts_out) == (2, 2)
    assert [(refusal.row, refusal.column) for refusal in result.refused] == [(5, "paid_from")]


IN_ONE_FILE = MAP.replace("file: accounts.csv", "file: export.csv").replace(
    "account_id: id", "account_id: acct", 1
)
IN_ONE_FILE = IN_ONE_FILE.replace("created: since", "created: from").replace(
    "column: country", "column: tier"
)
IN_ONE_FILE = IN_ONE_FILE.replace("{UK: GB}", "{Solo: SE, Home: DK}")


@pytest.mark.usefixtures("period_map")
def test_periods_and_accounts_of_one_file_are_counted_apart(tmp_path: Path) -> None:
    """An account moves with its third period; one has no market that could be read, but its period counts."""
    (tmp_path / "export.map.yml").write_text(
        IN_ONE_FILE.replace("{Solo: individual, Home: family}", "{Solo: individual, Home: family, Duo: duo}")
    )
    one_file = read_period_map(tmp_path / "export.map.yml")
    result = convert(
        tmp_path,
        one_file,
        "s1,a1,01/03/2025,01/04/2025,Solo,monthly,10,120,False,True",
        "s1,a1,01/04/2025,01/05/2025,Solo,monthly,10,120,False,True",
        "s1,a1,01/05/2025,,Home,monthly,15,180,False,True",
        "s2,a2,01/03/2025,,Duo,monthly,12,144,False,True",
        "s3,a3,02/03/2025,,Solo,monthly,ten,120,False,True",
        arrival=None,
    )
    assert landed(tmp_path, "accounts", "account_id", "created_at", "market", "ingested_at") == [
        ("a1", "2025-03-01", "SE", "2025-03-01"),
        ("a1", "2025-03-01", "DK", "2025-05-01"),
    ]
    assert (result.periods_in, result.periods_out) == (5, 4)
    assert (result.accounts_in, result.accounts_out) == (2, 1)
    assert [(refusal.row, refusal.column) for refusal in result.refused] == [(5, "monthly"), (4, "market")]
    assert result.rows_in == {"export.csv": 5, "churn.csv": 2}


def test_a_file_of_accounts_needs_to_say_whose_rows_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.map.yml"
    path.write_text(MAP.replace("  created: since\n", ""))
    with pytest.raises(LandingError, match=r"accounts: .*a file of accounts needs account_id and created"):
        read_period_map(path)


@pytest.mark.usefixtures("period_map")
def test_a_column_of_accounts_that_the_one_file_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "export.map.yml").write_text(
        IN_ONE_FILE.replace("column: tier, values: {Solo: SE", "column: country, values: {Solo: SE")
    )
    export = tmp_path / "export.csv"
    export.write_text(HEADER + "\n")
    with pytest.raises(LandingError, match=r"export\.csv: column country is in the map but not in the file"):
        land_periods(
            export, read_period_map(tmp_path / "export.map.yml"), FolderStore(tmp_path / "out"), ARRIVAL
        )


@pytest.mark.usefixtures("period_map")
def test_the_files_keep_their_contracts(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line writes to the landing root, and what it wrote lands without a refusal."""
    settings: Settings = world("periods")
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    export = tmp_path / "export.csv"
    export.write_text(
        f"{HEADER}\ns1,a1,01/03/2025,01/04/2025,Solo,monthly,0,0,True,True\n"
        "s1,a1,01/04/2025,,Solo,annual,10,120,False,True\n"
    )
    arguments = ["periods", str(export), "--map", str(tmp_path / "export.map.yml")]
    said = CliRunner().invoke(app, [*arguments, "--arrival-date", "2026-01-01"])
    assert "2 of 2 periods and 2 of 2 accounts" in said.output
    outcome = CliRunner().invoke(app, [*arguments, "--arrival-date", "2026-01-01", "--json"])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["rows"]["subscription_events"] == 2
    landings = land_days(settings, [ARRIVAL])
    assert sum(landing.rows_quarantined for landing in landings) == 0
    found = warehouse_of(settings).run(
        "select event_type, cast(price_amount as string) as price "
        f"from `{settings.project_id}.raw.subscription_events` order by occurred_at",
    )
    assert [row.event_type for row in found] == ["trial_started", "trial_converted"]


RAVENSTACK = {
    "subscriptions.csv": (
        "subscription_id,account_id,start_date,end_date,plan_tier,mrr_amount,arr_amount,is_trial,"
        "billing_frequency,auto_renew_flag\n"
        "S-8cec59,A-3c1a3f,2023-12-23,2024-04-12,Enterprise,2786,33432,False,monthly,True\n"
    ),
    "accounts.csv": "account_id,country,signup_date\nA-3c1a3f,UK,2023-12-01\n",
    "churn_events.csv": "account_id,churn_date,reason_code\nA-3c1a3f,2024-04-12,support\n",
}
"""A line of each of its files, with the columns that the map reads."""


def test_a_real_exports_map_makes_landing_files_where_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lines in RAVENSTACK.items():
        Path(name).write_text(lines)
    map_ = "docs/examples/ravenstack.map.yml"
    of_the_page = (
        "segue land periods subscriptions.csv --map docs/examples/ravenstack.map.yml "
        "--arrival-date 2025-01-01 --out landing"
    )

    done = CliRunner().invoke(cli.app, typed("README.md", of_the_page, {map_: PROJECT_ROOT / map_}))

    assert done.exit_code == 0, done.output
    assert list(Path("landing/subscription_events/2025-01-01").iterdir())
