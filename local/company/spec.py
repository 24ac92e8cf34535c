"""What a generated company is made from, and what is known about it afterwards."""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

DAY_US = 86_400_000_000
"""Microseconds of a day; all instants are microseconds since 1970 in UTC."""
FEWEST_PLANTED_DAYS = 35
"""So that there are days whose paid periods end within the window."""


def day_label(day: int) -> str:
    """YYYY-MM-DD of a day since 1970."""
    return str(np.datetime64(int(day), "D"))


@dataclass(frozen=True)
class CompanySpec:
    """The window [end_date − days + 1, end_date]; the same spec gives the same files, byte for byte.

    ``plants_behaviour``: accounts behave by the known laws of ``planted_behaviour``, and truth/ tells the
    probabilities; without it their chances are whatever the lives need. ``plants_trials``: the company is as
    usual, but for listeners who start a trial by the law of ``listeners``.
    """

    accounts: int
    days: int
    seed: int
    end_date: date
    plants_behaviour: bool = False
    plants_trials: bool = False

    def __post_init__(self) -> None:
        if self.accounts < 1 or self.days < 1:
            raise ValueError("a company has at least one account and one day")
        if self.plants_behaviour and self.plants_trials:
            raise ValueError("where all behaviour is planted, trials are")
        if self.plants_behaviour and self.days < FEWEST_PLANTED_DAYS:
            raise ValueError(f"planted behaviour takes {FEWEST_PLANTED_DAYS} days to show")

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

    def stream(self, subject: str, chunk: int = 0) -> np.random.Generator:
        """Random numbers of one subject and chunk of accounts.

        Each subject has its own, so that what is drawn in addition for one moves no number of another.
        """
        name = zlib.crc32(subject.encode())
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(name, chunk)))

    def to_json(self) -> str:
        """Stable text of the spec, to recognise a company that exists already."""
        content = asdict(self)
        for choice in ("plants_behaviour", "plants_trials"):
            if not content[choice]:
                # As it was written before there was a choice.
                del content[choice]
        return json.dumps(content, default=str, sort_keys=True)


def _by_table() -> dict[str, Counter[str]]:
    return defaultdict(Counter)


@dataclass
class Manifest:
    """Known amounts, by table and by arrival day (YYYY-MM-DD) where a day is meant.

    ``rows``, ``rows_by_day``: rows as written, dirty ones included. ``dirty``: rows of each kind of dirt
    (files, for ``files_without_a_column``); ``dirty_by_day``: the same by kind, table and day.
    ``quarantined``: the rows that the contracts must refuse. ``mistakes``: impressions that surfaces report
    otherwise than it was decided, by kind. ``experiments``: of each arm the units that came by, how
    many are reported, and how many of these subscribe within two weeks.
    """

    rows: Counter[str] = field(default_factory=Counter)
    rows_by_day: dict[str, Counter[str]] = field(default_factory=_by_table)
    dirty: Counter[str] = field(default_factory=Counter)
    dirty_by_day: dict[str, dict[str, Counter[str]]] = field(default_factory=lambda: defaultdict(_by_table))
    quarantined: dict[str, Counter[str]] = field(default_factory=_by_table)
    mistakes: Counter[str] = field(default_factory=Counter)
    experiments: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)

    def count_dirt(self, kind: str, table: str, days: NDArray[np.int64]) -> None:
        """One row of dirt for each of ``days``, the arrival days since 1970; none is an amount too."""
        self.dirty[kind] += days.size
        for day, amount in zip(*np.unique(days, return_counts=True), strict=True):
            self.dirty_by_day[kind][table][day_label(day)] += int(amount)

    def count_refused(self, table: str, days: NDArray[np.int64]) -> None:
        """The contract must refuse one row for each of ``days``."""
        for day in days:
            self.quarantined[table][day_label(day)] += 1

    def count_mistakes(self, mistakes: Iterable[str | None]) -> None:
        """One for each impression; None: it is as it was decided."""
        self.mistakes.update(kind for kind in mistakes if kind is not None)

    def to_json(self, spec: CompanySpec) -> str:
        """The manifest as it is written beside the landing files."""
        content = {"spec": json.loads(spec.to_json())} | vars(self)
        return json.dumps(content, indent=2, sort_keys=True)
