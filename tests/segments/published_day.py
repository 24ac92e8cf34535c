"""A published day of three accounts: decided by the rules of before, while those of now say otherwise."""

from __future__ import annotations

from typing import Any

from loaders.warehouse.client import warehouse_of
from segments.compiler import compile_statement
from segments.rule import Rule
from segments.source import RuleBook
from segue.settings import Settings
from tests.segments.test_evaluator import DAY, PROGRAM, row, rule, text
from tests.segments.warehouse_rows import CONTENT_ROWS, FEATURE_ROWS, write_table


def streams_at_least(count: int) -> dict[str, Any]:
    return {"feature": "streams_28d", "at_least": count}


def book(*rules: Rule) -> RuleBook:
    return RuleBook(rules, PROGRAM)


BEFORE = book(rule("loyal", audience=streams_at_least(300), exclusivity_group="one"), rule("gone"))
NOW = book(
    rule("loyal", version=2, audience=streams_at_least(100), exclusivity_group="one"),
    rule("mute", content={"entry": "absent", "fallback_locale": "en-US"}),
    rule("newcomer", priority=20, exclusivity_group="one"),
    rule("nobody", audience=streams_at_least(1_000_000)),
    rule("over", validity={"to_date": DAY}),
)


def publish_day(settings: Settings) -> None:
    """Features, contents and decisions of the day, as a run publishes them."""
    accounts = [
        row("a1", streams_28d=500),
        row("a2", streams_28d=200, is_marketing_withdrawn=False),
        row("a3", streams_28d=50),
    ]
    features = write_table(settings, "marts", "fct_account_features", FEATURE_ROWS, accounts)
    entry = text() | {"feature_date": DAY}
    contents = write_table(settings, "marts", "offer_contents", CONTENT_ROWS, [entry])
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(settings.ops_dataset)
    statement = compile_statement(BEFORE, features, contents, f"feature_date = date '{DAY}'")
    warehouse.run(f"create table `{settings.project_id}.marts.offer_decisions` as\n{statement}")
