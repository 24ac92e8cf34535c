"""What runs in processes that are killed: a load of rows that are a function of their arguments."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Collection, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from loaders.bigtable import begin, publish, shard
from loaders.bigtable.errors import LoadError
from loaders.bigtable.load import load_generation
from loaders.bigtable.rows import Refused
from loaders.bigtable.writer import RowWriter
from segue.settings import Settings
from tests.bigtable_fixture import MemorySource, account, offer

DAY_1, DAY_2 = date(2026, 1, 1), date(2026, 1, 2)
ACCOUNTS = 900


def rows_before(seed: int) -> list[dict[str, Any]]:
    """The generation that is published before."""
    draw = random.Random(f"before {seed}")
    return [_row(number, draw.randrange(3)) for number in range(ACCOUNTS) if draw.random() < 0.7]


def rows_after(seed: int, loader: str = "") -> list[dict[str, Any]]:
    """What is loaded: many as before, some changed, some new, some gone."""
    draw = random.Random(f"after {seed} {loader}")
    before = {row["account_id"]: row for row in rows_before(seed)}
    rows = []
    for number in range(ACCOUNTS):
        if draw.random() < 0.2:
            continue
        known = before.get(f"account-{number}")
        rows.append(known if known and draw.random() < 0.6 else _row(number, draw.randrange(3), loader))
    return rows


def _row(number: int, offers: int, loader: str = "") -> dict[str, Any]:
    return account(
        f"account-{number}", *[offer(f"offer-{loader}-{each}", priority=each) for each in range(offers)]
    )


class FileSource(MemorySource):
    """Keeps what was refused in a file, by which the process is survived."""

    def __init__(self, rows: Sequence[dict[str, Any]], refused: Path) -> None:
        super().__init__(rows)
        self._file = refused

    def forget_refused(self, _manifest: Any, complete: Collection[int]) -> None:
        for file in self._file.parent.glob(f"{self._file.name}.*"):
            if int(file.suffix[1:]) not in complete:
                file.unlink()

    def keep_refused(self, _manifest: Any, shard: int, refused: Sequence[Refused], *, instead: bool) -> None:
        file = self._file.with_suffix(f".{shard}")
        before = json.loads(file.read_text()) if file.exists() and not instead else []
        file.write_text(json.dumps(before + [each.account_id for each in refused]))


def settings_of(project_id: str, host: str) -> Settings:
    """Three shards, and a threshold that the refused rows stay under."""
    return Settings(
        _env_file=None,
        project_id=project_id,
        bigtable_emulator_host=host,
        bigtable_rows_per_shard=300,
        bigtable_load_deadline_seconds=60,
        max_dead_letters=100,
    )


def load(project_id: str, host: str, seed: int, folder: str, loader: str = "") -> None:
    """Loads ``rows_after`` and writes how it ended to ``folder``."""
    os.environ["GRPC_VERBOSITY"] = "NONE"
    writer = partial(RowWriter, rows_per_request=25, request_timeout_seconds=5)
    for module in (begin, shard, publish):
        module.RowWriter = writer  # type: ignore[attr-defined]
    source = FileSource(rows_after(seed, loader), Path(folder) / "refused")
    try:
        ended = load_generation(settings_of(project_id, host), DAY_2, source).to_dict()
    except LoadError as error:
        ended = {"outcome": error.code.value, "message": str(error)}
    (Path(folder) / f"ended{loader}").write_text(json.dumps(ended))
