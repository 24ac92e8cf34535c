"""An independent model of the rules, event by event and without SQL, agrees with the marts."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from segue.settings import PROJECT_ROOT, Settings
from segue.window import RunWindow
from tests.dbt.compiled_project import CompiledProject, Execution, compile_project
from tests.dbt.reference.company import AccountVersion, Catalogue, Company, Event, ProviderFee, VatRate
from tests.dbt.reference.comparison import (
    CELL,
    DETAILS,
    Built,
    aggregate_disagreements,
    build_companies,
    described,
    disagreements,
    prefix,
    smallest_failing,
)
from tests.dbt.reference.days import DAY, days_between, midnight
from tests.dbt.reference.histories import PROVIDERS, WINDOW, catalogue, generated

EXAMPLES = int(os.environ.get("SEGUE_EXAMPLES", "2500"))
"""Random companies; the time of the tests grows with it."""

SEED = int(os.environ.get("SEGUE_EXAMPLES_SEED", "1"))

SHOWN = 3
"""Disagreements of different companies that are made small and printed."""


def _seed(name: str) -> list[dict[str, str]]:
    with Path(PROJECT_ROOT / "dbt/seeds" / name).open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def shared_catalogue() -> Catalogue:
    fees = tuple(
        ProviderFee(
            row["provider"],
            date.fromisoformat(row["valid_from_date"]),
            int(row["from_tenure_days"]),
            int(row["fee_basis_points"]),
            row["is_returned"] == "true",
        )
        for row in _seed("provider_fees.csv")
    )
    vat = tuple(
        VatRate(row["market"], date.fromisoformat(row["valid_from_date"]), int(row["vat_basis_points"]))
        for row in _seed("vat_rates.csv")
    )
    return catalogue(fees, vat)


@pytest.fixture(scope="module")
def project(dbt_world: Callable[..., Settings]) -> CompiledProject:
    settings = dbt_world("reference", history_start_date=WINDOW.history_start)
    return compile_project(settings, RunWindow.whole(settings, WINDOW.start, WINDOW.end, WINDOW.as_of))


Build = Callable[[Sequence[Company]], Built]


@pytest.fixture(scope="module")
def build(project: CompiledProject, shared_catalogue: Catalogue) -> Build:
    """Build the marts of some companies in fresh datasets, which are gone afterwards."""
    numbers = count()

    def run(companies: Sequence[Company]) -> Built:
        execution = Execution(project.settings, f"n{next(numbers)}")
        try:
            return build_companies(execution, project, companies, shared_catalogue, WINDOW)
        finally:
            execution.drop()

    return run


def _arriving_otherwise(company: Company, random: Random) -> Company:
    """The same events in another order of arrival within the window, one of them delivered once more."""
    if not company.events:
        return company
    last = midnight(WINDOW.as_of + DAY)

    def between(earliest: datetime) -> datetime:
        return earliest + timedelta(minutes=random.randrange(int((last - earliest).total_seconds()) // 60))

    # By contract an event is at most a day ahead of its arrival.
    earliest = [max(midnight(WINDOW.history_start), event.occurred_at - DAY) for event in company.events]
    events = [
        replace(event, ingested_at=between(since))
        for event, since in zip(company.events, earliest, strict=True)
    ]
    again = random.choice(events)
    events.append(replace(again, ingested_at=between(again.ingested_at)))
    random.shuffle(events)
    numbered = tuple(replace(event, landing_row=n) for n, event in enumerate(events, start=1))
    return replace(company, events=numbered)


def _in_time(company: Company) -> Company:
    """One delivery of each event, all known to the run: what arrives otherwise tells the same."""
    last = midnight(WINDOW.as_of + DAY)
    first: dict[tuple[str, str], Event] = {}
    for event in company.events:
        # When an export arrives decides what it replaces.
        if event.occurred_at >= last or event.export_covers:
            continue
        arrived = min(max(event.ingested_at, midnight(WINDOW.history_start)), last - timedelta(minutes=1))
        first.setdefault((event.provider, event.provider_event_id), replace(event, ingested_at=arrived))
    return replace(company, events=tuple(first.values()))


@pytest.fixture(scope="module")
def built(build: Build) -> Built:
    """Thousands of random companies side by side in one warehouse.

    Every third is followed by twins whose events arrive in other orders.
    """
    random = Random(SEED)
    companies: list[Company] = []
    for company in generated(EXAMPLES // 3, SEED):
        told = _in_time(company)
        companies += [company, told, _arriving_otherwise(told, random)]
    return build(companies)


def test_the_marts_are_those_of_the_reference(
    built: Built, build: Build, shared_catalogue: Catalogue
) -> None:
    found = disagreements(built, shared_catalogue, WINDOW)

    def fails(companies: Sequence[Company]) -> list[bool]:
        failed = disagreements(build(companies), shared_catalogue, WINDOW)
        return [number in failed for number in range(len(companies))]

    reports = []
    for number in sorted(found, key=lambda n: len(found[n]))[:SHOWN]:
        company = smallest_failing(built.companies[number], fails)
        differs = disagreements(build([company]), shared_catalogue, WINDOW)
        reports.append(f"{described(company)}\n{differs[0]}")
    assert not found, f"{len(found)} of {len(built.companies)} companies differ\n\n" + "\n\n".join(reports)


def test_the_aggregates_are_those_of_the_reference(built: Built, shared_catalogue: Catalogue) -> None:
    differs = aggregate_disagreements(built, shared_catalogue, WINDOW)
    assert not differs, differs[:4000]


def test_the_companies_move_between_plans_in_every_way_and_pay_afterwards(built: Built) -> None:
    moves = built.aggregated["agg_upsell_daily"]
    assert {row["move"] for row in moves} == {
        "start", "end", "upgrade", "downgrade", "longer_rhythm", "shorter_rhythm", "other",
    }  # fmt: skip
    assert {row["horizon_days"] for row in moves} >= {0, 30}
    later = [row for row in moves if row["horizon_days"] == 30]
    for measure in ("retained_accounts", "on_plan_accounts", "mrr_after_usd_amount", "revenue_usd_amount"):
        assert 0 < sum(bool(row[measure]) for row in later) < len(later), measure


def test_the_companies_are_paid_in_every_way(built: Built) -> None:
    found = Counter(
        (row["source"], row["payment_kind"], row["not_counted_reason"])
        for rows in built.details["fct_payment"].values()
        for row in rows
    )

    assert {reason for _, _, reason in found} == {
        None, "test_account", "pending", "failed", "dispute_won", "told_by_payments", "told_by_notification",
        "charge_not_paid", "already_refunded", "already_disputed", "beyond_charge", "nothing_taken",
    }  # fmt: skip
    assert {(source, kind) for source, kind, _ in found} == {
        ("payments", "charge"), ("payments", "refund"), ("payments", "dispute"),
        ("stripe", "charge"), ("stripe", "dispute"),
    }  # fmt: skip


Totals = Counter[tuple[Any, ...]]


def _by_cell(rows: Sequence[dict[str, Any]], *measures: str) -> dict[date, dict[str, Totals]]:
    """day → measure → cell → sum; unknown amounts count as nothing."""
    days: dict[date, dict[str, Totals]] = {}
    for row in rows:
        totals = days.setdefault(row["snapshot_date"], {name: Counter() for name in measures})
        for name in measures:
            totals[name][tuple(row[column] for column in CELL)] += row[name] or 0
    return days


def _nonzero(totals: Totals) -> dict[tuple[Any, ...], Any]:
    return {cell: value for cell, value in totals.items() if value}


def test_every_close_is_the_one_before_with_starts_ends_and_moves(built: Built) -> None:
    measures = ("active_subscriptions", "starts", "ends", "moves_in", "moves_out")
    days = _by_cell(built.aggregated["agg_subscribers_daily"], *measures)
    assert len(days) == len(days_between(WINDOW.start, WINDOW.end))
    for before, day in pairwise(sorted(days)):
        expected = Counter(days[before]["active_subscriptions"])
        expected.update(days[day]["starts"])
        expected.update(days[day]["moves_in"])
        expected.subtract(days[day]["ends"])
        expected.subtract(days[day]["moves_out"])
        assert _nonzero(days[day]["active_subscriptions"]) == _nonzero(expected), day


@pytest.mark.parametrize("amount", ["mrr_amount", "mrr_usd_amount"])
def test_revenue_is_the_day_before_and_its_movements_to_the_cent(built: Built, amount: str) -> None:
    closes = _by_cell(built.aggregated["agg_subscribers_daily"], amount)
    moved = _by_cell(built.aggregated["agg_mrr_movements_daily"], amount)
    for before, day in pairwise(sorted(closes)):
        expected = Counter(closes[before][amount])
        expected.update(moved.get(day, {}).get(amount, Counter()))
        assert _nonzero(closes[day][amount]) == _nonzero(expected), day


def test_movements_of_accounts_are_those_of_the_cells(built: Built) -> None:
    accounts: Counter[Any] = Counter()
    for rows in built.details["fct_subscriber_daily"].values():
        for row in rows:
            accounts[row["snapshot_date"]] += row["movement_usd_amount"] + row["fx_usd_amount"]
    cells: Counter[Any] = Counter()
    for row in built.aggregated["agg_mrr_movements_daily"]:
        cells[row["snapshot_date"]] += row["mrr_usd_amount"]
    assert _nonzero(accounts) == _nonzero(cells)


def test_nothing_leaves_or_enters_the_active_set_without_an_event(built: Built) -> None:
    closes: dict[date, set[str]] = {day: set() for day in days_between(WINDOW.start, WINDOW.end)}
    for rows in built.details["fct_subscription_daily"].values():
        for row in rows:
            if row["was_active_at_day_end"]:
                closes[row["snapshot_date"]].add(row["subscription_id"])
    told: Counter[tuple[date, str]] = Counter()
    for rows in built.details["fct_subscription_event"].values():
        for row in rows:
            told[row["event_date"], row["subscription_id"]] += row["is_start"] - row["is_end"]
    changed: Counter[tuple[date, str]] = Counter()
    for before, day in pairwise(sorted(closes)):
        changed.update((day, name) for name in closes[day] - closes[before])
        changed.subtract((day, name) for name in closes[before] - closes[day])
    later = {key: value for key, value in told.items() if key[0] > WINDOW.start}
    assert _nonzero(Counter(later)) == _nonzero(changed)


def test_periods_of_a_life_follow_each_other_without_overlap_or_gap(built: Built) -> None:
    for rows in built.details["int_subscription_periods"].values():
        lives: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            lives.setdefault(row["subscription_id"], []).append(row)
        for periods in lives.values():
            periods.sort(key=lambda p: p["valid_from_at"])
            assert periods[-1]["valid_to_at"] is None
            for before, after in pairwise(periods):
                assert before["valid_from_at"] < before["valid_to_at"] == after["valid_from_at"]


def test_the_order_of_arrival_and_redelivery_change_nothing(built: Built) -> None:
    def told(mart: str, number: int) -> list[dict[str, Any]]:
        own = prefix(number)
        rows = [
            {
                column: value.replace(own, "") if isinstance(value, str) else value
                for column, value in row.items()
                if column != "ingested_at"
            }
            for row in built.rows(mart, number)
        ]
        return sorted(rows, key=str)

    for number in range(1, len(built.companies), 3):
        for mart in DETAILS:
            assert told(mart, number) == told(mart, number + 1), described(built.companies[number + 1])


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _event(event_type: str, occurred: str, **other: Any) -> Event:
    facts = {"provider": PROVIDERS[-1], "subscription_id": "s1", "account_id": "a1"} | other
    at = _at(occurred)
    return Event(
        provider_event_id=facts.pop("provider_event_id", f"{event_type}-{occurred}"), event_type=event_type,
        occurred_at=at, ingested_at=facts.pop("ingested_at", at + timedelta(hours=1)), **facts,
    )  # fmt: skip


def _account(account_id: str, since: str, **other: Any) -> AccountVersion:
    return AccountVersion(account_id, "SE", _at(since), _at(since), **other)


SOLO = {"plan_id": "solo", "price_amount": Decimal("9.99"), "currency": "EUR", "interval": "month"}

FOUND = {
    "a late first event takes an implied start back": Company((
        _event("renewed", "2026-03-09 10:00", period_start_at=_at("2026-02-07 10:00"), **SOLO),
        _event("price_changed", "2026-03-02 10:00", ingested_at=_at("2026-03-12 10:00"), **SOLO),
    )),
    "auto-renew is switched off after the assumed expiry": Company((
        _event("started", "2026-01-20 10:00", period_end_at=_at("2026-01-27 10:00"), **SOLO),
        _event("auto_renew_off", "2026-03-02 23:00", auto_renew=False),
    )),
    "an event before any state has an account": Company((
        _event("auto_renew_on", "2026-03-05 10:00", auto_renew=True, **SOLO),
    )),
    "the first entitlement after a pause is a start": Company((
        _event("paused", "2026-03-02 10:00", **SOLO), _event("resumed", "2026-03-05 10:00"),
    )),
    "a rate appears while the subscription lasts": Company((
        _event("started", "2026-02-20 10:00", **SOLO | {"currency": "GBP"}),
    )),
    "the holder becomes an account of no feed": Company(
        (_event("started", "2026-02-20 10:00", **SOLO),
         _event("renewed", "2026-03-05 10:00", account_id="a2")),
        (_account("a1", "2026-02-01"),),
    ),
    "two notifications of one instant hand over to a test account": Company(
        (_event("started", "2026-02-20 10:00", **SOLO),
         _event("renewed", "2026-03-05 10:00", account_id="a2"),
         _event("auto_renew_on", "2026-03-05 10:00", account_id="a2")),
        (_account("a1", "2026-02-01"), _account("a2", "2026-02-01", is_test=True)),
    ),
    "an account is excluded long after an end that was forgiven": Company(
        (_event("started", "2026-01-20 10:00", **SOLO),
         _event("expired", "2026-02-20 10:00", reason="voluntary"),
         _event("reactivated", "2026-02-22 10:00")),
        (_account("a1", "2026-02-01"), _account("a1", "2026-03-06", is_test=True)),
    ),
    "the holder is merged over many accounts": Company(
        (_event("started", "2026-02-20 10:00", **SOLO),
         _event("started", "2026-02-22 10:00", subscription_id="s2", account_id="a5", **SOLO)),
        (*(_account(f"a{n}", "2026-02-01", merged_into=f"a{n + 1}") for n in range(1, 5)),
         _account("a5", "2026-02-01"), _account("a5", "2026-03-04", merged_into="a6"),
         _account("a6", "2026-02-01", merged_into="a7")),
    ),
    "the holder is merged in a circle of three, and a fourth into it": Company(
        (_event("started", "2026-02-20 10:00", **SOLO),
         _event("started", "2026-02-22 10:00", subscription_id="s2", account_id="a2", **SOLO)),
        (_account("a1", "2026-02-01", merged_into="a2"), _account("a2", "2026-02-01", merged_into="a3"),
         _account("a3", "2026-02-01", merged_into="a4"), _account("a4", "2026-02-01"),
         _account("a4", "2026-03-04", merged_into="a2"), _account("a4", "2026-03-09")),
    ),
    "nobody tells a price": Company(
        (_event("started", "2026-02-20 10:00", plan_id="solo"),
         _event("renewed", "2026-03-05 10:00", price_amount=Decimal("9.99"), currency="EUR")),
        (AccountVersion("a1", "JP", _at("2026-02-01"), _at("2026-02-01")),),
    ),
    "the catalogue tells the price, corrects it and is left by the account": Company(
        (_event("started", "2026-02-20 10:00", plan_id="solo"),
         _event("auto_renew_off", "2026-03-08 10:00", auto_renew=False)),
        (_account("a1", "2026-02-01"), AccountVersion("a1", "JP", _at("2026-03-11"), _at("2026-02-01"))),
    ),
    "an account is excluded and readmitted whose price is the catalogue's": Company(
        (_event("started", "2026-02-20 10:00", plan_id="year"),),
        (_account("a1", "2026-02-01"), _account("a1", "2026-03-02", is_test=True),
         _account("a1", "2026-03-06")),
    ),
    "a redelivery tells of another day": Company((
        _event("started", "2026-02-10 10:00", **SOLO),
        _event("renewed", "2026-02-23 10:00", provider_event_id="r"),
        _event("renewed", "2026-02-24 10:00", provider_event_id="r", ingested_at=_at("2026-02-26 10:00")),
    )),
}  # fmt: skip
"""Companies on which the SQL and the rules once differed."""


def test_what_once_differed_agrees(build: Build, shared_catalogue: Catalogue) -> None:
    found = disagreements(build(list(FOUND.values())), shared_catalogue, WINDOW)
    assert {list(FOUND)[number]: text for number, text in found.items()} == {}
