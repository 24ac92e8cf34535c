"""The benchmark of scoring has both sides score the same accounts."""

from __future__ import annotations

from local.bench.score import bench_score


def test_scoring_is_measured_against_the_librarys_predict() -> None:
    report = bench_score(accounts=3_000, rounds=1, memory_accounts=(2_000,))

    assert (report.accounts, report.features, report.rounds) == (3_000, 14, 1)
    assert report.share_of_predict > 0
    assert [each.accounts for each in report.memory] == [2_000]
