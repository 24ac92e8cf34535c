"""The pages of offers: the plan of the rules, and one account for those who may see it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from google.cloud import bigquery
from pydantic import SecretStr

from loaders.warehouse.erasures import subject_hash
from runs.segment_plan import plan
from segue.settings import Settings
from tests.segments.published_day import NOW, publish_day
from tests.segments.test_evaluator import DAY
from tests.ui.browser import Browser, browser_of
from ui.routes import offers
from ui.visitor import Visitor

VIEWER, OPERATOR = Visitor("vera"), Visitor("otto", sees_accounts=True)


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    made = world("offers-page", erasure_salt=SecretStr("salt"))
    publish_day(made)
    return made


@pytest.fixture
def browser(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Browser:
    monkeypatch.setattr(offers, "load_rules", lambda: NOW)
    offers._planned.cache_clear()
    return browser_of(settings)


def test_the_plan_is_that_of_the_command_line(settings: Settings, browser: Browser) -> None:
    page = browser(OPERATOR).post("/offers/plan").text
    planned = plan(settings, NOW)

    assert planned.title in page
    for rule in planned.rules:
        assert rule.rule_id in page
    for heading, sentences in planned.sections():
        assert heading in page
        assert len(sentences) == sum(f"<li>{sentence}</li>" in page for sentence in sentences)


def test_a_viewer_starts_no_plan(browser: Browser) -> None:
    assert browser(VIEWER).post("/offers/plan").status_code == 403
    assert "/offers/plan" not in browser(VIEWER).get("/offers").text
    assert offers._planned.cache_info().misses == 0


def test_who_asks_for_a_plan_that_is_being_judged_waits_for_it(browser: Browser) -> None:
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(browser(OPERATOR).post, "/offers/plan") for _ in range(3)]

    assert [each.result().status_code for each in asked] == [200, 200, 200]
    assert offers._planned.cache_info().misses == 1


def test_no_statement_of_a_page_may_read_more_than_pages_may(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds, query = [], bigquery.Client.query

    def noted(client: bigquery.Client, sql: str, **how: Any) -> bigquery.QueryJob:
        bounds.append(how["job_config"].maximum_bytes_billed)
        return query(client, sql, **how)

    monkeypatch.setattr(bigquery.Client, "query", noted)
    pages = (
        "/days",
        "/offers",
        "/experiments",
        "/experiments/holdout-global",
        "/models",
        "/models/churn_risk",
    )
    for path in pages:
        assert browser(OPERATOR).get(path).status_code == 200
    browser(OPERATOR).post("/offers/plan")
    browser(OPERATOR).post("/offers/explain", data={"account_id": "a2"})

    assert set(bounds) == {1 << 30}


def test_the_same_plan_is_judged_once(browser: Browser) -> None:
    for _ in range(2):
        assert browser(OPERATOR).post("/offers/plan").status_code == 200

    assert offers._planned.cache_info().misses == 1


def test_an_account_is_explained_beside_what_is_published(browser: Browser) -> None:
    page = browser(OPERATOR).post("/offers/explain", data={"account_id": " a2 "}).text

    assert f"a2 on {DAY}" in page
    for words in ("LOST_EXCLUSIVITY", "NOT_IN_AUDIENCE", "streams_28d = 200", "no such rule"):
        assert words in page


def test_who_asked_is_logged_and_the_account_only_as_a_hash(settings: Settings, browser: Browser) -> None:
    with structlog.testing.capture_logs() as lines:
        browser(OPERATOR).post("/offers/explain", data={"account_id": "a2"})

    [line] = [line for line in lines if line["event"] == "account_explained"]
    assert (line["asked_by"], line["account_hash"]) == ("otto", subject_hash(settings, "a2"))
    assert not [line for line in lines if "a2" in {*map(str, line.values())}]


def test_a_viewer_can_neither_ask_for_an_account_nor_learn_of_one(browser: Browser) -> None:
    answer = browser(VIEWER).post("/offers/explain", data={"account_id": "a2"})

    assert (answer.status_code, "streams_28d" in answer.text) == (403, False)
    assert "account_id" not in browser(VIEWER).get("/offers").text
    assert "account_id" in browser(OPERATOR).get("/offers").text


def test_an_account_never_stands_in_an_address(browser: Browser) -> None:
    assert browser(OPERATOR).get("/offers/explain", params={"account_id": "a2"}).status_code == 405


def test_an_account_that_there_is_not_is_told_so(browser: Browser) -> None:
    page = browser(OPERATOR).post("/offers/explain", data={"account_id": "nobody"}).text

    assert f"It is not among the accounts of {DAY}." in page
