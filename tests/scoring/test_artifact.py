"""A model's folder is what its name says, or it is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from scoring import artifact
from scoring.artifact import ArtifactError
from scoring.distribution import distribution_of_training
from scoring.examples import Examples, examples_of
from scoring.insights import insights_of
from scoring.model import Model, TreeLibraryError, train
from segue.source_version import source_version
from tests.scoring.planted import customers, propensity_map


@pytest.fixture(scope="module")
def examples() -> Examples:
    return examples_of(customers(1_000).table, propensity_map(), "customers.csv")


@pytest.fixture(scope="module")
def model(examples: Examples) -> Model:
    return train(examples)


@pytest.fixture
def written(model: Model, examples: Examples, tmp_path: Path) -> Path:
    return artifact.write(
        tmp_path,
        model,
        declared={"target": {"column": "converted", "positive": "Yes"}},
        rows={"learning": 560, "stopping": 140, "held_out": 300},
        data_digest="0" * 64,
        metrics={"auc": 0.75},
        distribution=distribution_of_training(model, examples),
        insights=insights_of(model, examples.matrix[:50], examples.outcomes[:50], None),
    )


def test_a_folder_that_somebody_was_faster_with_is_left_as_it_is(tmp_path: Path) -> None:
    first, second, place = (tmp_path / each for each in ("first", "second", "place"))
    for folder in (first, second):
        folder.mkdir()
        (folder / "model.json").write_text(folder.name)

    artifact.put_in_place(first, place)
    artifact.put_in_place(second, place)

    assert [(each.name, each.read_text()) for each in place.iterdir()] == [("model.json", "first")]
    with pytest.raises(OSError, match="absent"):
        artifact.put_in_place(tmp_path / "absent", tmp_path / "nowhere")


def test_a_folder_holds_text_that_says_what_the_model_is(written: Path) -> None:
    description = json.loads((written / "model.json").read_text())

    assert sorted(each.name for each in written.iterdir()) == ["model.json", "model.txt"]
    assert (written / "model.txt").read_text().startswith("tree\nversion=v4\n")
    assert list(description) == [
        "data_digest", "declared", "distribution", "features", "format", "insights", "metrics", "parameters",
        "rows", "trees", "versions", "window",
    ]  # fmt: skip
    assert description["features"] == [
        {"categories": [], "kind": "number", "name": "visits"},
        {"categories": [], "kind": "number", "name": "noise"},
        {"categories": ["basic", "duo", "family"], "kind": "category", "name": "plan"},
        {"categories": [], "kind": "number", "name": "tenure"},
    ]
    assert list(description["versions"]) == ["code", "lightgbm", "numpy", "scikit-learn", "scipy", "segue"]
    assert description["versions"]["code"] == source_version()
    assert description["parameters"]["seed"] == 20_240_229


def test_a_model_is_written_once(written: Path, model: Model) -> None:
    before = (written / "model.json").stat().st_mtime_ns
    kept = artifact.read_description(written)

    again = artifact.write(
        written.parent, model, kept.declared, kept.rows, kept.data_digest, kept.metrics, kept.distribution,
        kept.insights,
    )  # fmt: skip

    assert again == written
    assert (written / "model.json").stat().st_mtime_ns == before
    assert [each.name for each in written.parent.iterdir()] == [written.name]


def test_a_missing_and_an_unknown_category_score_alike(written: Path) -> None:
    model, _ = artifact.load(written)

    scores = model.scores(np.array([[0.5, 0.0, np.nan, 3.0], [0.5, 0.0, -1.0, 3.0]]))

    assert scores[0] == scores[1]


@pytest.mark.parametrize("file", ["model.txt", "model.json"])
def test_a_changed_byte_is_refused(written: Path, file: str) -> None:
    content = (written / file).read_text()
    (written / file).write_text(content.replace("1", "2", 1))

    with pytest.raises(ArtifactError, match=f"{file} is not what"):
        artifact.load(written)


def test_a_folder_under_another_name_is_refused(written: Path) -> None:
    renamed = written.rename(written.parent / ("0" * 64))

    with pytest.raises(ArtifactError, match="not what the folder's name is the digest of"):
        artifact.load(renamed)


class NoRuntime:
    """Finds LightGBM as it is found where its OpenMP runtime is missing."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")


def test_a_system_without_openmp_is_told_what_to_install(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoRuntime(), *sys.meta_path])

    with pytest.raises(TreeLibraryError, match=r"LightGBM does not load: libgomp\.so\.1") as error:
        artifact.load(written)[0].scores(np.zeros((1, 4)))

    assert error.value.hint == "on Debian and Ubuntu: apt-get install libgomp1"
