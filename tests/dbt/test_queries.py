"""The example queries for analysts run, and find what they say they find."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from loaders.experiments.readouts import ensure_readouts
from loaders.landing.land import QUARANTINE_SCHEMA
from loaders.warehouse.ops import ensure_ops_tables
from local.answers.page import Question, questions
from segue.settings import PROJECT_ROOT
from tests.dbt.conftest import Warehouse
from tests.pages import PAGES, mentioned, plain, shown, typed

BY_MART = (PROJECT_ROOT / "docs" / "queries-by-mart.md").read_text()
QUESTIONS = list(questions((PROJECT_ROOT / "docs" / "queries.md").read_text()))
QUERIES = re.findall(r"```sql\n(.*?)```", BY_MART, flags=re.DOTALL)


@pytest.fixture(scope="module")
def marts(march: Warehouse) -> Warehouse:
    """March with its operational tables; its audit dataset stands for the published marts."""
    ensure_ops_tables(march.warehouse)
    ensure_readouts(march.warehouse, "audit_20260305")
    quarantine = march.settings.quarantine_dataset
    march.warehouse.ensure_dataset(quarantine)
    for table in ("engagement_daily", "fx_rates"):
        march.warehouse.ensure_table(
            march.warehouse.table(quarantine, table), QUARANTINE_SCHEMA, partition_field="arrival_date"
        )
    return march


def answer(marts: Warehouse, query: str) -> list[dict[str, object]]:
    return [dict(row) for row in marts.query(query.replace("marts.", "audit_20260305."))]


@pytest.mark.parametrize("query", QUERIES, ids=[query.split()[1].rstrip(",") for query in QUERIES])
def test_an_example_query_answers(marts: Warehouse, query: str) -> None:
    rows = answer(marts, query)

    # Nothing was published here, so that nothing could be restated, and nobody was in an experiment.
    assert rows or "from ops." in query or "experiment" in query


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_is_answered_with_the_columns_of_its_table(marts: Warehouse, question: Question) -> None:
    assert question.answer is not None

    rows = marts.query(on(date(2026, 3, 6), question.sql))
    assert [field.name for field in rows.schema] == question.answer.columns
    for row in rows if question.how["kind"] == "intervals" else ():
        if row["low"] is not None:
            assert row["low"] <= row[question.how["value"]] <= row["high"], row


def test_the_change_of_mrr_is_explained_to_the_cent(marts: Warehouse) -> None:
    [question] = [each for each in QUESTIONS if each.name == "mrr"]
    sql = question.sql.replace("current_date() - 31", "current_date() - 5")
    sql = sql.replace("current_date() - 30", "current_date() - 4")

    rows = list(marts.query(on(date(2026, 3, 6), sql)))
    assert [row["unexplained_usd"] for row in rows] == [Decimal(0)] * len(rows)
    assert sum(row["closing_usd"] for row in rows) > 0


def on(today: date, sql: str) -> str:
    """The query as it is asked on a day, of March's marts."""
    return sql.replace("current_date()", f"date '{today}'").replace("marts.", "audit_20260305.")


def test_the_movements_explain_every_close(marts: Warehouse) -> None:
    [identity] = [query for query in QUERIES if "unexplained_usd" in query]

    rows = answer(marts, identity)
    assert [row["unexplained_usd"] for row in rows] == [Decimal(0)] * 4


def test_the_bridge_explains_all_between_cash_and_mrr(marts: Warehouse) -> None:
    [bridge] = [query for query in QUERIES if "gap_usd" in query]

    assert [row["gap_usd"] for row in answer(marts, bridge)] == [Decimal(0)]


def test_movements_between_two_closes_add_up_whatever_lies_between(marts: Warehouse) -> None:
    [query] = [query for query in QUERIES if "'closing'" in query]

    lines = {row["line"]: (row["accounts"], row["mrr_usd"]) for row in answer(marts, query)}
    closing = lines.pop("closing")[1]
    assert sum(Decimal(str(amount)) for _, amount in lines.values()) == Decimal(str(closing))
    [close] = answer(
        marts,
        "select sum(mrr_usd_amount) as usd from marts.agg_subscribers_daily "
        "where snapshot_date = '2026-03-05'",
    )
    assert Decimal(str(close["usd"])) == Decimal(str(closing))
    # Who left and came back within the days has not churned, and who came and left was never there.
    assert {line: accounts for line, (accounts, _) in lines.items() if line != "fx"} == {
        "opening": 7, "new": 4, "expansion": 2, "contraction": 1, "churn": 2,
    }  # fmt: skip


def test_a_trial_is_credited_to_the_offer_that_was_touched_last(marts: Warehouse) -> None:
    [query] = [query for query in QUERIES if "last_touch_offer_id" in query]

    assert [(row["last_touch_offer_id"], row["trials"]) for row in answer(marts, query)] == [
        ("trial-30-days", 1)
    ]


def test_every_scan_of_a_mart_names_its_days() -> None:
    for query in [*QUERIES, *(question.sql for question in QUESTIONS)]:
        for table in re.findall(r"from (?:marts|ops)\.(?!dim_)\w+\n\s*(.*)", query):
            assert re.match(r"where (\w+_date|activity_month) ", table), query


ASKED = [
    (page, command)
    for page in PAGES
    for command in map(plain, (*shown(page), *mentioned(page)))
    if re.match(r"segue query .*(select [^…]|--file|--format)", command)
]


@pytest.mark.parametrize(("page", "command"), ASKED, ids=[command[:60] for _, command in ASKED])
def test_what_a_page_asks_is_answered(
    marts: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Path, command: str
) -> None:
    """As it is typed, of March's marts; the reader's own question is about one of them."""
    settings = marts.settings.model_copy(update={"marts_dataset": "audit_20260305"})
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    monkeypatch.chdir(tmp_path)
    question = (
        "select sum(mrr_usd_amount) as mrr from marts.agg_subscribers_daily "
        "where snapshot_date = '2026-03-05'"
    )
    Path("question.sql").write_text(question)
    words = typed(str(page.relative_to(PROJECT_ROOT)), command)
    ends = [words.index(word) for word in ("<", "|") if word in words]

    if words[-1] == "--file":
        words.append("question.sql")
    done = CliRunner().invoke(app, words[: min(ends, default=None)], input=question if ends else None)

    assert done.exit_code == 0, done.output
    if "answer.csv" in words:
        assert Path("answer.csv").read_text().startswith("mrr\n")
    else:
        assert done.stdout
