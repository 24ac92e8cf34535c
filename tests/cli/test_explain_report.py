"""What scores are made of, as a terminal shows it."""

from __future__ import annotations

from datetime import date

from cli.explain_report import score_lines
from runs.score_reasons import ScoreReasons
from scoring.contributions import Contribution, Reasons

DAY = date(2026, 3, 31)


def test_a_score_is_told_as_what_every_account_starts_from_and_what_its_features_add() -> None:
    top = (
        Contribution("streams_28d", 131.0, 0.612),
        Contribution("has_cancelled", 1.0, -0.498),
        Contribution("market", "DE", -0.25),
        Contribution("created_date", 310.0, 0.121),
        Contribution("birth_year_band", None, 0.009),
    )
    reasons = Reasons(score=0.2256, raw_score=-1.233, base=-1.247, top=top, rest=0.02)

    assert list(score_lines([ScoreReasons("churn_risk", DAY, 0.2256, 3, reasons)], 80)) == [
        "churn_risk v3: score 0.2256 of 2026-03-31",
        "    -1.247 where every account starts, in log odds",
        "    +0.612 streams_28d = 131",
        "    -0.498 has_cancelled = true",
        "    -0.250 market = DE",
        "    +0.121 created_date = 310 days before",
        "    +0.009 birth_year_band = no value",
        "    +0.020 all other features",
        "    -1.233 raw score",
    ]


def test_a_score_of_others_is_told_without_reasons() -> None:
    given = ScoreReasons("winback_propensity", DAY, 0.25, None, None, "no reasons are known")

    assert list(score_lines([given], 80)) == [
        "winback_propensity: score 0.2500 of 2026-03-31",
        "    no reasons are known",
    ]
    assert given.to_dict() == {
        "model": "winback_propensity", "scored_date": DAY, "score": 0.25, "version": None,
        "why_not": "no reasons are known", "raw_score": None,
    }  # fmt: skip
