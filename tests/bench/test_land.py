"""The benchmark of landing reads the same files both ways."""

from __future__ import annotations

from local.bench.land import bench_land


def test_every_format_is_measured_against_row_by_row() -> None:
    report = bench_land(rows=300, rounds=1, refused_share=0.01, memory_rows=(1_000,))

    assert [(each.format, each.rows) for each in report.formats] == [
        ("parquet", 300),
        ("ndjson", 300),
        ("csv", 300),
    ]
    assert all(each.cpu_us_per_row > 0 and each.times_row_by_row > 0 for each in report.formats)
    assert [(each.format, each.rows) for each in report.memory] == [
        ("parquet", 1_000),
        ("ndjson", 1_000),
        ("csv", 1_000),
    ]
