"""The sums of experiments are those of a walk over each account's days, whatever is built when."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.declaration import Metric, Source
from experiments.facts import FACTS
from experiments.registry import EXPERIMENTS_DIR, load
from loaders.experiments.daily_sums import SUMS
from tests.conftest import World
from tests.dbt.conftest import Row, Warehouse, account, at, day, event, plan, rate
from tests.dbt.march import impression

DAY = timedelta(days=1)
FIRST, LAST = "2026-09-01", "2026-10-20"
SINGLE_DAYS = ("2026-10-03", "2026-10-06")
SUBSCRIBER = {"mart": "fct_subscriber_daily", "day": "snapshot_date"}
JOURNEY = {"mart": "fct_offer_journey", "aggregate": "count"}
PAID_IN = {"mart": "fct_payment", "at": "occurred_at"}
METRICS: dict[str, Row] = {
    "paid": {"value": SUBSCRIBER | {"column": "is_paid", "aggregate": "any"}, "window_days": 14},
    "paid_days": {"value": SUBSCRIBER | {"column": "is_paid", "aggregate": "sum"}, "window_days": 10},
    "yearly": {
        "value": SUBSCRIBER | {"column": "billing_interval", "equals": "year", "aggregate": "any"},
        "window_days": 12, "covariate_days": None,
    },
    "churned": {
        "value": SUBSCRIBER | {"column": "movement", "equals": "churn", "aggregate": "any"},
        "window_days": 14, "covariate_days": 9,
    },
    "mrr": {
        "value": SUBSCRIBER | {"column": "mrr_usd_amount", "aggregate": "last"},
        "window_days": 14, "cap": 9.5,
    },
    "net_revenue": {"value": PAID_IN | {"column": "net_usd_amount", "aggregate": "sum"}, "window_days": 15},
    "conversions_per_journey": {
        "numerator": JOURNEY | {"at": "converted_at"}, "denominator": JOURNEY | {"at": "opened_at"},
        "window_days": 15, "covariate_days": 8,
    },
    "revenue_per_payment": {
        "numerator": PAID_IN | {"column": "amount_usd_amount", "aggregate": "sum"},
        "denominator": PAID_IN | {"aggregate": "count"},
        "window_days": 9,
    },
}  # fmt: skip
ARMS = {"three-arms": ("control", "second", "third"), "two-arms": ("control", "second")}
JUDGED_BY = {
    "three-arms": list(METRICS)[:5],
    "two-arms": ["paid", "net_revenue", "conversions_per_journey", "revenue_per_payment"],
}
"""Of what every experiment is judged by."""


def declare(folder: Path) -> Path:
    """The test's own experiments, in place of the project's."""
    (folder / "metrics").mkdir()
    common = {"version": 1, "owner": "tests"}
    for name, metric in METRICS.items():
        declared = {"id": name, "description": "–", "worse": "lower", "covariate_days": 10} | common | metric
        (folder / "metrics" / f"{name}.yml").write_text(yaml.safe_dump(declared))
    for name, arms in ARMS.items():
        percent = {"control": 100 - 30 * (len(arms) - 1)}
        (folder / f"{name}.yml").write_text(yaml.safe_dump(common | {
            "id": name, "hypothesis": "–", "surface": "home", "salt": name, "control": "control",
            "variants": [{"name": arm, "percent": percent.get(arm, 30)} for arm in arms],
            "metrics": [
                {"metric": each, "role": "success", "minimum_effect": 0.1} for each in JUDGED_BY[name]
            ],
            "looks": [50], "start": day("2026-09-11"), "end": day("2026-10-09"),
        }))  # fmt: skip
    return folder


def lives(dice: random.Random, account_id: str) -> list[Row]:
    """One or two subscriptions that start, renew, fail, end and begin again at any time."""
    rows = []
    for number in range(dice.choice([0, 1, 1, 2])):
        now = at("2026-08-01 00:00") + timedelta(hours=dice.randrange(24 * 70))
        yearly = dice.random() < 0.3
        told: Row = {
            "plan_id": "year" if yearly else "month",
            "price_amount": Decimal("99.90" if yearly else dice.choice(["9.99", "10.99", "4.50"])),
            "currency": dice.choice(["USD", "SEK"]),
        }
        if dice.random() < 0.2:
            # The catalogue tells what the events do not.
            told |= {"price_amount": None, "currency": None}
        for kind in ["started", *dice.sample(["auto_renew_off", "expired", "reactivated", "expired"], 3)]:
            rows.append(event(f"{account_id}-{number}", account_id, kind, f"{now:%Y-%m-%d %H:%M}", **told))
            now += timedelta(hours=dice.randrange(1, 24 * 25))
    return rows


def payments(dice: random.Random, events: list[Row]) -> list[Row]:
    """Charges at any time of a subscription's life, some refunded, some failed."""
    rows: list[Row] = []
    for number in range(260):
        started = dice.choice(events)
        row = {
            "payment_id": f"p{number:03}", "subscription_id": started["subscription_id"], "kind": "charge",
            "amount": Decimal(dice.choice(["9.99", "99.90", "4.50"])), "currency": "USD", "attempt": 1,
            "status": dice.choice(["succeeded", "succeeded", "failed"]),
            "occurred_at": at("2026-08-20 00:00") + timedelta(minutes=dice.randrange(60 * 24 * 60)),
        }  # fmt: skip
        rows.append(row)
        if number % 5 == 0:
            later = row["occurred_at"] + timedelta(hours=dice.randrange(1, 200))
            refund = {
                "payment_id": f"r{number:03}",
                "kind": "refund",
                "refunded_payment_id": row["payment_id"],
            }
            rows.append(row | refund | {"status": "succeeded", "occurred_at": later})
    arrived = [row | {"ingested_at": row["occurred_at"]} for row in rows]
    return [row for row in arrived if row["ingested_at"] < at(f"{LAST} 00:00")]


@pytest.fixture(scope="module")
def warehouse(dbt_world: World, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Fifty days of seventy accounts, sixty of them in two experiments from 11 to 25 September on."""
    folder = declare(tmp_path_factory.mktemp("declared"))
    dice, warehouse = random.Random(13), Warehouse(dbt_world("sums", dbt_threads=2, experiments_dir=folder))
    names = [f"a{number:02}" for number in range(70)]
    warehouse.land("accounts", [
        *(account(name, since="2026-07-01 00:00") for name in names),
        # Merged before and after the exposure, and into somebody who is in no experiment.
        account("a01", merged_into="a62", ingested_at=at("2026-09-05 05:00")),
        account("a03", merged_into="a65", ingested_at=at("2026-09-27 05:00")),
    ])  # fmt: skip
    warehouse.land("plans", [
        plan("month", "individual", "month", since="2026-07-01 00:00"),
        plan("year", "individual", "year", since="2026-07-01 00:00"),
    ])  # fmt: skip
    warehouse.land("plan_prices", [
        {"plan_id": name, "market": "SE", "currency": "SEK", "price_amount": Decimal(price),
         "tax_inclusive": True, "valid_from": day("2026-07-01"), "ingested_at": at("2026-07-01 00:00")}
        for name, price in (("month", "119.00"), ("year", "1190.00"))
    ])  # fmt: skip
    warehouse.land("fx_rates", [
        rate("SEK", f"0.{900 + number % 97}", on=str(day("2026-07-01") + number * DAY))
        for number in range(112)
    ])  # fmt: skip
    events = [row for name in names for row in lives(dice, name)]
    warehouse.land("subscription_events", [row for row in events if row["ingested_at"] < at(f"{LAST} 00:00")])
    warehouse.land("payments", payments(dice, events))
    warehouse.land("plan_members", [
        {"subscription_id": row["subscription_id"], "account_id": f"a{number:02}", "role": "member",
         "joined_at": row["occurred_at"] + timedelta(days=3), "left_at": None,
         "ingested_at": row["occurred_at"] + timedelta(days=3)}
        for number, row in enumerate(events[:200:25], 20)
    ])  # fmt: skip
    exposed_from = at("2026-09-11 00:00")
    warehouse.land("offer_impressions", [
        impression(number, name, f"{exposed_from + timedelta(minutes=dice.randrange(20_000)):%Y-%m-%d %H:%M}")
        | {"experiment_id": experiment, "variant": arm}
        for number, (name, experiment, arm) in enumerate(
            (name, experiment, dice.choice(arms))
            for name in names[:60] for experiment, arms in ARMS.items()
            # Some more than once, and not always in one arm.
            for _ in range(dice.choice([1, 1, 2]))
        )
    ])  # fmt: skip
    warehouse.build(FIRST, LAST, select=["+agg_experiment_daily", *(f"+{mart}" for mart in FACTS)])
    return warehouse


RANGE = "audit_20261020"
MERGED = {"a01": "a62", "a03": "a65"}
"""By the end; the windows are complete after that."""
Key = tuple[str, str, str, date]


def aliases(account_id: str) -> set[str]:
    """What the account was ever called."""
    survivor = MERGED.get(account_id, account_id)
    return {survivor, *(name for name, into in MERGED.items() if into == survivor)}


@pytest.fixture(scope="module")
def facts(warehouse: Warehouse) -> dict[str, list[Row]]:
    """All rows of the marts that metrics read, as the range built them."""
    return {
        mart: [dict(row) for row in warehouse.query(f"select * from {RANGE}.{mart}")]
        for mart in ("fct_subscriber_daily", "fct_offer_journey", "fct_payment")
    }


def measured(source: Source, metric: Metric, unit: Row, rows: list[Row], *, is_before: bool) -> Decimal:
    """One number of an account, by a walk over its rows."""
    names, moment = aliases(unit["account_id"]), unit["exposed_at"]
    window = timedelta(days=(metric.covariate_days or 0) if is_before else metric.window_days)
    mine = [row for row in rows if row["account_id"] in names]
    if source.at is not None:
        first, end = (moment - window, moment) if is_before else (moment, moment + window)
        began, at_column = FACTS[source.mart].partition, source.at
        happened = [
            row for row in mine
            if row[at_column] is not None and row[began] >= first.date() and first <= row[at_column] < end
        ]  # fmt: skip
        if source.column is None:
            return Decimal(len(happened))
        return sum((row[source.column] or Decimal(0) for row in happened), Decimal(0))
    assert source.column is not None, "rows of days have a column"
    on = unit["exposure_date"]
    first_day, last_day = (on - window, on - DAY) if is_before else (on + DAY, on + window)
    if source.aggregate == "last":
        first_day = last_day
    values = [
        (row[source.column] == source.equals) if source.equals else row[source.column]
        for row in mine
        if first_day <= row["snapshot_date"] <= last_day
    ]
    if source.aggregate == "any":
        return Decimal(any(values))
    return sum((Decimal(value or 0) for value in values), Decimal(0))


def walked(warehouse: Warehouse, facts: dict[str, list[Row]]) -> dict[Key, list[Any]]:
    """The sums of the range, account by account."""
    registry = load(warehouse.settings.experiments_dir or EXPERIMENTS_DIR)
    sums: dict[Key, list[Any]] = {}
    for unit in (dict(row) for row in warehouse.query(f"select * from {RANGE}.int_experiment_exposures")):
        for metric in (registry.metrics[name] for name in JUDGED_BY[unit["experiment_id"]]):
            on = unit["exposure_date"] + metric.window_days * DAY
            is_out = unit["excluded_at"] is not None and unit["excluded_at"].date() <= on
            if is_out or not day(FIRST) <= on <= day(LAST):
                continue
            numbers = numbers_of(metric, unit, facts)
            key = (unit["experiment_id"], unit["variant"], metric.id, on)
            before = sums.get(key, [None if each is None else 0 for each in numbers])
            sums[key] = [
                None if each is None else total + each for total, each in zip(before, numbers, strict=True)
            ]
    return sums


def numbers_of(metric: Metric, unit: Row, facts: dict[str, list[Row]]) -> list[Any]:
    """What an account adds: 1, y, yy, x, xx, xy, d, dd, yd, xd."""

    def number(source: Source | None, *, is_before: bool = False) -> Decimal | None:
        if source is None or (is_before and metric.covariate_days is None):
            return None
        found = measured(source, metric, unit, facts[source.mart], is_before=is_before)
        is_capped = metric.cap is not None and source is not metric.denominator
        return min(found, Decimal(str(metric.cap))) if is_capped else found

    of_y = metric.value or metric.numerator
    y, x, d = number(of_y), number(of_y, is_before=True), number(metric.denominator)
    one = Decimal(1)
    pairs = [(one, one), (y, one), (y, y), (x, one), (x, x), (x, y), (d, one), (d, d), (y, d), (x, d)]
    return [None if left is None or right is None else left * right for left, right in pairs]


def built(warehouse: Warehouse, dataset: str) -> dict[Key, list[Any]]:
    names = ", ".join(f"'{name}'" for name in METRICS)
    rows = warehouse.query(f"select * from {dataset}.agg_experiment_daily where metric in ({names})")
    return {
        (row["experiment_id"], row["variant"], row["metric"], row["metric_date"]): [
            row[name] for name in ("units", *SUMS)
        ]
        for row in rows
    }


def test_the_sums_are_those_of_a_walk_over_every_account(
    warehouse: Warehouse, facts: dict[str, list[Row]]
) -> None:
    sums = built(warehouse, RANGE)

    assert sums == walked(warehouse, facts)
    # In each of them something was seen: of y, of x and of d.
    seen = {
        name: [any(row[place] for key, row in sums.items() if key[2] == name) for place in (1, 3, 6)]
        for name in METRICS
    }
    assert seen == {
        "paid": [True, True, False],
        "paid_days": [True, True, False],
        "yearly": [True, False, False],
        "churned": [True, True, False],
        "mrr": [True, True, False],
        "net_revenue": [True, True, False],
        "conversions_per_journey": [True, True, True],
        "revenue_per_payment": [True, True, True],
    }


def test_metrics_read_the_rows_that_the_mart_has_of_these_days(
    warehouse: Warehouse, facts: dict[str, list[Row]]
) -> None:
    columns = ("is_subscriber", "is_paid", "is_in_trial", "plan_kind", "billing_interval", "mrr_usd_amount")
    read = {
        (row["account_id"], row["snapshot_date"]): row
        for row in warehouse.query(f"select * from {RANGE}.int_experiment_subscriber_days")
    }
    mart = {(row["account_id"], row["snapshot_date"]): row for row in facts["fct_subscriber_daily"]}

    def shown(row: Any) -> tuple[Any, ...]:
        # Who only churned at midnight has a plan in the mart; no metric looks at the plan of who has none.
        values = [row[name] if row["is_subscriber"] else None for name in columns[3:5]]
        return (*(row[name] for name in columns[:3]), *values, row[columns[5]], row["movement"] == "churn")

    common = [key for key in read if day(FIRST) < key[1]]
    assert len(common) > 500
    assert {key: shown(read[key]) for key in common} == {key: shown(mart[key]) for key in common}
    # And all of them, from the covariate's first day to the window's last.
    units = warehouse.query(f"select * from {RANGE}.int_experiment_units where metric = 'mrr'")
    wanted = {
        (unit["holder_account_id"], day_of)
        for unit in units
        for day_of in (unit["exposure_date"] + DAY * number for number in range(-10, 15))
    }
    assert {key for key in mart if key in wanted and key[1] > day(FIRST)} <= set(read)


@pytest.mark.parametrize("on", SINGLE_DAYS)
def test_a_day_built_for_itself_and_knowing_no_later_day_has_the_same_sums(
    warehouse: Warehouse, on: str
) -> None:
    dataset = warehouse.build(on, on, select=["+agg_experiment_daily"])

    whole = {key: row for key, row in built(warehouse, RANGE).items() if key[3] == day(on)}
    assert whole
    assert built(warehouse, dataset) == whole


def test_exposures_are_counted_on_their_own_day(warehouse: Warehouse) -> None:
    counted = warehouse.rows(
        f"{RANGE}.agg_experiment_daily", "experiment_id, variant, metric_date, units, sum_y", "1, 2, 3",
        "metric = 'exposures'",
    )  # fmt: skip
    exposed = warehouse.rows(
        f"{RANGE}.int_experiment_exposures",
        "experiment_id, variant, exposure_date, count(*), cast(countif(is_variant_mismatch) as numeric)",
        "1, 2, 3",
        "coalesce(date(excluded_at) > exposure_date, true) group by 1, 2, 3",
    )  # fmt: skip

    assert counted == exposed != []
