"""Rows of published marts, literal and drawn, that say what models of a test learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows
from scoring.declaration import ModelDeclaration
from segments.features import FEATURES
from segue.settings import Settings
from tests.dbt.reference.training_examples import Published
from tests.segments.warehouse_rows import FEATURE_ROWS, write_table

Row = dict[str, Any]

DAY = timedelta(days=1)
AS_OF = date(2026, 5, 2)
FIRST = date(2026, 4, 8)
MISSING = date(2026, 4, 17)
"""Never published."""


def model(name: str, event: str, within_days: int, **other: Any) -> ModelDeclaration:
    """A declaration of which only the given matters."""
    training = {"days": 9, "holdout_days": 4, "every": 1} | other.pop("training", {})
    content = {
        "name": name, "version": 1, "owner": "growth", "description": "Of a test.", "kind": "propensity",
        "target": {"event": event, "within_days": within_days},
        "population": {"feature": "has_ever_trialled", "equals": False},
        "features": ["streams_28d", "market", "is_paid"],
        "minimum": {"rows": 100, "events": 40, "auc": 0.5},
        "training": training, "shadow_days": 0, "max_age_days": 7,
    }  # fmt: skip
    return ModelDeclaration.model_validate(content | other)


MODELS = {
    each.name: each
    for each in (
        # Newest feature day 27 April, whose outcome is over on the 30th and heard of by 2 May; held back from
        # the 24th; learned from 12 to 20 April.
        model("starts", "trial_started", 3),
        model("sampled", "trial_started", 3, training={"negatives": 0.4, "every": 3}),
        model("capped", "trial_started", 3, training={"most_examples": 100}),
        # Ends two weeks earlier, since a refund may come: 14 April, of which 13 and 14 are held back.
        model("converts", "trial_converted", 2, training={"holdout_days": 2}),
        model(
            "leaves", "churned", 2,
            population={"all": [{"feature": "is_paid", "equals": True},
                                {"feature": "last_ended_date", "at_most": "day - 1"}]},
            features=["tenure_days", "streams_28d"],
        ),
        model("pays", "subscribed", 5),
        model(
            "offered", "trial_started", 3, kind="uplift", minimum={"rows": 100, "events": 40, "qini": 0},
            treatment={"experiment": "an-offer", "control": "none", "treated": ["short", "long"]},
        ),
    )
}  # fmt: skip


def april(day: int, clock: str = "12:00") -> datetime:
    """A moment of April 2026, UTC."""
    return datetime.fromisoformat(f"2026-04-{day:02d} {clock}").replace(tzinfo=UTC)


def features(account_id: str, day: date, **other: Any) -> Row:
    """A row of ``fct_account_features`` whose streams tell its day."""
    row: Row = {
        **dict.fromkeys(FEATURES), "feature_date": day, "account_id": account_id, "market": "SE",
        "streams_28d": day.day, "has_ever_trialled": False, "is_paid": True, "tenure_days": 100,
        "last_ended_date": date(2026, 4, 1), "is_test_account": False, "is_deletion_requested": False,
        "is_marketing_withdrawn": False, "is_personalisation_withdrawn": False,
        "offer_exposures": [], "model_scores": [],
    }  # fmt: skip
    return row | other


def trial(account_id: str, started: datetime, converted: datetime | None = None) -> Row:
    """A row of ``fct_trial``."""
    return {
        "trial_date": started.date(), "account_id": account_id, "trial_started_at": started,
        "is_converted": converted is not None, "converted_at": converted,
    }  # fmt: skip


def exposure(account_id: str, at: datetime, variant: str, **other: Any) -> Row:
    """A row of ``fct_experiment_exposure``."""
    row = {
        "exposure_date": at.date(), "experiment_id": "an-offer", "account_id": account_id,
        "variant": variant, "exposed_at": at, "is_excluded": False,
    }  # fmt: skip
    return row | other


def days() -> Iterator[date]:
    """Every day that features are there of."""
    return (FIRST + DAY * each for each in range((AS_OF - FIRST).days + 1))


def everywhere(account_id: str, **other: Any) -> list[Row]:
    """The account on every published day."""
    return [features(account_id, day, **other) for day in days() if day != MISSING]


def literal() -> Published:
    """An account for each thing that may go wrong; all start a trial on 26 April but the quiet one."""
    started = april(26)
    published = Published({day for day in days() if day != MISSING})
    for account in ("a_quiet", "a_starts", "a_survivor", "a_shown", "a_control", "a_before", "a_two"):
        published.features += everywhere(account)
    published.features += [row for row in everywhere("a_merged") if row["feature_date"] < april(28).date()]
    published.features += everywhere("a_silent")
    published.features += everywhere("a_asked")
    published.features += everywhere("a_tester")
    for row in published.features:
        if row["feature_date"] == AS_OF:
            row["is_personalisation_withdrawn"] = row["account_id"] == "a_silent"
            row["is_deletion_requested"] = row["account_id"] == "a_asked"
            row["is_test_account"] = row["account_id"] == "a_tester"
    published.trials = [
        trial(account, started)
        for account in ("a_starts", "a_survivor", "a_shown", "a_control", "a_silent", "a_asked", "a_tester")
    ]
    published.trials.append(trial("a_before", april(25, "09:00")))
    published.versions = [
        {"account_id": "a_merged", "resolved_account_id": "a_survivor", "valid_from_date": date(2026, 4, 28)},
        {"account_id": "a_starts", "resolved_account_id": "a_starts", "valid_from_date": date(2026, 4, 26)},
    ]
    published.exposures = [
        exposure("a_shown", april(25), "long"),
        exposure("a_control", april(25), "none"),
        exposure("a_before", april(25), "short"),
        exposure("a_two", april(25), "short", is_excluded=True),
        exposure("a_quiet", april(25), "an_arm_that_is_not_compared"),
        exposure("a_starts", april(25), "long", experiment_id="another-offer"),
    ]
    return published


def chance(seed: int = 4) -> Published:
    """Sixty accounts, each day of which is drawn."""
    draw = Random(seed)
    published = Published({day for day in days() if day != MISSING})
    accounts = [f"r_{each:02d}" for each in range(60)]
    for account in accounts:
        gone = draw.choice([AS_OF, AS_OF, AS_OF, date(2026, 4, 25)])
        for day in days():
            if day == MISSING or day > gone or draw.random() < 0.05:
                continue
            published.features.append(
                features(
                    account, day,
                    has_ever_trialled=draw.random() < 0.2,
                    is_paid=draw.choice([True, True, False, None]),
                    last_ended_date=draw.choice([None, day, day - DAY, day - 9 * DAY]),
                    is_test_account=draw.random() < 0.03,
                    is_deletion_requested=draw.random() < 0.03,
                    is_personalisation_withdrawn=draw.random() < 0.1,
                )
            )  # fmt: skip

    def moment() -> datetime:
        return april(draw.randint(6, 30), f"{draw.randint(0, 23):02d}:30")

    for _ in range(50):
        at = moment()
        converted = draw.choice([None, at + timedelta(days=draw.randint(0, 6))])
        published.trials.append(trial(draw.choice(accounts), at, converted))
        published.churns.append({"churn_date": moment().date(), "account_id": draw.choice(accounts)})
        published.movements.append(
            {
                "snapshot_date": moment().date(), "account_id": draw.choice(accounts),
                "movement": draw.choice(["new", "reactivation", "churn", "expansion", "none"]),
            }
        )  # fmt: skip
    for account in accounts[:45]:
        variant = draw.choice(["none", "none", "short", "long", "unknown"])
        published.exposures.append(exposure(account, moment(), variant, is_excluded=draw.random() < 0.1))
    published.versions = [
        {
            "account_id": f"old_{each}", "resolved_account_id": draw.choice(accounts),
            "valid_from_date": moment().date(),
        }
        for each in range(8)
    ]  # fmt: skip
    return published


TIME = pa.timestamp("us", "UTC")
TABLES = {
    "fct_account_features": FEATURE_ROWS,
    "fct_trial": pa.schema(
        {
            "trial_date": pa.date32(), "account_id": pa.string(), "trial_started_at": TIME,
            "is_converted": pa.bool_(), "converted_at": TIME,
        }
    ),
    "fct_churn": pa.schema({"churn_date": pa.date32(), "account_id": pa.string()}),
    "fct_subscriber_daily": pa.schema(
        {"snapshot_date": pa.date32(), "account_id": pa.string(), "movement": pa.string()}
    ),
    "fct_experiment_exposure": pa.schema(
        {
            "exposure_date": pa.date32(), "experiment_id": pa.string(), "account_id": pa.string(),
            "variant": pa.string(), "exposed_at": TIME, "is_excluded": pa.bool_(),
        }
    ),
    "dim_account": pa.schema(
        {"account_id": pa.string(), "resolved_account_id": pa.string(), "valid_from_date": pa.date32()}
    ),
    "agg_subscribers_daily": pa.schema({"snapshot_date": pa.date32()}),
}  # fmt: skip


def publish(settings: Settings, published: Published) -> None:
    """Make the tables of what was published."""
    rows: dict[str, list[Any]] = {
        "fct_account_features": published.features,
        "fct_trial": published.trials,
        "fct_churn": published.churns,
        "fct_subscriber_daily": published.movements,
        "fct_experiment_exposure": published.exposures,
        "dim_account": published.versions,
        # Several cells a day, as a mart of counts has.
        "agg_subscribers_daily": [{"snapshot_date": day} for day in sorted(published.days)] * 2,
    }
    for table, schema in TABLES.items():
        write_table(settings, settings.marts_dataset, table, schema, rows[table])
    record_published(settings, published.days)


def record_published(settings: Settings, days: Iterable[date]) -> None:
    """Say of the features of these days that they are published."""
    rows = [
        {"run_date": day, "mart": "fct_account_features", "partition_date": day, "publication_id": str(day)}
        for day in sorted(days)
    ]
    append_rows(warehouse_of(settings), "publications", rows)


def both() -> Published:
    """The literal and the drawn accounts."""
    found, drawn = literal(), chance()
    for name in ("features", "trials", "churns", "movements", "exposures", "versions"):
        getattr(found, name).extend(getattr(drawn, name))
    return found


def until(published: Published, day: date) -> Published:
    """What was published when ``day`` was the last day."""

    def rows(listed: Sequence[Mapping[str, Any]], column: str) -> list[Mapping[str, Any]]:
        return [row for row in listed if row[column] <= day]

    return Published(
        days={each for each in published.days if each <= day},
        features=rows(published.features, "feature_date"),
        trials=rows(published.trials, "trial_date"),
        churns=rows(published.churns, "churn_date"),
        movements=rows(published.movements, "snapshot_date"),
        exposures=rows(published.exposures, "exposure_date"),
        versions=rows(published.versions, "valid_from_date"),
    )
