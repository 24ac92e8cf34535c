"""A day's scores as landing files: all of them or none, and what a later try writes is all there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.objects.folder import FolderStore
from loaders.scoring import scores as written
from loaders.scoring.scores import (
    NOBODY,
    DayOfScores,
    ScoringError,
    own_files,
    points_of,
    score_batches,
    take_back,
    write_scores,
)
from scoring.model import Model
from tests.scoring.made_up import declaration, trained

SCORES = DayOfScores("trial_propensity", 3, date(2026, 3, 2))
Predicted = list[tuple[pa.Array, np.ndarray[tuple[int], np.dtype[np.int64]]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return trained(tmp_path_factory.mktemp("models"), declaration())[0]


def predicted(*accounts: str) -> Predicted:
    return [(pa.array([name]), np.array([1_250])) for name in accounts]


def accounts_of(store: FolderStore) -> list[str]:
    files = [store.root / each.name for each in own_files(store, SCORES)]
    return [name for file in files for name in pq.read_table(file).column("account_id").to_pylist()]


def test_a_later_try_replaces_all_files_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    monkeypatch.setattr(written, "ROWS_A_FILE", 1)
    assert write_scores(store, SCORES, predicted("a1", "a2", "a3"), 3) == 3

    assert write_scores(store, SCORES, predicted("a4"), 1) == 1

    assert accounts_of(store) == ["a4"]


def test_scores_of_another_number_than_accounts_are_not_written(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    with pytest.raises(ScoringError, match="trial_propensity: 1 scores for 2 accounts of 2026-03-02"):
        write_scores(store, SCORES, predicted("a1"), 2)

    assert own_files(store, SCORES) == []


def test_a_population_of_nobody_is_a_row_that_names_no_account(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert write_scores(store, SCORES, [], 0) == 1
    assert accounts_of(store) == [NOBODY]


def test_what_nobody_waits_for_any_more_is_not_written(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def late() -> None:
        raise ScoringError("not done within 1800 s")

    with pytest.raises(ScoringError, match="not done within"):
        write_scores(store, SCORES, predicted("a1"), 1, late)
    assert own_files(store, SCORES) == []


def test_all_is_taken_back_but_what_is_whole_what_has_landed_and_what_others_deliver(tmp_path: Path) -> None:
    store, day = FolderStore(tmp_path), SCORES.day
    names = {
        f"scores/{day}/{name}.0000.parquet"
        for name in ("segue_failed", "segue_gone__shadow", "segue_landed", "segue_trial_propensity", "vendor")
    }
    for name in names:
        store.write(name, b"")

    take_back(store, day, [SCORES], landed={f"scores/{day}/segue_landed.0000.parquet"})

    left = [each.base_name.removesuffix(".0000.parquet") for each in store.objects(f"scores/{day}/")]
    assert left == ["segue_landed", "segue_trial_propensity", "vendor"]


def test_a_score_that_is_no_number_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "shares", lambda *_: np.array([float("nan")]))

    with pytest.raises(ScoringError, match="a score is no number between 0 and 1"):
        points_of(model, pa.table({"tenure_days": [5]}), "rows")


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_their_order_however_many_are_scored_at_a_time(model: Model, threads: int) -> None:
    tenures = [[5, 300], [250], [20, 90, 310], [400]]

    def batches() -> Iterator[pa.RecordBatch]:
        for number, each in enumerate(tenures):
            names = [f"{number}.{place}" for place in range(len(each))]
            yield pa.RecordBatch.from_pydict({"account_id": names, "tenure_days": each})

    found = list(score_batches(model, batches(), "rows", threads))

    assert [names.to_pylist() for names, _ in found] == [
        ["0.0", "0.1"], ["1.0"], ["2.0", "2.1", "2.2"], ["3.0"],
    ]  # fmt: skip
    whole = points_of(
        model, pa.table({"tenure_days": [tenure for each in tenures for tenure in each]}), "rows"
    )
    assert np.concatenate([points for _, points in found]).tolist() == whole.tolist()
