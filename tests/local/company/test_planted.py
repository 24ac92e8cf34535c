"""A company whose behaviour is planted: its truth is what happened, and what a model could know of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli import app
from local.company import CompanySpec, generate
from local.company.planted import planted_truth

SPEC = CompanySpec(accounts=8_000, days=56, seed=1, end_date=date(2026, 4, 30), plants_behaviour=True)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return planted_truth(SPEC).to_pandas()


def of(truth: pd.DataFrame, model: str) -> pd.DataFrame:
    found = truth[truth.model_name == model]
    assert len(found) > 1_000
    return found


def independent(rows: pd.DataFrame) -> pd.DataFrame:
    """One day of each account: its days tell of the same trial, or of the same end of a period."""
    return rows.groupby("account_id").nth(0)


@pytest.mark.parametrize("model", ["trial_propensity", "churn_risk", "trial_offer_uplift"])
def test_outcomes_happen_as_often_as_the_truth_says(truth: pd.DataFrame, model: str) -> None:
    rows = independent(of(truth, model))

    for _, part in rows.groupby(pd.qcut(rows.probability, 5)):
        expected, spread = part.probability.sum(), np.sqrt((part.probability * (1 - part.probability)).sum())
        assert abs(part.outcome.sum() - expected) < 4 * spread


def test_the_offer_helps_one_group_does_nothing_for_another_and_harms_a_third(truth: pd.DataFrame) -> None:
    units = of(truth, "trial_offer_uplift")
    effect = (units.probability_treated - units.probability_control).groupby(units.offer_group).mean()
    arms = units.groupby(["offer_group", "is_treated"]).outcome.mean().unstack()

    assert effect["helped"] > 0.2
    assert effect["indifferent"] == 0
    assert effect["harmed"] < -0.03
    assert (arms[True] - arms[False]).sort_values().index.tolist() == ["harmed", "indifferent", "helped"]
    assert 0.45 < units.is_treated.mean() < 0.55
    assert set(units.groupby("birth_year_band").offer_group.first()) == {"helped", "indifferent", "harmed"}


def test_what_drives_leaving_is_what_was_planted(truth: pd.DataFrame) -> None:
    """The probabilities are a line of the features in log odds, with the coefficients of the law."""
    rows = of(truth, "churn_risk")
    # Where the period ends on the next day, the features are those of the law.
    odds = np.log(rows.probability / (1 - rows.probability))
    rest = odds - 0.9 * (rows.birth_year_band == "2000-2010") + 0.8 * (rows.market == "US") + 0.6
    days_to_the_end = (-rest / 0.025 - rows.subscription_tenure_days)[rows.subscription_tenure_days < 90]

    assert days_to_the_end.round(6).between(0, 30).all()
    assert np.allclose(days_to_the_end, days_to_the_end.round(), atol=1e-6)


def test_the_truth_lies_beside_the_landing_files(tmp_path: Path) -> None:
    small = CompanySpec(accounts=120, days=40, seed=3, end_date=date(2026, 4, 30), plants_behaviour=True)
    generate(small, tmp_path)

    found = pq.read_table(tmp_path / "truth" / "model_probabilities-00000.parquet")
    assert found.equals(planted_truth(small))
    assert (tmp_path / "experiments" / "paywall-free-month.yml").exists()
    landed = {path.name for path in (tmp_path / "landing").iterdir()}
    assert {"accounts", "engagement_daily", "stripe_events", "payments", "offer_impressions"} <= landed


def test_who_plants_nothing_has_the_company_that_there_was_before() -> None:
    """A demo that is there already is recognised by this text."""
    spec: dict[str, Any] = {"accounts": 3, "days": 40, "seed": 1, "end_date": date(2026, 4, 30)}

    assert CompanySpec(**spec).to_json() == '{"accounts": 3, "days": 40, "end_date": "2026-04-30", "seed": 1}'
    assert '"plants_behaviour": true' in CompanySpec(**spec, plants_behaviour=True).to_json()
    assert '"plants_trials": true' in CompanySpec(**spec, plants_trials=True).to_json()
    with pytest.raises(ValueError, match="takes 35 days"):
        CompanySpec(3, 20, 1, date(2026, 4, 30), plants_behaviour=True)


def test_too_few_days_are_refused_in_words_at_the_command_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["company", "--planted", "--days", "20", "--out", str(tmp_path / "new")])

    assert result.exit_code == 2
    assert "with --planted at least 35" in result.output
    assert not (tmp_path / "new").exists()


def test_the_demos_company_is_asked_for_at_the_command_line(tmp_path: Path) -> None:
    asked = [
        "company",
        "--planted-trials",
        "--accounts",
        "50",
        "--days",
        "20",
        "--out",
        str(tmp_path / "new"),
    ]

    assert CliRunner().invoke(app, asked).exit_code == 0
    assert '"plants_trials": true' in (tmp_path / "new/spec.json").read_text()
    both = CliRunner().invoke(app, [*asked, "--planted", "--days", "40"])
    assert both.exit_code == 2
    assert "with --planted trials are planted" in both.output
