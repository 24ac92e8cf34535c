"""The benchmark of a run's floor: what it makes of the days that it has measured."""

from __future__ import annotations

from local.bench.floor import DayRun, FloorReport, median_of


def day(land: float, build: float, validate: float, publish: float, cpu: float) -> DayRun:
    steps = {"land": land, "build": build, "score": 0.0, "validate": validate, "publish": publish}
    steps["drop_audit"] = 0.0
    return DayRun(steps, sum(steps.values()), cpu, cpu / 2)


def test_each_figure_is_the_median_of_the_days() -> None:
    days = [day(1, 9, 3, 1, 10), day(2, 8, 4, 1, 12), day(9, 7, 5, 1, 11)]

    assert median_of(days) == DayRun(
        {"land": 2, "build": 8, "score": 0, "validate": 4, "publish": 1, "drop_audit": 0}, 15, 11, 5.5
    )


def test_the_floor_is_a_share_of_a_day_of_the_company_beside_it() -> None:
    report = FloorReport(50, 3_000, floor=day(1, 5, 3, 1, 8), compared=day(2, 20, 14, 4, 30))

    assert report.share == 0.25
    assert report.to_dict()["share"] == 0.25
