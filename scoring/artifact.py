"""Models as folders of text, named by the digest of what is in them; a loaded one executes nothing.

``model.json`` holds all that is no tree, and the SHA-256 of every file of trees; the folder's name is the
SHA-256 of ``model.json``. So the name vouches for every byte, and the same model has the same name.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from scoring.calibration import Curve
from scoring.columns import Feature
from scoring.distribution import Distribution
from scoring.insights import Insights
from scoring.model import Model, Trees
from segue.errors import SegueError
from segue.source_version import source_version

FORMAT: Final = 3
"""2: with how features and scores were spread, and what the model goes by. 3: with the days of the rows."""
DESCRIPTION: Final = "model.json"
"""Of a model's folder: the file that makes it one."""
CODE: Final = "code"
"""Among the versions: which code has trained the model."""
_LIBRARIES: Final = ("lightgbm", "numpy", "scikit-learn", "scipy")


class ArtifactError(SegueError):
    """A model's folder is not what its name says, or not of a format that is known."""

    code = "model_artifact"
    hint = "copy the folder again from where it was written, or train the model again"
    is_final = True


class TreesFile(BaseModel):
    """A file of LightGBM's text format in a model's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    curve: Curve | None


class Description(BaseModel):
    """What ``model.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    features: tuple[Feature, ...]
    trees: dict[str, TreesFile]
    parameters: dict[str, Any]
    declared: dict[str, Any]
    """What is predicted, from what, and what was held out."""
    window: dict[str, str]
    """First and last days of the rows, where they are of days."""
    rows: dict[str, int]
    """How many were learned from, stopped by, and held out."""
    data_digest: str
    metrics: dict[str, Any]
    distribution: Distribution
    """Of the rows that were learned from; what is scored later is held against it."""
    insights: Insights
    versions: dict[str, str]
    """Of the libraries, of Segue and of its code, when the model was trained."""


def write(
    folder: Path,
    model: Model,
    declared: Mapping[str, Any],
    rows: Mapping[str, int],
    data_digest: str,
    metrics: Mapping[str, Any],
    distribution: Distribution,
    insights: Insights,
    window: Mapping[str, str] | None = None,
) -> Path:
    """Keep a model in a folder below ``folder``, of which it is the digest's; there is no half of one.

    Raises:
        OSError: the folder cannot be written.
    """
    texts = {f"{name}.txt": trees.text for name, trees in model.trees.items()}
    description = Description(
        format=FORMAT,
        features=model.features,
        trees={
            name: TreesFile(file=f"{name}.txt", sha256=_sha256(trees.text.encode()), curve=trees.curve)
            for name, trees in model.trees.items()
        },
        parameters=dict(model.parameters),
        declared=dict(declared),
        window=dict(window or {}),
        rows=dict(rows),
        data_digest=data_digest,
        metrics=dict(metrics),
        distribution=distribution,
        insights=insights,
        versions={each: version(each) for each in (*_LIBRARIES, "segue")} | {CODE: source_version()},
    )
    content = json.dumps(description.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False)
    texts[DESCRIPTION] = content + "\n"
    path = folder / _sha256(texts[DESCRIPTION].encode())
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as made:
        whole = Path(made) / "model"
        whole.mkdir()
        for name, text in texts.items():
            (whole / name).write_bytes(text.encode())
        put_in_place(whole, path)
    return path


def put_in_place(made: Path, path: Path) -> None:
    """Give a whole folder its name, in one step; whoever was faster with the same model has done it.

    Raises:
        OSError: the folder cannot be renamed.
    """
    try:
        # shutil.move would put it into a folder that is there.
        made.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def read_description(path: Path) -> Description:
    """What the folder's model is.

    Raises:
        ArtifactError: its bytes are not those that its name is the digest of, or of another format.
        OSError: there is no such folder.
    """
    content = (path / DESCRIPTION).read_bytes()
    if _sha256(content) != path.resolve().name:
        raise ArtifactError(f"{path}: {DESCRIPTION} is not what the folder's name is the digest of")
    try:
        found = Description.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"{path}: {DESCRIPTION} is of no known format") from error
    if found.format != FORMAT:
        raise ArtifactError(f"{path}: is of format {found.format}, known is {FORMAT}")
    return found


def load(path: Path) -> tuple[Model, Description]:
    """The folder's model, and what the folder says of it.

    Nothing in the folder is executed, and every byte is checked first.

    Raises:
        ArtifactError: a digest does not fit, or the format is not known.
        OSError: there is no such folder, or it lacks a file.
    """
    description = read_description(path)
    trees = {}
    for name, kept in description.trees.items():
        if Path(kept.file).name != kept.file:
            raise ArtifactError(f"{path}: {kept.file} is not in the folder")
        content = (path / kept.file).read_bytes()
        if _sha256(content) != kept.sha256:
            raise ArtifactError(f"{path}: {kept.file} is not what {DESCRIPTION} has the digest of")
        trees[name] = Trees(content.decode(), kept.curve)
    return Model(description.features, trees, description.parameters), description


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
