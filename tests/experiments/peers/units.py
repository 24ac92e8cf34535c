"""Units that this project and its peers are given alike: spend, history before it, pages, visits."""

from __future__ import annotations

from collections.abc import Iterator

Columns = tuple[list[float], list[float], list[float], list[float]]
SPEND, HISTORY, PAGES, VISITS = range(4)

HANDFUL: dict[str, Columns] = {
    "control": (
        [12.5, 0.0, 7.25, 30.0, 3.0, 18.0, 9.75, 22.0],
        [40.0, 12.0, 31.0, 66.5, 8.0, 35.0, 28.0, 71.0],
        [9, 2, 14, 5, 4, 21, 3, 12],
        [3, 1, 4, 1, 2, 6, 1, 3],
    ),
    "offer": (
        [15.0, 2.5, 41.0, 11.0, 19.5, 27.25, 8.0, 35.0, 6.5],
        [37.0, 9.5, 80.0, 22.0, 44.0, 51.0, 14.0, 58.0, 30.0],
        [11, 6, 25, 8, 3, 17, 7, 13, 9],
        [2, 2, 5, 1, 1, 4, 3, 2, 2],
    ),
}


def _uniform(seed: int) -> Iterator[float]:
    """Between 0 and 1, the same on every machine and in every version of a library (Park & Miller 1988)."""
    state = seed
    while True:
        state = state * 48_271 % 2_147_483_647
        yield state / 2_147_483_647


def _skewed(seed: int, count: int, lift: float) -> Columns:
    """A few spend and visit a lot; spending follows its history, pages follow visits."""
    draw = _uniform(seed)
    columns: Columns = ([], [], [], [])
    for _ in range(count):
        habit = (1 - next(draw)) ** -0.45
        history = round(20 * habit * (0.5 + next(draw)), 2)
        buys = next(draw) < 0.4
        spend = round(buys * (0.3 * history + 10 * next(draw)) * (1 + lift), 2)
        visits = 1 + int(4 * habit * next(draw))
        pages = int(visits * (1 + 3 * next(draw)) * (1 + lift))
        for column, value in zip(columns, (spend, history, pages, visits), strict=True):
            column.append(float(value))
    return columns


SKEWED: dict[str, Columns] = {"control": _skewed(11, 900, 0.0), "offer": _skewed(12, 2_100, 0.06)}
UNITS = {"handful": HANDFUL, "skewed": SKEWED}
