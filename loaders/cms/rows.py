"""From changes to landing rows: what is new, what is gone, and what is known afterwards. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from loaders.cms.contract import Changes, Entry, EntryLocale

Row = dict[str, Any]
"""A row of ``content_entries`` without ``ingested_at``, as JSON knows it."""

VALID_FROM_FIELDS = ("valid_from", "validFrom")
VALID_UNTIL_FIELDS = ("valid_until", "validUntil")
"""Names of the fields of an entry that say when it may be shown, as the two systems spell them."""


@dataclass(frozen=True)
class Version:
    """What was last landed of an entry in one locale; ``digest`` is of the whole row."""

    content_type: str
    content_version: int
    digest: str


Known = dict[str, dict[str, Version]]
"""Versions by entry id and locale: what is not deleted, as far as landing files tell."""


@dataclass(frozen=True)
class Plan:
    """Rows to land, and what is known once they are."""

    rows: list[Row]
    known: Known

    @property
    def tombstones(self) -> int:
        """How many of the rows say that something is gone."""
        return sum(row["is_deleted"] for row in self.rows)


def plan_rows(source: str, known: Known, changes: Changes) -> Plan:
    """Compare changes with what is known: a row for every new version and for everything that is gone.

    What is known already gives no row, so a pull that looks back, or starts again, lands nothing twice.
    """
    after = {entry_id: dict(locales) for entry_id, locales in known.items()}
    rows: list[Row] = []

    def bury(entry_id: str, locale: str, version: Version) -> None:
        rows.append(_tombstone(source, entry_id, locale, version))

    upserts = sorted(changes.upserts, key=lambda entry: (entry.entry_id, entry.locale))
    for entry_id, group in groupby(upserts, key=lambda entry: entry.entry_id):
        before, versions = after.get(entry_id, {}), {}
        for entry in group:
            row = _row(source, entry)
            version = Version(entry.content_type, entry.content_version, _digest(row))
            versions[entry.locale] = version
            if before.get(entry.locale) != version:
                rows.append(row)
        for locale in sorted(before.keys() - versions.keys()):
            bury(entry_id, locale, before[locale])
        after[entry_id] = versions
    for entry_id in changes.tombstones:
        for locale, version in sorted(after.pop(entry_id, {}).items()):
            bury(entry_id, locale, version)
    if changes.present is not None:
        gone = [
            (entry_id, locale)
            for entry_id, locales in after.items()
            for locale in locales
            if (entry_id, locale) not in changes.present
        ]
        for entry_id, locale in sorted(gone):
            bury(entry_id, locale, after[entry_id].pop(locale))
    return Plan(rows, {entry_id: locales for entry_id, locales in after.items() if locales})


def unexplained(known: Known, changes: Changes) -> frozenset[EntryLocale]:
    """What exists, is not known, and did not change: a token that gained a right, or a restored backup."""
    if changes.present is None:
        return frozenset()
    seen = {(entry_id, locale) for entry_id, locales in known.items() for locale in locales}
    return changes.present - seen - {(entry.entry_id, entry.locale) for entry in changes.upserts}


def _row(source: str, entry: Entry) -> Row:
    return {
        "source": source,
        "entry_id": entry.entry_id,
        "locale": entry.locale,
        "content_type": entry.content_type,
        "content_version": entry.content_version,
        "is_published": entry.is_published,
        "published_at": entry.published_at.isoformat() if entry.published_at else None,
        "valid_from_at": _instant(entry.fields, VALID_FROM_FIELDS),
        "valid_until_at": _instant(entry.fields, VALID_UNTIL_FIELDS),
        "fields": json.dumps(entry.fields, ensure_ascii=False, sort_keys=True),
        "is_deleted": False,
    }


def _tombstone(source: str, entry_id: str, locale: str, version: Version) -> Row:
    return {
        "source": source,
        "entry_id": entry_id,
        "locale": locale,
        "content_type": version.content_type,
        "content_version": version.content_version,
        "is_published": False,
        "published_at": None,
        "valid_from_at": None,
        "valid_until_at": None,
        "fields": "{}",
        "is_deleted": True,
    }


def _instant(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the fields as a UTC time; a time without a zone is UTC, a date its first moment.

    What is no time is handed on as it is: landing refuses the row by column and keeps it in quarantine.
    """
    value = next((fields[name] for name in names if fields.get(name) not in (None, "")), None)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _digest(row: Row) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]
