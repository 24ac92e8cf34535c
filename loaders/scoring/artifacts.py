"""Trained models as objects: their folders below ``SEGUE_MODELS_URI``, and copies of them on this machine."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from loaders.objects.store import ABSENT, ObjectConflictError, open_store
from scoring import artifact
from scoring.artifact import ArtifactError, Description
from scoring.declaration import ModelDeclaration
from scoring.model import Model
from scoring.registry import ModelDecision
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


def fetched(settings: Settings, decision: ModelDecision) -> TrainedModel:
    """The model that a decision is about, with every byte checked; it is copied to this machine once.

    Raises:
        ArtifactError: there is none at its URI, a byte of it has changed, it is another one than the decision
            names, or what it was declared as cannot be declared any more (a feature is gone, a bound is
            tighter).
        ObjectStoreError: it cannot be read.
    """
    uri = decision.artifact_uri
    if _root_and_digest(uri)[1] != decision.artifact:
        raise ArtifactError(f"{uri}: is registered as the folder of {decision.artifact}")
    model, description = _copied(settings, uri)
    try:
        declared = ModelDeclaration.model_validate(description.declared)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise ArtifactError(
            f"{uri}: what it was declared as cannot be declared any more: {where}: {first['msg']}"
        ) from error
    if declared.name != decision.model:
        raise ArtifactError(
            f"{uri}: is a model of {declared.name}, and registered as one of {decision.model}"
        )
    return TrainedModel(model, declared, description)


def _root_and_digest(uri: str) -> tuple[str, str]:
    root, _, digest = uri.rstrip("/").rpartition("/")
    return root, digest


def _copied(settings: Settings, uri: str) -> tuple[Model, Description]:
    root, digest = _root_and_digest(uri)
    copies = settings.state_dir / _COPIES
    copy = copies / digest
    whole = _of_whole(copy)
    if whole is not None:
        return whole
    store = open_store(settings, root)
    names = store.level(f"{digest}/").objects
    if artifact.DESCRIPTION not in names:
        raise ArtifactError(f"{uri}: there is no model")
    copies.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copies, prefix=".copying-") as made:
        own = Path(made) / digest
        own.mkdir()
        for name in names:
            (own / name).write_bytes(store.read(f"{digest}/{name}")[0])
        # A copy that is not what its name says is left for nobody to find.
        found = artifact.load(own)
        # One of which this machine has lost a part is none; another process may have put its own there.
        if _of_whole(copy) is None:
            with suppress(FileNotFoundError):
                copy.rename(Path(made) / "lost")
        artifact.put_in_place(own, copy)
    return found


def _of_whole(copy: Path) -> tuple[Model, Description] | None:
    """The model of a copy of which nothing is missing or changed."""
    try:
        return artifact.load(copy)
    except (ArtifactError, OSError):
        return None
