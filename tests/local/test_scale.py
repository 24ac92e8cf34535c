"""The page about scale says what its arithmetic says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local.scale import ACCOUNTS, Assumed, Measured, day_of, landing_limit, nodes, slots_table, table
from segue.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "scale.md").read_text()


@pytest.mark.parametrize("accounts", ACCOUNTS)
def test_the_page_has_the_table_of_a_day(accounts: int) -> None:
    assert table(accounts, day_of(accounts)) in PAGE


def test_the_page_has_the_table_of_slots() -> None:
    assert slots_table() in PAGE


@pytest.mark.parametrize(
    ("us_per_row", "rows_per_account", "millions"),
    [(10, 0.54, 667), (10, 5, 72), (28, 0.54, 238), (28, 5, 26)],
)
def test_the_page_says_until_when_one_task_lands_a_day(
    us_per_row: float, rows_per_account: float, millions: int
) -> None:
    assert round(landing_limit(15, us_per_row, rows_per_account, 4) / 1e6) == millions
    assert f"{millions}M" in PAGE


def test_bytes_and_their_price_grow_with_the_accounts() -> None:
    small, large = ({step.name: step for step in day_of(accounts)} for accounts in (1_000_000, 50_000_000))
    assert large["publish"].bytes == 50 * small["publish"].bytes
    assert large["publish"].usd == pytest.approx(50 * small["publish"].usd)
    assert small["publish"].usd == pytest.approx(small["publish"].bytes / 2**40 * 6.25)


def test_a_longer_history_makes_the_history_dearer_and_nothing_else() -> None:
    now, later = (
        {step.name: step.bytes for step in day_of(10**6, assumed=replace(Assumed(), history_years=years))}
        for years in (3.0, 4.0)
    )
    assert later.pop("build: history") - now.pop("build: history") == pytest.approx(
        10**6 * 2 * 365 * Measured().events_day
    )
    assert later == now


def test_nodes_are_for_lookups_at_their_peak_or_for_the_delta_whichever_needs_more() -> None:
    assert [nodes(accounts, Assumed()) for accounts in ACCOUNTS] == [1, 1, 11]
    assert nodes(750_000_000, replace(Assumed(), lookups_per_account=0.1)) == 3
