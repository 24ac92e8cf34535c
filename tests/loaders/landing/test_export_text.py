"""A billing export in whatever way its program writes CSV, with rates as the company has them."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.landing.errors import LandingError
from loaders.landing.period_map import read_period_map
from loaders.landing.periods import PeriodsLanding, land_periods
from loaders.objects.folder import FolderStore

MAP = """
{more}
usd_rates: {rates}
periods:
  subscription_id: sub
  account_id: acct
  start: begins
  end: ends
  plan: plan
  plan_kind: {{constant: individual}}
  interval: {{constant: month}}
  price: price
  currency: {{constant: VND}}
  is_trial: {{constant: "false"}}
accounts:
  market: {{constant: VN}}
  locale: {{constant: vi}}
"""
ARRIVAL = date(2026, 3, 15)
HEADER = "sub,acct,begins,ends,plan,price\n"
ROW = "s1,a1,2026-01-20,,Solo,59000\n"


def convert(
    folder: Path,
    content: str | bytes,
    more: str = "",
    rates: str = "{VND: 0.0000379507}",
    name: str = "subs.csv",
) -> PeriodsLanding:
    (folder / "map.yml").write_text(MAP.format(more=more, rates=rates))
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return land_periods(
        folder / name, read_period_map(folder / "map.yml"), FolderStore(folder / "out"), ARRIVAL
    )


def landed(folder: Path, table: str, *columns: str) -> list[tuple[Any, ...]]:
    rows = [
        row
        for path in sorted((folder / "out" / table).glob("*/*"))
        for row in pq.read_table(path).to_pylist()
    ]
    return [tuple(row[column] for column in columns) for row in rows]


def refused(
    folder: Path, content: str | bytes, more: str = "", rates: str = "{VND: 1}", name: str = "subs.csv"
) -> str:
    with pytest.raises(LandingError) as raised:
        convert(folder, content, more, rates, name)
    assert not (folder / "out").exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("content", "more"),
    [
        (HEADER + ROW, ""),
        ("\ufeff" + HEADER + ROW, ""),
        ((HEADER + ROW).replace("\n", "\r\n"), ""),
        ("sep=;\n" + (HEADER + ROW).replace(",", ";"), ""),
        ((HEADER + ROW).replace(",", "\t"), ""),
        (HEADER.replace(",", " , ") + ROW, ""),
        ((HEADER + ROW.replace("59000", "59.000,00")).replace(",", ";", 5).replace(",,Solo,", ";;Solo;")
         .replace("s1,a1,2026-01-20", "s1;a1;2026-01-20"), "decimal_comma: true"),
        ((HEADER + ROW).replace("59000", '"59 000,00"'), "decimal_comma: true"),
        ((HEADER + ROW).encode("utf-16"), "encoding: utf-16"),
        ((HEADER + ROW.replace(",Solo", ",Solo")).replace(",", "|"), 'delimiter: "|"'),
    ],
)  # fmt: skip
def test_an_export_is_read_as_it_is_written(tmp_path: Path, content: str | bytes, more: str) -> None:
    result = convert(tmp_path, content, more)
    assert result.refused == []
    assert landed(tmp_path, "subscription_events", "event_type", "price_amount") == [
        ("started", Decimal(59_000))
    ]


def test_an_export_may_be_compressed_and_in_latin_1(tmp_path: Path) -> None:
    content = gzip.compress((HEADER + ROW.replace("Solo", "Árleg")).encode("latin-1"))
    convert(tmp_path, content, "encoding: latin-1", name="subs.csv.gz")
    assert landed(tmp_path, "plans", "plan_id") == [("árleg-month",)]


def test_what_may_be_meant_in_two_ways_is_refused_by_name(tmp_path: Path) -> None:
    assert refused(tmp_path, HEADER.replace("plan", "price") + ROW) == (
        "subs.csv: column price is there 2 times: which one is meant?"
    )
    assert refused(tmp_path, (HEADER + ROW.replace("Solo", "Árleg")).encode("latin-1")).startswith(
        "subs.csv: is not utf-8: 'utf-8' codec can't decode byte 0xc1"
    )
    assert (
        refused(tmp_path, (HEADER + ROW).encode("utf-16")) == "subs.csv: is UTF-16: have it written as UTF-8"
    )
    assert refused(tmp_path, "") == "subs.csv: is empty; a day without rows is a header without rows"
    assert refused(tmp_path, HEADER.replace("plan", "tier") + ROW) == (
        "subs.csv: column plan is in the map but not in the file (it has sub, acct, begins, ends, tier, "
        "price)"
    )
    assert "price '59.00' is no amount" in refused(
        tmp_path, HEADER + ROW.replace("59000", "59.00"), "decimal_comma: true"
    )


def test_a_rate_lands_exactly_or_inverted_and_is_told_again_every_month(tmp_path: Path) -> None:
    convert(tmp_path, HEADER + ROW, rates="{VND: {per_usd: 26350}, USD: 1}")
    told = landed(tmp_path, "fx_rates", "day", "currency", "usd_rate")
    inverted = Decimal("0.000037950664")
    assert told == [
        (date(2026, 1, 20), "USD", Decimal(1)),
        (date(2026, 1, 20), "VND", inverted),
        (date(2026, 2, 1), "VND", inverted),
        (date(2026, 3, 1), "VND", inverted),
    ]


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ("{VND: 26350}", "map.yml: usd_rates.VND: Input should be less than or equal to 1000"),
        (
            "{VND: 0.00003795066413662}",
            "map.yml: usd_rates.VND: Decimal input should have no more than 12",
        ),
        ("{VND: 0}", "map.yml: usd_rates.VND: Input should be greater than 0"),
        ("{VND: {per_usd: 0}}", "map.yml: usd_rates.VND"),
        ("{VND: {per_eur: 1}}", "map.yml: usd_rates.VND"),
        ("{dong: 1}", "map.yml: usd_rates.dong"),
    ],
)
def test_a_wrong_rate_is_one_line_that_names_it(tmp_path: Path, rates: str, says: str) -> None:
    said = refused(tmp_path, HEADER + ROW, rates=rates)
    assert said.startswith(says)
    assert "\n" not in said


def test_a_reason_shows_words_and_figures_and_names_nobody(tmp_path: Path) -> None:
    rows = [
        "s2,a2,Anna Berg,,Solo,59000",
        "s3,a3,31-01-2026,,Solo,anna@example.com",
        "s4,a4,2026-01-20,,Solo,lots",
        "s1,anna@example.com,2026-03-01,,Solo,59000",
    ]
    result = convert(tmp_path, HEADER + ROW.replace(",,", ",2026-02-01,") + "\n".join(rows) + "\n")
    assert [each.reason for each in result.refused] == [
        "begins is no date like %Y-%m-%d",
        "begins '31-01-2026' is no date like %Y-%m-%d",
        "price 'lots' is no amount",
        "the period has another account_id than row 1",
    ]


CELLS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["s1", "2026-01-20", "2026-02-01", "", "59000", "1e999", "NaN", "-1", "9" * 40, "\x00", "Solo"]
    ),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.lists(CELLS, min_size=5, max_size=7), max_size=5), noise=st.binary(max_size=8))
def test_any_export_is_counted_whole_or_refused(tmp_path: Path, rows: list[list[str]], noise: bytes) -> None:
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL).writerows(rows)
    content = (HEADER + ROW + sink.getvalue()).encode(errors="replace") + noise
    try:
        result = convert(tmp_path, content)
    except LandingError:
        return
    assert result.periods_in == result.periods_out + len(result.refused)
    assert all(0 < len(each.reason) < 300 for each in result.refused)
