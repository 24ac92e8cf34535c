"""The compiled statement and the evaluator decide alike: every account × rule, every offer, in order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loaders.warehouse.client import warehouse_of
from segments.compiler import compile_statement
from segments.evaluator import AccountDecisions, evaluate, is_traced
from segments.source import RuleBook
from segments.steps import Reason
from segue.settings import Settings
from tests.segments.generated import DAY, accounts, books, contents
from tests.segments.warehouse_rows import CONTENT_ROWS, FEATURE_ROWS, write_table

RULES, ACCOUNTS, STATEMENTS = 10, 60, 6
WINNING = {Reason.SELECTED, Reason.ACCOUNT_CAP_REACHED, Reason.RULE_CAP_REACHED}


@pytest.fixture(scope="module")
def warehouse(world: Callable[..., Settings]) -> Settings:
    return world("equivalence")


def decided_by_sql(
    warehouse: Settings, book: RuleBook, rows: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    statement = compile_statement(
        book,
        write_table(warehouse, "marts", "features", FEATURE_ROWS, rows),
        write_table(warehouse, "marts", "contents", CONTENT_ROWS, entries),
        f"feature_date = date '{DAY}'",
    )
    found = warehouse_of(warehouse).run(statement)
    return {row["account_id"]: dict(row) for row in found}


def in_columns(book: RuleBook, account: AccountDecisions) -> dict[str, Any]:
    """The evaluator's account as the mart writes it."""
    traced = is_traced(book.program, account.account_id)
    return {
        "offers": account.offers,
        "suppressed_reason": account.suppressed_reason,
        "is_traced": traced,
        "decisions": {
            rule_id: (
                decision.rule.version,
                decision.reason.value,
                ",".join(decision.failed) if traced else None,
            )
            for rule_id, decision in account.decisions.items()
        },
    }


def _assert_only_what_can_be_shown_competes(account: AccountDecisions) -> None:
    """Whoever lost its group lost it to one offer, whose content is there, be it a control arm's."""
    groups: dict[str, list[Reason]] = {}
    for decision in account.decisions.values():
        groups.setdefault(decision.rule.group, []).append(decision.reason)
    for reasons in groups.values():
        assert sum(reason in WINNING for reason in reasons) == (
            1 if any(reason in {*WINNING, Reason.LOST_EXCLUSIVITY} for reason in reasons) else 0
        )


# A failing example is not made smaller: that would run hundreds of statements. The account is named.
@settings(
    max_examples=STATEMENTS,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(book=books(RULES), entries=contents(), seed=st.integers(0, 2**32))
def test_both_give_the_same_offers_order_and_reason_for_every_account_and_rule(
    warehouse: Settings, book: RuleBook, entries: list[dict[str, Any]], seed: int
) -> None:
    rows = accounts(Random(seed), ACCOUNTS)

    expected = evaluate(book, rows, entries)
    found = decided_by_sql(warehouse, book, rows, entries)

    assert set(found) == set(expected)
    for account in expected.values():
        _assert_only_what_can_be_shown_competes(account)
    for account_id, account in expected.items():
        row = found[account_id]
        decisions = {
            decision["rule_id"]: (
                decision["rule_version"],
                decision["reason_code"],
                decision["failed_steps"],
            )
            for decision in row["decisions"]
        }
        assert len(decisions) == len(row["decisions"])
        assert {
            "offers": row["offers"],
            "suppressed_reason": row["suppressed_reason"],
            "is_traced": row["is_traced"],
            "decisions": decisions,
        } == in_columns(book, account), account_id
