"""Scores that the platform itself has put into the landing are erased there, too."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.erasure.files import Files
from loaders.objects.folder import FolderStore
from loaders.scoring.scores import DayOfScores, write_scores
from segue.settings import Settings

DAY = date(2026, 3, 2)


def test_an_erased_account_is_in_no_file_of_scores_and_the_others_stay(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    scores = [(pa.array(["a1", "a2", "a12"]), np.array([1_000, 2_000, 3_000]))]
    write_scores(FolderStore(landing), DayOfScores("churn_risk", 1, DAY), scores, 3)
    others = [(pa.array(["a2"]), np.array([5]))]
    write_scores(FolderStore(landing), DayOfScores("household_size", 1, DAY), others, 1)
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", landing_files_uri=landing.as_uri())
    files = Files(settings, ["a1"])

    assert files.count() == {"scores/2026-03-02/segue_churn_risk.0000.parquet": 1}
    files.remove()

    assert files.count() == {}
    left = pq.read_table(landing / "scores" / str(DAY) / "segue_churn_risk.0000.parquet")
    assert left.column("account_id").to_pylist() == ["a2", "a12"]
