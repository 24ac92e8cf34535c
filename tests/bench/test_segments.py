"""The benchmark of the rules decides for made-up accounts by as many rules as asked for."""

from __future__ import annotations

import pytest

from local.bench.segments import bench_segments, repeated
from segments.source import load_rules
from segue.settings import Settings


def test_rules_are_repeated_under_names_of_their_own() -> None:
    book = repeated(load_rules(), 30)

    assert len({rule.id for rule in book.active}) == len({rule.offer_id for rule in book.active}) == 30
    assert {rule.exclusivity_group for rule in book.active} == {
        rule.exclusivity_group for rule in load_rules().active
    }


@pytest.mark.emulator
def test_every_number_of_rules_is_measured_over_the_same_accounts() -> None:
    report = bench_segments(Settings(_env_file=None), accounts=300, rules=(2, 4), rounds=1)

    assert report.accounts == 300
    assert [each.rules for each in report.decided] == [2, 4]
    assert all(each.seconds > 0 and each.floor_seconds > 0 for each in report.decided)
    assert all(each.peak_mb is None or each.peak_mb > 50 for each in report.decided)
    assert report.to_dict()["most_to_fewest"] == report.most_to_fewest
    two, four = report.decided
    assert four.statement_kb > two.statement_kb
