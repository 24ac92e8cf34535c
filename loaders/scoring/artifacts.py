"""Trained models as objects: their folders below ``SEGUE_MODELS_URI``, and copies of them on this machine."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from loaders.objects.store import ABSENT, ObjectConflictError, open_store
from scoring import artifact
from scoring.artifact import ArtifactError, Description
from scoring.declaration import ModelDeclaration
from scoring.model import Model
from segue.settings import Settings

_COPIES: Final = "model_copies"


@dataclass(frozen=True)
class TrainedModel:
    """A model that can score, and what its folder says of it."""

    model: Model
    declaration: ModelDeclaration
    description: Description


def keep(settings: Settings, folder: Path, name: str) -> str:
    """Copy a model's folder to where all workers find it; returns its URI.

    Its name is the digest of what is in it, so that whoever was faster has written the same.

    Raises:
        ObjectStoreError: it cannot be written.
    """
    store = open_store(settings, settings.models_root)
    files = sorted(each for each in folder.iterdir() if each.name != artifact.DESCRIPTION)
    # Last what makes it a model: there is no half of one.
    for file in (*files, folder / artifact.DESCRIPTION):
        try:
            store.write(f"{name}/{folder.name}/{file.name}", file.read_bytes(), replacing=ABSENT)
        except ObjectConflictError:
            continue
    return f"{settings.models_root.rstrip('/')}/{name}/{folder.name}"


def fetched(settings: Settings, uri: str) -> TrainedModel:
    """The model at a URI that ``keep`` gave, with every byte checked; it is copied to this machine once.

    Raises:
        ArtifactError: there is none, a byte of it has changed, or what it was declared as cannot be declared
            any more (a feature is gone, a bound is tighter).
        ObjectStoreError: it cannot be read.
    """
    folder, model = _copied(settings, uri)
    description = artifact.read_description(folder)
    try:
        declared = ModelDeclaration.model_validate(description.declared)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise ArtifactError(
            f"{uri}: what it was declared as cannot be declared any more: {where}: {first['msg']}"
        ) from error
    return TrainedModel(model, declared, description)


def _copied(settings: Settings, uri: str) -> tuple[Path, Model]:
    root, _, digest = uri.rstrip("/").rpartition("/")
    copies = settings.state_dir / _COPIES
    copy = copies / digest
    model = _of_whole(copy)
    if model is not None:
        return copy, model
    store = open_store(settings, root)
    names = store.level(f"{digest}/").objects
    if artifact.DESCRIPTION not in names:
        raise ArtifactError(f"{uri}: there is no model")
    # A copy of which this machine has lost a part is none.
    shutil.rmtree(copy, ignore_errors=True)
    copies.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copies, prefix=".copying-") as made:
        whole = Path(made) / digest
        whole.mkdir()
        for name in names:
            (whole / name).write_bytes(store.read(f"{digest}/{name}")[0])
        # A copy that is not what its name says is left for nobody to find.
        model = artifact.load(whole)
        artifact.put_in_place(whole, copy)
    return copy, model


def _of_whole(copy: Path) -> Model | None:
    """The model of a copy of which nothing is missing or changed."""
    try:
        return artifact.load(copy)
    except (ArtifactError, OSError):
        return None
