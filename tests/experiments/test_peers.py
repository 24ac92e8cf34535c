"""Quantities that others define as we do: the same to 1e-9, from sums where they had the units.

What gbstats, spotify-confidence and statsmodels computed is in ``peers/recorded.json``, made by
``peers/record.py``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.statistics.estimate import Estimate, compare
from experiments.statistics.multiplicity import holm_adjusted
from experiments.statistics.power import required_units
from experiments.statistics.sample_ratio import sample_ratio
from experiments.statistics.sequential import always_valid_half_width
from tests.experiments.peers.units import HISTORY, PAGES, SPEND, UNITS, VISITS
from tests.experiments.sums_of_units import sums_of

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "peers/recorded.json").read_text())
COLUMNS: dict[str, tuple[int, int | None, int | None]] = {
    "mean": (SPEND, None, None),
    "cuped": (SPEND, HISTORY, None),
    "ratio": (PAGES, None, VISITS),
}
PEERS = ("gbstats", "spotify-confidence", "statsmodels")
CASES = [
    (peer, units, kind)
    for peer in PEERS
    for units in UNITS
    for kind in COLUMNS
    if kind in RECORDED[peer][units]
]


def compared(units: str, kind: str) -> Estimate:
    control, offer = (
        sums_of(np.array(UNITS[units][arm]), *COLUMNS[kind]).moments() for arm in ("control", "offer")
    )
    return compare(control, offer)


def ours(units: str, kind: str) -> dict[str, Any]:
    """By the names of what was recorded."""
    found = compared(units, kind)

    def around(middle: Any, half: Any) -> list[float]:
        return [float(middle - half), float(middle + half)]

    # Half of the planned units are there.
    always = always_valid_half_width(found.variance, found.variance / 2, 0.05)
    return {
        "difference": found.difference,
        "error": math.sqrt(found.variance),
        "degrees": found.degrees,
        "p_value": found.p_value,
        "p_value_greater": found.p_value / 2,
        "interval": around(found.difference, found.half_width(0.05)),
        "always_valid_interval_at_half": around(found.difference, always),
        "relative": found.relative,
        "relative_error": math.sqrt(found.relative_variance),
        "theta": found.theta,
    }


def same(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("peer", "units", "kind"), CASES)
def test_a_peer_finds_the_same(peer: str, units: str, kind: str) -> None:
    found = ours(units, kind)
    recorded = RECORDED[peer][units][kind]

    assert {name: found[name] for name in recorded} == {
        name: same(expected) for name, expected in recorded.items()
    }


def test_what_was_recorded_is_of_the_versions_that_are_named() -> None:
    script = (Path(__file__).parent / "peers/record.py").read_text()

    assert RECORDED["versions"] == {
        "gbstats": "0.8.0", "spotify-confidence": "4.1.0", "statsmodels": "0.15.0",
    }  # fmt: skip
    assert all(f'"{peer}=={version}"' in script for peer, version in RECORDED["versions"].items())


def test_spotify_confidence_tests_the_sample_ratio_alike() -> None:
    for units, arms in UNITS.items():
        counts = {arm: len(columns[SPEND]) for arm, columns in arms.items()}
        p_value, _ = sample_ratio(counts, {"control": 3, "offer": 7})
        assert p_value == same(RECORDED["spotify-confidence"][units]["sample_ratio"])


def test_statsmodels_corrects_and_plans_alike() -> None:
    holm = RECORDED["statsmodels of no units"]["holm"]
    p_values = dict(enumerate(holm["p_values"]))

    assert holm_adjusted(p_values) == {place: same(value) for place, value in enumerate(holm["adjusted"])}
    for asked in RECORDED["statsmodels of no units"]["units_of_control"]:
        ratio = asked["offer_per_control"]
        both = asked["units"] * (1 + ratio)
        planned = required_units(1.0, asked["effect"], (1, ratio), asked["alpha"], asked["power"])
        assert planned == math.ceil(both)
