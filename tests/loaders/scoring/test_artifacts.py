"""Models as objects: kept whole, fetched whole, or not at all."""

from __future__ import annotations

import os
from copy import copy
from datetime import UTC, datetime, time
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from loaders.objects.folder import FolderStore
from loaders.objects.store import Level
from loaders.scoring.artifacts import fetched, keep
from scoring.artifact import ArtifactError
from scoring.model import Model
from scoring.registry import ModelDecision
from scoring.training import Lesson
from segue.settings import Settings
from tests.scoring.planted_examples import AS_OF, listeners, propensity


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return Lesson(propensity(), listeners(600).table, [])


@pytest.fixture(scope="module")
def model(lesson: Lesson) -> Model:
    return lesson.train()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state", models_uri=(tmp_path / "models").as_uri())


def trained(uri: str, **otherwise: str) -> ModelDecision:
    """As the registry tells of a model."""
    told = {"model": "trial_propensity", "artifact": uri.rpartition("/")[2], "artifact_uri": uri} | otherwise
    at = datetime.combine(AS_OF, time(6), UTC)
    return ModelDecision(
        version=1, decision="trained", reasons=(), day=AS_OF, decided_at=at, decided_by="test", **told
    )


@pytest.fixture
def kept(settings: Settings, lesson: Lesson, model: Model, tmp_path: Path) -> ModelDecision:
    folder = lesson.keep(tmp_path / "made", model, lesson.judge(model, {}), AS_OF)
    keep(settings, folder, "trial_propensity")
    # Whoever comes second finds it there.
    return trained(keep(settings, folder, "trial_propensity"))


def test_what_is_fetched_scores_as_what_was_kept(
    settings: Settings, lesson: Lesson, model: Model, kept: ModelDecision
) -> None:
    found = fetched(settings, kept)

    assert kept.artifact_uri.startswith(f"{settings.models_uri}/trial_propensity/")
    assert found.declaration == propensity()
    assert np.array_equal(found.model.scores(lesson.examples.matrix), model.scores(lesson.examples.matrix))


def test_a_copy_is_made_once(settings: Settings, kept: ModelDecision, tmp_path: Path) -> None:
    fetched(settings, kept)
    for file in (tmp_path / "models").rglob("*.*"):
        file.unlink()

    assert fetched(settings, kept).declaration.name == "trial_propensity"


def test_a_changed_byte_is_refused_and_leaves_no_copy(
    settings: Settings, kept: ModelDecision, tmp_path: Path
) -> None:
    (trees,) = (tmp_path / "models").rglob("model.txt")
    trees.write_text(trees.read_text().replace("leaf_value=", "leaf_value=9", 1))

    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"model.txt is not what model.json has the digest of"):
            fetched(settings, kept)


@pytest.mark.parametrize("name", ["model.txt", "model.json"])
def test_a_file_that_was_cut_in_half_is_refused_where_it_is_kept_and_copied_anew_where_it_is_a_copy(
    settings: Settings, kept: ModelDecision, tmp_path: Path, name: str
) -> None:
    fetched(settings, kept)
    (copied,) = (tmp_path / "state").rglob(name)
    (original,) = (tmp_path / "models").rglob(name)
    half = original.read_bytes()[: original.stat().st_size // 2]

    copied.write_bytes(half)
    assert fetched(settings, kept).declaration.name == "trial_propensity"

    copied.write_bytes(half)
    original.write_bytes(half)
    with pytest.raises(ArtifactError, match=f"{name} is not what"):
        fetched(settings, kept)


def test_a_copy_that_another_process_has_made_meanwhile_stays(
    settings: Settings, kept: ModelDecision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is being read: whoever removes it takes the model away from a day that is scored."""
    level = FolderStore.level
    read_by_another: list[IO[bytes]] = []

    def after_another(store: FolderStore, prefix: str) -> Level:
        monkeypatch.undo()
        fetched(settings, kept)
        read_by_another.append(copied().open("rb"))
        return level(store, prefix)

    def copied() -> Path:
        (found,) = (tmp_path / "state").rglob("model.txt")
        return found

    monkeypatch.setattr(FolderStore, "level", after_another)

    assert fetched(settings, kept).declaration.name == "trial_propensity"
    with read_by_another.pop() as opened:
        assert os.fstat(opened.fileno()).st_ino == copied().stat().st_ino


def test_a_model_that_cannot_be_declared_any_more_is_refused_by_name(
    settings: Settings, lesson: Lesson, model: Model, tmp_path: Path
) -> None:
    gone = propensity().model_copy(update={"features": ["streams_28d", "shoe_size"]})
    lesson = copy(lesson)
    lesson.declared = gone
    folder = lesson.keep(tmp_path / "made", model, lesson.judge(model, {}), AS_OF)
    uri = keep(settings, folder, "trial_propensity")

    with pytest.raises(ArtifactError) as error:
        fetched(settings, trained(uri))

    assert str(error.value).startswith(
        f"{uri}: what it was declared as cannot be declared any more: features.1: shoe_size is none of the "
    )


def test_a_model_that_is_not_there_is_named(settings: Settings, kept: ModelDecision) -> None:
    nowhere = trained(kept.artifact_uri.replace(kept.artifact, "0000"))

    with pytest.raises(ArtifactError, match="0000: there is no model"):
        fetched(settings, nowhere)


def test_a_folder_of_another_model_than_the_registry_says_scores_nobody(
    settings: Settings, kept: ModelDecision
) -> None:
    uri = kept.artifact_uri

    with pytest.raises(ArtifactError) as of_another_model:
        fetched(settings, trained(uri, model="churn_risk"))
    with pytest.raises(ArtifactError) as of_another_training:
        fetched(settings, trained(uri, artifact="0000"))

    assert str(of_another_model.value) == (
        f"{uri}: is a model of trial_propensity, and registered as one of churn_risk"
    )
    assert str(of_another_training.value) == f"{uri}: is registered as the folder of 0000"
