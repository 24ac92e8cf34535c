"""Models as objects: kept whole, fetched whole, or not at all."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
import pytest

from loaders.scoring.artifacts import fetched, keep
from scoring.artifact import ArtifactError
from scoring.model import Model
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


@pytest.fixture
def uri(settings: Settings, lesson: Lesson, model: Model, tmp_path: Path) -> str:
    folder = lesson.keep(tmp_path / "made", model, lesson.judge(model, {}), AS_OF)
    keep(settings, folder, "trial_propensity")
    # Whoever comes second finds it there.
    return keep(settings, folder, "trial_propensity")


def test_what_is_fetched_scores_as_what_was_kept(
    settings: Settings, lesson: Lesson, model: Model, uri: str
) -> None:
    found = fetched(settings, uri)

    assert uri.startswith(f"{settings.models_uri}/trial_propensity/")
    assert found.declaration == propensity()
    assert np.array_equal(found.model.scores(lesson.examples.matrix), model.scores(lesson.examples.matrix))


def test_a_copy_is_made_once(settings: Settings, uri: str, tmp_path: Path) -> None:
    fetched(settings, uri)
    for file in (tmp_path / "models").rglob("*.*"):
        file.unlink()

    assert fetched(settings, uri).declaration.name == "trial_propensity"


def test_a_changed_byte_is_refused_and_leaves_no_copy(settings: Settings, uri: str, tmp_path: Path) -> None:
    (trees,) = (tmp_path / "models").rglob("model.txt")
    trees.write_text(trees.read_text().replace("leaf_value=", "leaf_value=9", 1))

    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"model.txt is not what model.json has the digest of"):
            fetched(settings, uri)


@pytest.mark.parametrize("name", ["model.txt", "model.json"])
def test_a_file_that_was_cut_in_half_is_refused_where_it_is_kept_and_copied_anew_where_it_is_a_copy(
    settings: Settings, uri: str, tmp_path: Path, name: str
) -> None:
    fetched(settings, uri)
    (copied,) = (tmp_path / "state").rglob(name)
    (kept,) = (tmp_path / "models").rglob(name)
    half = kept.read_bytes()[: kept.stat().st_size // 2]

    copied.write_bytes(half)
    assert fetched(settings, uri).declaration.name == "trial_propensity"

    copied.write_bytes(half)
    kept.write_bytes(half)
    with pytest.raises(ArtifactError, match=f"{name} is not what"):
        fetched(settings, uri)


def test_a_model_that_cannot_be_declared_any_more_is_refused_by_name(
    settings: Settings, lesson: Lesson, model: Model, tmp_path: Path
) -> None:
    gone = propensity().model_copy(update={"features": ["streams_28d", "shoe_size"]})
    lesson = copy(lesson)
    lesson.declared = gone
    folder = lesson.keep(tmp_path / "made", model, lesson.judge(model, {}), AS_OF)
    uri = keep(settings, folder, "trial_propensity")

    with pytest.raises(ArtifactError) as error:
        fetched(settings, uri)

    assert str(error.value).startswith(
        f"{uri}: what it was declared as cannot be declared any more: features.1: shoe_size is none of the "
    )


def test_a_model_that_is_not_there_is_named(settings: Settings, uri: str) -> None:
    with pytest.raises(ArtifactError, match="0000: there is no model"):
        fetched(settings, f"{uri.rpartition('/')[0]}/0000")
