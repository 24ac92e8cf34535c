"""What ``int_training_examples`` has to hold, row by row from lists of what was published, without SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from scoring.declaration import ModelDeclaration
from segments.evaluator import bucket, holds

Row = Mapping[str, Any]
DAY = timedelta(days=1)
SETTLES = {"trial_started": 0, "trial_converted": 14, "subscribed": 0, "churned": 0}
UNHEARD_DAYS = 2


@dataclass
class Published:
    """Rows of the marts, by the columns that are asked for; ``days`` are those of which anything was."""

    days: set[date]
    features: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)
    churns: list[Row] = field(default_factory=list)
    movements: list[Row] = field(default_factory=list)
    exposures: list[Row] = field(default_factory=list)
    versions: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Example:
    """One row, without the features."""

    model: str
    day: date
    account: str
    outcome: bool
    is_treated: bool | None
    is_held_back: bool
    weight: float


def examples(models: Sequence[ModelDeclaration], published: Published, as_of: date) -> Iterator[Example]:
    """Every example of every model, as known at the end of ``as_of``."""
    may_learn = {
        row["account_id"]
        for row in published.features
        if row["feature_date"] == as_of
        and not (
            row["is_test_account"] or row["is_deletion_requested"] or row["is_personalisation_withdrawn"]
        )
    }
    for model in models:
        known = (row for row in published.features if row["account_id"] in may_learn)
        found = [each for row in known if (each := _example(model, row, published, as_of))]
        for each in found:
            if bucket(each.account, model.name) * len(found) < 10_000 * model.training.most_examples:
                yield each


def _example(model: ModelDeclaration, row: Row, published: Published, as_of: date) -> Example | None:
    day, account, within = row["feature_date"], row["account_id"], model.target.within_days
    if row["is_test_account"] or row["is_deletion_requested"] or not holds(model.population, row):
        return None
    window = [day + DAY * each for each in range(1, within + 1)]
    newest = as_of - DAY * (within + UNHEARD_DAYS + SETTLES[model.target.event])
    age = (newest - day).days
    holdout, days = model.training.holdout_days, model.training.days
    is_held_back, is_learned = 0 <= age < holdout, holdout + within <= age < holdout + within + days
    if not (is_held_back or is_learned) or not published.days.issuperset(window):
        return None
    exposure = None
    if model.treatment is None:
        if age % model.training.every:
            return None
    else:
        exposure = next(
            (
                each
                for each in published.exposures
                if each["account_id"] == account
                and each["experiment_id"] == model.treatment.experiment
                and each["exposure_date"] == day + DAY
                and not each["is_excluded"]
                and each["variant"] in {model.treatment.control, *model.treatment.treated}
            ),
            None,
        )
        if exposure is None:
            return None
    happened = [each for each in _events(model.target.event, published) if each[0] == account]
    if any(day - DAY * UNHEARD_DAYS < on <= day for _, on, _ in happened):
        return None
    if exposure is not None and any(
        at is not None and at < exposure["exposed_at"] and on in window for _, on, at in happened
    ):
        return None
    if any(
        each["resolved_account_id"] == account != each["account_id"] and each["valid_from_date"] in window
        for each in published.versions
    ):
        return None
    outcome = any(on in window for _, on, _ in happened)
    share = round(model.training.negatives * 10_000)
    if not (outcome or is_held_back) and bucket(account, f"{model.name}:{day}") >= share:
        return None
    return Example(
        model=model.name,
        day=day,
        account=account,
        outcome=outcome,
        is_treated=None
        if exposure is None or model.treatment is None
        else exposure["variant"] != model.treatment.control,
        is_held_back=is_held_back,
        weight=1.0 if outcome or is_held_back else 10_000 / share,
    )


def _events(event: str, published: Published) -> Iterator[tuple[str, date, datetime | None]]:
    """(account, day, instant where it is told)."""
    match event:
        case "trial_started":
            for row in published.trials:
                yield row["account_id"], row["trial_date"], row["trial_started_at"]
        case "trial_converted":
            for row in published.trials:
                if row["is_converted"]:
                    yield row["account_id"], row["converted_at"].date(), row["converted_at"]
        case "churned":
            for row in published.churns:
                yield row["account_id"], row["churn_date"], None
        case "subscribed":
            for row in published.movements:
                if row["movement"] in ("new", "reactivation"):
                    yield row["account_id"], row["snapshot_date"], None
