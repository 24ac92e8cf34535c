"""Objects of a Cloud Storage bucket, with rights on objects alone: nothing here asks about the bucket.

Every read names the generation that a listing told of, every write that must not displace another's the one
it replaces; so a request may be repeated (Cloud Storage, "Request preconditions", "Retry strategy").
"""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BytesIO
from typing import IO, Any

import google_crc32c
import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.exceptions import RequestException

from loaders.objects.store import Level, ObjectConflictError, ObjectStore, ObjectStoreError, StoredObject
from segue.settings import Settings

_CHUNK_BYTES = 32 << 20
"""Of an upload: what it holds in memory, and what is sent again after a failure."""
_FIELDS = "items(name,size,generation,updated),prefixes,nextPageToken"


class BucketStore(ObjectStore):
    """The objects of a bucket below ``root``, which is empty or a path without slashes at its ends."""

    def __init__(self, settings: Settings, bucket: str, root: str) -> None:
        endpoint = settings.storage_endpoint
        with _explained(f"gs://{bucket}"):
            client = storage.Client(
                project=settings.project_id,
                credentials=AnonymousCredentials() if endpoint else None,
                client_options=ClientOptions(api_endpoint=endpoint) if endpoint else None,
            )
        self._client = client
        # Not get_bucket(), which asks for a right on the bucket.
        self._bucket = client.bucket(bucket)
        self._root = f"{root}/" if root else ""

    def level(self, prefix: str) -> Level:
        """See ``ObjectStore``."""
        at = f"{self._root}{prefix}"
        with _explained(self._url(prefix)):
            listed = self._client.list_blobs(self._bucket, prefix=at, delimiter="/", fields=_FIELDS)
            objects = [blob.name.removeprefix(at) for blob in listed]
            folders = [folder.removeprefix(at).rstrip("/") for folder in listed.prefixes]
        # A name that ends with a slash is the marker of an empty folder.
        return Level(
            tuple(sorted(filter(None, folders))),
            tuple(name for name in sorted(objects) if name and not name.endswith("/")),
        )

    def objects(self, prefix: str, *, start: str = "", end: str = "") -> list[StoredObject]:
        """See ``ObjectStore``."""
        with _explained(self._url(prefix)):
            listed = self._client.list_blobs(
                self._bucket,
                prefix=f"{self._root}{prefix}",
                start_offset=f"{self._root}{start}" if start else None,
                end_offset=f"{self._root}{end}" if end else None,
                fields=_FIELDS,
            )
            found = [self._stored(blob) for blob in listed if not blob.name.endswith("/")]
        return sorted(found, key=lambda stored: stored.name)

    def find(self, name: str) -> StoredObject | None:
        """See ``ObjectStore``."""
        with _explained(self._url(name)):
            blob = self._bucket.get_blob(f"{self._root}{name}")
        return self._stored(blob) if blob else None

    def open(self, stored: StoredObject) -> AbstractContextManager[pa.NativeFile]:
        """See ``ObjectStore``."""
        return self._opened(stored)

    @contextmanager
    def _opened(self, stored: StoredObject) -> Iterator[pa.NativeFile]:
        """The object is fetched once, whole and checked, into a file without a name: a killed process leaves
        nobody's rows behind."""
        url = self._url(stored.name)
        with tempfile.TemporaryFile() as copy:
            with _explained(url):
                try:
                    self._bucket.blob(
                        f"{self._root}{stored.name}", generation=stored.generation
                    ).download_to_file(copy)
                except NotFound as error:
                    raise ObjectConflictError(
                        f"{url}: generation {stored.generation} is no longer there"
                    ) from error
            copy.seek(0)
            yield pa.PythonFile(copy, mode="r")

    def write(self, name: str, content: bytes | IO[bytes], *, replacing: int | None = None) -> int:
        """See ``ObjectStore``."""
        blob = self._bucket.blob(f"{self._root}{name}", chunk_size=_CHUNK_BYTES)
        source = BytesIO(content) if isinstance(content, bytes) else content
        with _explained(self._url(name)):
            try:
                blob.upload_from_file(source, rewind=True, if_generation_match=replacing)
            except PreconditionFailed as error:
                generation = self._written_already(blob, source)
                if generation is None:
                    raise ObjectConflictError(
                        f"{self._url(name)}: has changed since it was read, or is there already"
                    ) from error
                return generation
        return int(blob.generation)

    def _written_already(self, blob: storage.Blob, source: IO[bytes]) -> int | None:
        """The generation that is there when it holds what was to be written: the answer to it was lost."""
        checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        source.seek(0)
        while piece := source.read(1 << 20):
            checksum.update(piece)
        size = source.tell()
        with suppress(NotFound):
            blob.reload()
            if (blob.crc32c, blob.size) == (b64encode(checksum.digest()).decode(), size):
                return int(blob.generation)
        return None

    def delete(self, name: str) -> None:
        """See ``ObjectStore``."""
        with _explained(self._url(name)), suppress(NotFound):
            self._bucket.blob(f"{self._root}{name}").delete()

    def _url(self, name: str) -> str:
        return f"gs://{self._bucket.name}/{self._root}{name}"

    def _stored(self, blob: Any) -> StoredObject:
        return StoredObject(
            blob.name.removeprefix(self._root), int(blob.size), int(blob.generation), blob.updated
        )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except Forbidden as error:
        raise ObjectStoreError(f"{url}: forbidden: {_reason(error)}") from error
    except (GoogleAPIError, GoogleAuthError, RequestException, InvalidResponse, DataCorruption) as error:
        raise ObjectStoreError(f"{url}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", None) or error).split())
