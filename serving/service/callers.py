"""Who may call the service, and how often.

The callers file is YAML, made by ``segue callers``, readable by the service's user only:

    callers:
      - name: checkout
        token_sha256: 9f86d081…      # of the token that the caller sends as "authorization: Bearer …"
        lookups_per_second: 500
        burst: 1000                  # optional; as much as one second by default

Tokens are 256 random bits, so a plain hash of them gives nothing away; the tokens themselves are nowhere.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segue.errors import SegueError

_BEARER: Final = "bearer "


def why_unknown(authorization: str | None) -> str:
    """Why an ``authorization`` header names no caller, for whoever sent it; the token is not repeated."""
    if authorization is None:
        return "no token: send it as metadata, `authorization: Bearer <token>`"
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return "`authorization` is not `Bearer <token>`"
    return f"a token of {len(authorization) - len(_BEARER)} characters that no caller has"


class CallersFileError(SegueError):
    """The callers file cannot be read; the message says where and why."""

    code = "callers_file"


class CallerEntry(BaseModel):
    """One caller, as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    lookups_per_second: float = Field(gt=0)
    burst: float | None = Field(default=None, gt=0)


class _CallersFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    callers: list[CallerEntry]


class TokenBucket:
    """Lets ``per_second`` accounts through on average, up to ``burst`` at once.

    Who is refused is promised a time, each the next one that is free: retries that come at their times find
    room, where retries that were all told the same would meet again and again.
    """

    def __init__(self, per_second: float, burst: float, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._level = burst
        self._promised = 0.0
        self._filled_at = monotonic()

    def take(self, accounts: int, patience_seconds: float = math.inf) -> float:
        """0 when these may be looked up now, else after how many seconds to ask again.

        Nothing is promised to who cannot wait so long. A batch of more than the burst is let through when the
        bucket is full, and paid for afterwards.
        """
        now = self._monotonic()
        gained = (now - self._filled_at) * self._per_second
        self._level = min(self._burst, self._level + gained)
        self._promised = max(0.0, self._promised - gained)
        self._filled_at = now
        needed = min(float(accounts), self._burst)
        if self._level >= needed:
            self._level -= accounts
            return 0.0
        seconds = (needed - self._level + self._promised) / self._per_second
        if seconds <= patience_seconds:
            self._promised += needed
        return seconds


class Caller:
    """An authenticated caller with what is left of its limit; without an entry it has none."""

    def __init__(self, entry: CallerEntry | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.entry = entry
        self.name = "anonymous" if entry is None else entry.name
        self._bucket = (
            None
            if entry is None
            else TokenBucket(entry.lookups_per_second, entry.burst or entry.lookups_per_second, monotonic)
        )

    @property
    def lookups_per_second(self) -> float:
        """How many accounts it may look up a second."""
        return math.inf if self.entry is None else self.entry.lookups_per_second

    def charge(self, accounts: int, patience_seconds: float = math.inf) -> float:
        """As ``TokenBucket.take``."""
        return 0.0 if self._bucket is None else self._bucket.take(accounts, patience_seconds)


class Callers:
    """The callers of a file, read again when it changes; without a file everybody is ``anonymous``."""

    def __init__(self, path: Path | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the file.

        Raises:
            CallersFileError: it is missing or not as described above.
        """
        self._path = path
        self._monotonic = monotonic
        self._anonymous = Caller(None) if path is None else None
        self._by_hash: dict[str, Caller] = {}
        self._version: tuple[int, int] | None = None
        self.reload_if_changed()

    def identify(self, authorization: str | None) -> Caller | None:
        """The caller that an ``authorization`` header names, or ``None``."""
        if self._anonymous is not None:
            return self._anonymous
        if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        return self._by_hash.get(hash_token(authorization[len(_BEARER) :]))

    def reload_if_changed(self) -> bool:
        """Reads the file again when it was replaced; callers whose entry is the same keep what they used.

        Raises:
            CallersFileError: it is missing or broken; the callers stay as they were.
        """
        if self._path is None:
            return False
        try:
            stat = self._path.stat()
        except OSError as error:
            raise CallersFileError(f"cannot read {self._path}: {error.strerror}") from error
        version = (stat.st_mtime_ns, stat.st_size)
        if version == self._version:
            return False
        known = {caller.entry: caller for caller in self._by_hash.values()}
        self._by_hash = {
            entry.token_sha256: known.get(entry) or Caller(entry, self._monotonic)
            for entry in read_callers(self._path)
        }
        self._version = version
        return True


def read_callers(path: Path) -> list[CallerEntry]:
    """The entries of a callers file.

    Raises:
        CallersFileError: it is missing or not as described above.
    """
    try:
        entries = _CallersFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).callers
    except OSError as error:
        raise CallersFileError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise CallersFileError(f"{path} is no callers file: {error}") from error
    if len({entry.name for entry in entries}) < len(entries):
        raise CallersFileError(f"{path} names a caller twice")
    if len({entry.token_sha256 for entry in entries}) < len(entries):
        raise CallersFileError(f"{path} has a token twice")
    return entries


def write_callers(path: Path, entries: list[CallerEntry]) -> None:
    """Replaces a callers file as a whole, so that a running service never reads half of it."""
    values = {"callers": [entry.model_dump(exclude_none=True) for entry in entries]}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        yaml.safe_dump(values, output, sort_keys=False)
    draft.replace(path)


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What the callers file keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
