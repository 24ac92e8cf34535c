"""The text of the compiled statement: what BigQuery takes, and what the rule files cannot break out of."""

from __future__ import annotations

import pytest

from local.bench.segments import repeated
from segments.compiler import StatementTooLongError, compile_statement
from segments.source import RuleBook, load_rules
from tests.segments.test_evaluator import PROGRAM, rule


def compiled(book: RuleBook) -> str:
    return compile_statement(book, "features", "contents", "true")


def test_300_rules_are_well_within_what_bigquery_takes_and_2000_are_refused() -> None:
    assert len(compiled(repeated(load_rules(), 300))) < 300_000
    with pytest.raises(StatementTooLongError, match="2000 rules make a statement of"):
        compiled(repeated(load_rules(), 2_000))


@pytest.mark.parametrize("text", ["{{ ref('x') }}", "{% endmacro %}", "{# gone #}", "it's \\ two\nlines"])
def test_a_text_of_a_rule_is_a_text_of_the_statement(text: str) -> None:
    audience = {"feature": "last_end_reason", "equals": text}
    statement = compiled(RuleBook((rule("one", audience=audience),), PROGRAM))

    written = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    assert f"last_end_reason = '{written}'" in statement


def test_a_missing_value_counts_as_false_once_and_not_at_every_comparison() -> None:
    audience = {
        "all": [{"feature": "streams_28d", "at_least": 5}, {"not": {"feature": "seats", "equals": 1}}]
    }
    statement = compiled(RuleBook((rule("one", audience=audience),), PROGRAM))

    assert "if((streams_28d >= 5 and not coalesce(seats = 1, false)), 0, 256)" in statement
