"""BigQuery exports a day's scores; what it has written is counted before anything lands."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from loaders.objects.folder import FolderStore
from loaders.scoring.bigquery import export_scores
from loaders.scoring.scores import DayOfScores, ScoringError, rows_of, write_scores
from loaders.warehouse.client import Warehouse
from segue.settings import Settings
from tests.scoring.made_up import declaration, trained

SCORES = DayOfScores("trial_propensity", 3, date(2026, 3, 2))


def test_scores_that_are_not_as_many_as_accounts_are_refused(tmp_path: Path) -> None:
    """The embedded BigQuery knows no EXPORT DATA: a stand-in writes the files."""
    store = FolderStore(tmp_path / "landing")
    model, _ = trained(tmp_path / "models", declaration())
    settings = Settings(_env_file=None, landing_uri="gs://landing", state_dir=tmp_path)
    said: list[str] = []

    def two_scores(statement: str) -> None:
        said.append(statement)
        write_scores(store, SCORES, [(pa.array(["a1", "a2"]), np.array([1_250, 2_500]))], 2)

    def export(expected: int) -> None:
        warehouse: Any = SimpleNamespace(run=two_scores)
        export_scores(settings, cast(Warehouse, warehouse), store, model, SCORES, "p.d.staged", expected)

    export(2)
    assert rows_of(store, SCORES) == 2
    assert said[0].startswith(
        'export data options (uri = "gs://landing/scores/2026-03-02/segue_trial_propensity.*'
    )
    with pytest.raises(ScoringError, match="trial_propensity: 2 scores for 3 accounts of 2026-03-02"):
        export(3)
