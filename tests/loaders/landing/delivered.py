"""Literal notifications landed from a file, as cheaply as it goes: no warehouse, all of landing's reading."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from loaders.landing.listing import landing_store, table_days
from loaders.landing.read_days import TableLanding
from loaders.landing.read_file import FileOfDay, read_file
from loaders.landing.scratch import ScratchRows
from loaders.warehouse.erasures import ErasedSubjects
from segue.settings import Settings

DAY = date(2026, 3, 10)
NOON = {"occurred_at": "2026-03-10T11:00:00Z", "ingested_at": "2026-03-10T12:00:00Z"}
Row = dict[str, Any]


class KeptRows(ScratchRows):
    """Rows as a landing would load them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[Row]] = {}

    def write(self, name: str, rows: Any) -> None:
        self.kept.setdefault(name, []).extend(rows.to_pylist())


@dataclass(frozen=True)
class Read:
    """What landing makes of a day's files."""

    landing: TableLanding
    accepted: list[Row]
    refused: list[Row]

    @property
    def ignored(self) -> dict[str, tuple[str | None, int]]:
        return {kind.name: (kind.ignored, rows) for kind, rows in self.landing.ignored.items()}

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(row["column_name"], row["reason"]) for row in self.refused]


def read_day(root: Path, table: str, settings: Settings | None = None) -> Read:
    """Read every file that lies in the table's day."""
    settings = settings or Settings(_env_file=None)
    settings = settings.model_copy(update={"landing_files_uri": str(root)})
    found = table_days(landing_store(settings), table, [DAY])[DAY]
    rows = KeptRows()
    landing = TableLanding(table, DAY)
    nobody = ErasedSubjects(settings, {kind: frozenset() for kind in ("account", "subscription", "customer")})
    for stored in found.files:
        landing.add(stored.name, read_file(settings, FileOfDay(table, DAY, stored), nobody, rows))
    return Read(landing, rows.kept.get(table, []), rows.kept.get(f"refused_{table}", []))


def read_lines(root: Path, table: str, rows: list[Row], settings: Settings | None = None) -> Read:
    """Read rows that were delivered as one file of JSON lines."""
    write_lines(root, table, rows)
    return read_day(root, table, settings)


def write_lines(root: Path, table: str, rows: list[Row], name: str = "n.ndjson") -> None:
    folder = root / table / str(DAY)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
