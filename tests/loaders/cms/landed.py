"""What the landing files of content say, read the way staging does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from segue.settings import Settings

Row = dict[str, Any]


def landing_folder(settings: Settings) -> Path:
    """The folder of the landing files."""
    return Path(urlsplit(settings.landing_files_root).path)


def landed_files(settings: Settings) -> list[str]:
    """Paths of the content's landing files below the landing root, in the order of their arrival."""
    root = landing_folder(settings)
    found = (path.relative_to(root).as_posix() for path in root.glob("content_entries/*/[!_]*.ndjson"))
    return sorted(found)


def landed_rows(settings: Settings) -> list[Row]:
    """All rows of all files."""
    root = landing_folder(settings)
    text = "".join((root / name).read_text() for name in landed_files(settings))
    # Not splitlines(): JSON leaves other line ends than this one inside its strings.
    return [json.loads(line) for line in text.split("\n") if line]


def current_content(settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """Fields by entry and locale of what is not deleted: the latest row of each wins."""
    latest: dict[tuple[str, str], Row] = {}
    for row in sorted(landed_rows(settings), key=lambda row: row["ingested_at"]):
        latest[row["entry_id"], row["locale"]] = row
    return {key: json.loads(row["fields"]) for key, row in latest.items() if not row["is_deleted"]}
