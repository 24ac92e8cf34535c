"""The rules know the feature mart's columns, no more and no less."""

from __future__ import annotations

from typing import get_args

import yaml

from segments.features import FEATURES, JUDGED, FeatureName
from segments.steps import CANDIDATE_STEPS, COMPETITION_STEPS, PREDICATE_STEPS, Reason
from segue.settings import PROJECT_ROOT

MART = PROJECT_ROOT / "dbt/models/marts/segments"
KINDS = {"number": "int64", "text": "string", "flag": "bool", "date": "date"}


def columns(mart: str) -> dict[str, str]:
    [model] = yaml.safe_load((MART / f"{mart}.yml").read_text())["models"]
    return {column["name"]: column["data_type"] for column in model["columns"]}


def test_every_column_of_the_mart_is_a_feature_or_read_by_a_fixed_step() -> None:
    mart = columns("fct_account_features")

    assert {name: mart[name] for name in FEATURES} == {n: KINDS[kind] for n, kind in FEATURES.items()}
    assert set(mart) == {*FEATURES, *JUDGED}


def test_the_type_of_names_lists_the_features() -> None:
    assert get_args(FeatureName) == tuple(FEATURES)


def test_every_reason_has_one_place_in_the_order() -> None:
    assert (*PREDICATE_STEPS, *CANDIDATE_STEPS, *COMPETITION_STEPS, Reason.SELECTED) == tuple(Reason)
