"""What a generated company is made from, and what is known about it afterwards."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

DAY_US = 86_400_000_000
"""Microseconds of a day; all instants are microseconds since 1970 in UTC."""


@dataclass(frozen=True)
class CompanySpec:
    """The window [end_date − days + 1, end_date]; the same spec gives the same files, byte for byte."""

    accounts: int
    days: int
    seed: int
    end_date: date

    def __post_init__(self) -> None:
        if self.accounts < 1 or self.days < 1:
            raise ValueError("a company has at least one account and one day")

    @property
    def first_day(self) -> date:
        """First arrival day; older accounts and events arrive on it."""
        return self.end_date - timedelta(days=self.days - 1)

    @property
    def start_us(self) -> int:
        """First instant of the window."""
        return (self.first_day - date(1970, 1, 1)).days * DAY_US

    @property
    def end_us(self) -> int:
        """First instant after the window."""
        return self.start_us + self.days * DAY_US

    def to_json(self) -> str:
        """Stable text of the spec, to recognise a company that exists already."""
        return json.dumps(asdict(self), default=str, sort_keys=True)


@dataclass
class Manifest:
    """Known amounts: rows as written, dirty rows by kind, and the rows that the contracts must refuse."""

    rows: Counter[str] = field(default_factory=Counter)
    rows_by_day: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    dirty: Counter[str] = field(default_factory=Counter)
    quarantined: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def to_json(self, spec: CompanySpec) -> str:
        """The manifest as it is written beside the landing files."""
        content = {"spec": json.loads(spec.to_json())} | vars(self)
        return json.dumps(content, indent=2, sort_keys=True)
