"""An outside experiment's rows as units of its arms, and as their sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from experiments.outside_map import EVERY_ROW, MetricColumns, OutsideMap
from experiments.statistics.exact import ExactSum
from experiments.statistics.sums import Sums
from loaders.experiments.cells import Floats, labels_of, numbers_of, texts_of
from loaders.outside.tables import Batch, read_batches
from segue.outside_file import Mistake, OutsideFileError

_MOST_VARIANTS: Final = 50


@dataclass
class OutsideUnits:
    """What a file has: units and sums per arm, in the order in which the map, or the file, names the arms."""

    units: dict[str, int]
    sums: dict[str, dict[str, Sums]]
    in_two_variants: int
    """Units that were seen in more than one variant; they are in no arm."""
    without_covariate: dict[str, int]
    """Units whose covariate is empty, by its column; it counts as 0."""


def read_units(path: Path, outside: OutsideMap) -> OutsideUnits:
    """The file's units, each once.

    It is read once; a second time where a unit may be in it twice. Memory holds one batch of rows and eight
    bytes per unit.

    Raises:
        OutsideFileError: names the rows and columns that cannot be read, and a unit that an arm has twice.
        OSError: there is no such file.
    """
    reading = _Reading(path.name, outside)
    arms = _Arms(outside)
    seen: list[npt.NDArray[np.uint64]] = []
    for batch in read_batches(path, reading.columns):
        rows = reading.rows(batch)
        if not outside.allocation and len(set(arms.units) | set(rows.variants)) > _MOST_VARIANTS:
            message = (
                f"column {outside.variant.column} has more than {_MOST_VARIANTS} values: is it the variant?"
            )
            raise OutsideFileError(path.name, message)
        arms.add(rows, np.ones(len(rows.variants), bool))
        if rows.units is not None:
            seen.append(_hashes(rows.units))
    if not arms.units:
        raise OutsideFileError(path.name, "has no rows")
    twice = _repeated(seen)
    moved = 0
    if len(twice):
        without, moved = _of_two_variants(path, reading, twice)
        arms.subtract(without)
    reading.check_arms(arms.units)
    units = {arm: arms.units[arm] for arm in outside.allocation or sorted(arms.units) if arms.units[arm]}
    return OutsideUnits(units, arms.sums(), moved, {column: n for column, n in arms.without.items() if n})


def notes_of(found: OutsideUnits) -> list[str]:
    """What a readout has to say of how the file was read."""
    notes = []
    if found.in_two_variants:
        notes.append(f"{found.in_two_variants:,} units were seen in more than one variant and are in none")
    notes += [
        f"{count:,} units have no {column}: it counts as 0 for them"
        for column, count in found.without_covariate.items()
    ]
    return notes


@dataclass(frozen=True)
class _Rows:
    """A batch as it is counted."""

    first_row: int
    variants: npt.NDArray[Any]
    units: pa.Array | None
    """None where every row is a unit."""
    numbers: dict[str, Floats]
    empty: dict[str, npt.NDArray[np.bool_]]


class _Reading:
    """Rows of a file by its map, or all of a batch's mistakes."""

    def __init__(self, file: str, outside: OutsideMap) -> None:
        self._file = file
        self._map = self.outside = outside
        self._unit = None if outside.unit == EVERY_ROW else outside.unit
        named = [outside.variant.column, *outside.number_columns, *([self._unit] if self._unit else [])]
        self.columns = tuple(dict.fromkeys(named))

    def rows(self, batch: Batch) -> _Rows:
        mistakes: list[Mistake] = []

        def note(column: str, wrong: npt.NDArray[np.bool_], message: str) -> None:
            places = np.nonzero(wrong)[0][:20].tolist()
            if places:
                found = batch.columns[column].take(pa.array(places)).to_pylist()
                mistakes.extend(
                    Mistake(batch.first_row + place, column, message.format(found=repr(value)))
                    for place, value in zip(places, found, strict=True)
                )

        variant = self._map.variant.column
        variants = labels_of(batch.columns[variant])
        note(variant, variants == "", "is empty")
        if self._map.allocation:
            unknown = ~np.isin(variants, list(self._map.allocation)) & (variants != "")
            note(variant, unknown, "{found} is no variant of the allocation")
        numbers, empty = {}, {}
        for column in self._map.number_columns:
            numbers[column], empty[column], wrong = numbers_of(batch.columns[column])
            note(column, wrong, "{found} is no number")
            if column not in self._map.covariates:
                note(column, empty[column], "is empty")
        units = None
        if self._unit:
            units = texts_of(batch.columns[self._unit])
            note(self._unit, np.array(units.to_numpy(zero_copy_only=False) == "", bool), "is empty")
        if mistakes:
            raise OutsideFileError(self._file, mistakes)
        return _Rows(batch.first_row, variants, units, numbers, empty)

    def check_arms(self, units: Counter[str]) -> None:
        control = self._map.variant.control
        expected = list(self._map.allocation or [control])
        found = ", ".join(arm for arm, count in units.items() if count)
        for arm in expected:
            if not units[arm]:
                role = " (control)" if arm == control else ""
                message = f"column {self._map.variant.column} has no {arm}{role}; it has {found or 'none'}"
                raise OutsideFileError(self._file, message)
        if sum(count > 0 for count in units.values()) < 2:
            message = f"column {self._map.variant.column} has one variant, so there is nothing to compare"
            raise OutsideFileError(self._file, message)

    def repeated(self, repeats: Iterable[tuple[str, int, int]]) -> OutsideFileError:
        """What to raise for units that are in one variant twice: unit, first row, second row."""
        return OutsideFileError(
            self._file,
            [
                Mistake(second, self._unit or "", f"{unit!r} is the unit of row {first} already")
                for unit, first, second in repeats
            ],
        )


class _Arms:
    """Counts and exact sums per arm and metric."""

    def __init__(self, outside: OutsideMap) -> None:
        self._map = outside
        self.units: Counter[str] = Counter(dict.fromkeys(outside.allocation or {}, 0))
        self.without: Counter[str] = Counter()
        self._sums: dict[tuple[str, str], dict[str, ExactSum]] = defaultdict(lambda: defaultdict(ExactSum))
        self._less: dict[str, dict[str, Sums]] = {}

    def add(self, rows: _Rows, counted: npt.NDArray[np.bool_]) -> None:
        for column in self._map.covariates:
            self.without[column] += int((rows.empty[column] & counted).sum())
        for arm in dict.fromkeys(rows.variants[counted].tolist()):
            places = (rows.variants == arm) & counted
            self.units[arm] += int(places.sum())
            for name, metric in self._map.metrics.items():
                self._add(self._sums[arm, name], metric, rows, places)

    @staticmethod
    def _add(
        sums: dict[str, ExactSum], metric: MetricColumns, rows: _Rows, places: npt.NDArray[np.bool_]
    ) -> None:
        y = rows.numbers[metric.value][places]
        parts = {"y": y}
        if metric.covariate is not None:
            parts["x"] = rows.numbers[metric.covariate][places]
        if metric.denominator is not None:
            parts["d"] = rows.numbers[metric.denominator][places]
        for name, values in parts.items():
            sums[f"sum_{name}"].add(values)
            sums[f"sum_{name}2"].add_products(values, values)
        for left, right in (("x", "y"), ("y", "d"), ("x", "d")):
            if left in parts and right in parts:
                sums[f"sum_{left}{right}"].add_products(parts[left], parts[right])

    def subtract(self, other: _Arms) -> None:
        self.units.subtract(other.units)
        self.without.subtract(other.without)
        self._less = other.sums()

    def sums(self) -> dict[str, dict[str, Sums]]:
        found: dict[str, dict[str, Sums]] = {}
        for arm, count in self.units.items():
            found[arm] = {}
            for name in self._map.metrics:
                totals: dict[str, Fraction] = {
                    part: exact.total() for part, exact in self._sums[arm, name].items()
                }
                less = self._less.get(arm, {}).get(name)
                n = count + (less.n if less else 0)
                whole = Sums.of(n, **totals) if totals else Sums.of(0, sum_y=0, sum_y2=0)
                found[arm][name] = whole - less if less and less.n else whole
        return found


def _hashes(units: pa.Array) -> npt.NDArray[np.uint64]:
    return pd.util.hash_array(units.to_numpy(zero_copy_only=False).astype(object), categorize=False)


def _repeated(seen: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """Hashes that came more than once."""
    if not seen:
        return np.array([], np.uint64)
    ordered = np.sort(np.concatenate(seen))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _of_two_variants(path: Path, reading: _Reading, twice: npt.NDArray[np.uint64]) -> tuple[_Arms, int]:
    """The rows of units that were seen in more than one variant, and how many those are.

    Raises:
        OutsideFileError: a unit is in one variant twice, and in no other.
    """
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for batch in read_batches(path, reading.columns):
        rows = reading.rows(batch)
        assert rows.units is not None, "rows that are units have no hashes"
        for place in np.nonzero(np.isin(_hashes(rows.units), twice))[0].tolist():
            found[rows.units[place].as_py()].append((rows.first_row + place, rows.variants[place]))
    # Different units may have one hash.
    found = {unit: rows for unit, rows in found.items() if len(rows) > 1}
    moved = {unit for unit, rows in found.items() if len({variant for _, variant in rows}) > 1}
    repeats = [(unit, rows[0][0], rows[1][0]) for unit, rows in found.items() if unit not in moved]
    if repeats:
        raise reading.repeated(repeats)
    arms = _Arms(reading.outside)
    if moved:
        names = pa.array(sorted(moved))
        for batch in read_batches(path, reading.columns):
            rows = reading.rows(batch)
            units = rows.units
            assert units is not None, "rows that are units have no hashes"
            arms.add(
                rows, np.isin(units.to_numpy(zero_copy_only=False), names.to_numpy(zero_copy_only=False))
            )
    return arms, len(moved)
