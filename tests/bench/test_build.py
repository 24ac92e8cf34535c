"""The ratios of a build benchmark follow from its seconds."""

from __future__ import annotations

from local.bench.build import Ratios, Size, report_of


def size(accounts: int, rebuild: float, increment: float, widest: float, single: float) -> Size:
    return Size(
        accounts=accounts, days=90, subscriptions=accounts // 3, touched_share=0.01, reached_days=7,
        rebuild_seconds=rebuild, increment_seconds=increment, widest_seconds=widest,
        single_day_seconds=single,
    )  # fmt: skip


def test_ratios_are_of_one_size_and_growth_is_between_sizes() -> None:
    report = report_of(
        90, 20.0, [size(100_000, 120.0, 30.0, 36.0, 40.0), size(1_000_000, 1_020.0, 71.4, 102.0, 56.67)]
    )

    assert report.ratios == [
        Ratios(100_000, increment_share=0.25, net_increment_share=0.1, widest_share=0.3, range_share=0.033),
        Ratios(1_000_000, increment_share=0.07, net_increment_share=0.051, widest_share=0.1, range_share=0.2),
    ]
    assert report.growth == [2.38]
    assert report.floor_seconds == 20.0
