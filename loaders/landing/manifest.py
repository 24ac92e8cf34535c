"""A table's day as whoever delivers it declares it: ``<table>/<day>/_manifest.json``, written last.

    {"files": [{"name": "part-0.parquet", "rows": 1204, "sha256": "9f86d0…"}]}

A manifest without files says that there is nothing on that day. Other keys are ignored.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from loaders.landing.errors import LandingError
from loaders.landing.listing import TableDay
from loaders.objects.store import ObjectStore

_SHA256 = re.compile("^[0-9a-f]{64}$")


def _in_the_folder_itself(name: str) -> str:
    if not name or "/" in name or name.startswith((".", "_")):
        raise ValueError("is no name of a file in the day's folder")
    return name


class ManifestFile(BaseModel):
    """One file: its rows without a header, and the SHA-256 of its bytes in hex."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, AfterValidator(_in_the_folder_itself)]
    rows: int = Field(ge=0)
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=_SHA256)]


class Manifest(BaseModel):
    """The files of a table's day."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    files: tuple[ManifestFile, ...]

    def refuse_other_files(self, found: TableDay) -> None:
        """See that the files are those that are there.

        Raises:
            LandingError: a file is not there, or is there and not in the manifest.
        """
        problem = self.disagreement(found)
        if problem:
            raise LandingError(problem)

    def disagreement(self, found: TableDay) -> str | None:
        """The first file that is only there, or only here, in words; None when they are the same."""
        declared = {each.name for each in self.files}
        present = {each.base_name for each in found.delivered}
        for name in sorted(declared - present):
            return f"{found.folder}/{name}: is in the manifest and has not arrived"
        for name in sorted(present - declared):
            return f"{found.folder}/{name}: has arrived and is not in the manifest"
        return None

    def refuse_other_content(self, folder: str, name: str, rows: int, digest: bytes) -> None:
        """See that a file, when it has been read, is what the manifest says.

        Raises:
            LandingError: it has another number of rows or another checksum.
        """
        [declared] = [each for each in self.files if each.name == name]
        if digest.hex() != declared.sha256:
            raise LandingError(
                f"{folder}/{name}: its SHA-256 is {digest.hex()}, the manifest says {declared.sha256}"
            )
        if rows != declared.rows:
            raise LandingError(f"{folder}/{name}: has {rows} rows, the manifest says {declared.rows}")


def read_manifest(store: ObjectStore, found: TableDay) -> Manifest | None:
    """The manifest of a table's day, None when there is none.

    Raises:
        LandingError: it cannot be understood, or names a file twice.
        ObjectStoreError: it cannot be read.
    """
    if found.manifest is None:
        return None
    with store.open(found.manifest) as source:
        text = source.read()
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(map(str, first["loc"]))
        raise LandingError(f"{found.manifest.name}: {at}: {first['msg']}") from error
    names = [each.name for each in manifest.files]
    for name in names:
        if names.count(name) > 1:
            raise LandingError(f"{found.manifest.name}: names {name} twice")
    return manifest
