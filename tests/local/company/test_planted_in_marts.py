"""What models learn from, through landing files and marts, is what was planted: row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.scoring.examples import read_examples
from loaders.warehouse.client import warehouse_of
from local.company import CompanySpec, generate
from runs.attempts import begin_attempt
from runs.dbt import build
from runs.steps import asked, land
from runs.training_examples import training_examples
from scoring.declaration import ModelDeclaration
from segue.settings import Settings
from tests.dbt.training_rows import model, record_published

SPEC = CompanySpec(accounts=400, days=46, seed=5, end_date=date(2026, 4, 30), plants_behaviour=True)
NEEDED = (
    "fct_account_features", "fct_trial", "fct_churn", "fct_experiment_exposure", "dim_account",
    "agg_subscribers_daily",
)  # fmt: skip
NEVER_HAD_ONE = [
    {"feature": "is_entitled", "equals": False},
    {"feature": "has_ever_trialled", "equals": False},
    {"feature": "has_ever_paid", "equals": False},
]
OFFERED = ["GB", "DE", "FR"]
ABOUT = ["market", "birth_year_band", "tenure_days", "streams_28d", "active_days_28d"]
HEARD_WITHIN_DAYS = 2
"""So many days after an outcome it is known."""
WHOLE = {"days": 90, "holdout_days": 1, "every": 1}
MODELS = {
    each.name: each
    for each in (
        model(
            "trial_propensity", "trial_started", 14, training=WHOLE,
            features=[*ABOUT, "ad_ms_28d", "skips_blocked_28d"],
            population={"all": [*NEVER_HAD_ONE, {"feature": "market", "not_in": OFFERED}]},
        ),
        model(
            "churn_risk", "churned", 30, features=[*ABOUT, "subscription_tenure_days"], training=WHOLE,
            population={"all": [{"feature": "is_payer", "equals": True},
                                {"feature": "is_paid", "equals": True}]},
        ),
        model(
            "trial_offer_uplift", "trial_started", 14, features=ABOUT, training=WHOLE, kind="uplift",
            population={"all": NEVER_HAD_ONE}, minimum={"rows": 100, "events": 40, "qini": 0},
            treatment={"experiment": "paywall-free-month", "control": "control", "treated": ["treatment"]},
        ),
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def found(
    dbt_world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[pa.Table, pa.Table]]:
    """By model the examples that the warehouse has, and the truth of the company."""
    company = tmp_path_factory.mktemp("planted")
    settings = dbt_world("planted", experiments_dir=company / "experiments")
    generate(SPEC, company, landing=Path(urlparse(settings.landing_files_root).path))
    window = begin_attempt(settings, land(settings, asked(settings, SPEC.first_day, SPEC.end_date)).window)
    build(settings, window, [f"+{name}" for name in NEEDED])
    # What was built stands for what is published: nobody judges it here.
    published = settings.model_copy(update={"marts_dataset": window.audit_dataset})
    record_published(settings, [SPEC.end_date])
    truth = pq.read_table(company / "truth" / "model_probabilities-00000.parquet")
    with training_examples(published, SPEC.end_date, MODELS) as table:
        return {
            name: (
                pa.Table.from_batches(list(read_examples(warehouse_of(published), table, declared))),
                truth.filter(pa.compute.equal(truth["model_name"], name)),
            )
            for name, declared in MODELS.items()
        }


def learned_days(declared: ModelDeclaration) -> set[date]:
    """Feature days of a training on the company's last day: all but those between learned and held back."""
    newest = SPEC.end_date - timedelta(days=declared.target.within_days + HEARD_WITHIN_DAYS)
    between = {newest - timedelta(days=each) for each in range(1, declared.target.within_days + 1)}
    days = {SPEC.first_day + timedelta(days=each) for each in range(SPEC.days)}
    return {day for day in days if day <= newest} - between


@pytest.mark.parametrize("name", MODELS)
def test_the_examples_are_those_of_the_truth(found: dict[str, tuple[pa.Table, pa.Table]], name: str) -> None:
    examples, truth = found[name]
    declared = MODELS[name]
    columns = ["feature_date", "account_id", "outcome", "is_treated", *declared.features]

    def rows(table: pa.Table) -> dict[tuple[date, str], dict[str, Any]]:
        listed = table.select(columns).to_pylist()
        return {(row["feature_date"], row["account_id"]): row for row in listed}

    days = learned_days(declared)
    expected = {key: row for key, row in rows(truth).items() if key[0] in days}

    assert rows(examples) == expected
    assert len(expected) > 20
    assert {row["outcome"] for row in expected.values()} == {True, False}
