"""The page of a day: from the operational tables and marts to HTML."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import unescape
from typing import Any

import pytest

from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables, insert_rows
from segue.settings import Settings
from segue.window import DAY
from tests.ui.browser import Browser, browser_of
from ui.day import read_day, step_times
from ui.history import newest_day, published_days
from ui.reading import Reading
from ui.visitor import Visitor

MARCH_2 = date(2026, 3, 2)
MARCH_1 = MARCH_2 - DAY
MARCH_3 = MARCH_2 + DAY
SAMPLE = '[{"account_id": "a-sampled"}]'
ATTEMPT, EARLIER = "audit_20260302_20260303060000_0a0b", "audit_20260301_20260302060000_0c0d"
RUN = "scheduled__2026-03-03T00:00:00+00:00"


def moment(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def step(name: str, seconds: float, minute: int, **other: Any) -> dict[str, Any]:
    """A step of the run of 2 March, which restates 1 March."""
    row = {
        "run_date": MARCH_2, "run_id": RUN, "step": name, "state": "done", "code": None,
        "start_date": MARCH_1, "end_date": MARCH_2, "as_of_date": MARCH_2, "attempt": ATTEMPT,
        "dag_id": "daily_marts", "asked_end_date": other.get("end_date", MARCH_2),
        "seconds": seconds, "summary": f"{name} is done", "warnings": "[]",
        "started_at": moment(3, 6), "finished_at": moment(3, 6, minute),
    }  # fmt: skip
    return row | other


def publication(mart: str, day: date, rows: int, attempt: str, hour: int) -> dict[str, Any]:
    run_date = MARCH_2 if attempt == ATTEMPT else MARCH_1
    return {
        "run_date": run_date, "publication_id": f"of {attempt}", "mart": mart, "partition_date": day,
        "row_count": rows, "as_of_date": run_date, "is_final": False, "published_at": moment(3, hour),
        "attempt": attempt, "override_reason": None,
    }  # fmt: skip


def result(expectation: str, severity: str, success: bool, **other: Any) -> dict[str, Any]:
    row = {
        "run_date": MARCH_2, "validation_id": "v2", "attempt": ATTEMPT, "start_date": MARCH_1,
        "end_date": MARCH_2, "model": "dim_account", "expectation": expectation, "severity": severity,
        "success": success, "sample": "[]", "validated_at": moment(3, 7),
    }  # fmt: skip
    return row | other


def ledger(step_name: str, table: str, rows: int, refused: int, detail: str, **other: Any) -> dict[str, Any]:
    row = {
        "run_date": MARCH_2, "step": step_name, "table_name": table, "rows_in": rows,
        "rows_out": rows - refused, "rows_quarantined": refused, "detail": detail,
        "finished_at": moment(3, 6),
    }  # fmt: skip
    return row | other


def fill(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    ensure_ops_tables(warehouse)
    usual = [
        step("land", seconds, 1, run_date=MARCH_1, run_id=f"earlier {seconds}") for seconds in (4, 6, 90)
    ]
    ranges = [step("land", 900, 1, run_date=MARCH_1, run_id="a year", start_date=date(2025, 3, 1))]
    insert_rows(
        warehouse,
        "run_steps",
        [
            *usual,
            *ranges,
            step("land", 5, 1, attempt=None, warnings='["fx_rates is old"]'),
            step("build", 62, 3),
            step("validate", 7, 5, state="failed", code="validation_failed", summary=None),
            step("build", 9, 9, run_date=MARCH_3, run_id="of 3 March", start_date=MARCH_3, end_date=MARCH_3,
                 attempt="audit_not_judged", state="failed", code="build_failed", summary=None),
        ],
    )  # fmt: skip
    append_rows(
        warehouse,
        "publications",
        [
            publication("dim_account", MARCH_1, 10, EARLIER, 1),
            publication("dim_account", MARCH_1, 12, ATTEMPT, 8),
            publication("dim_account", MARCH_2, 13, ATTEMPT, 8) | {"run_id": RUN},
            # The next run has published the history of both days.
            *(
                publication("int_subscriptions", day, 99, "audit_of_4_march", 9)
                | {"run_date": MARCH_3 + DAY, "code_version": "a digest"}
                for day in (MARCH_2, MARCH_3)
            ),
        ],
    )
    append_rows(
        warehouse,
        "restatements",
        [
            {
                "run_date": MARCH_2, "publication_id": f"of {ATTEMPT}", "mart": "dim_account",
                "partition_date": MARCH_1, "measure": "rows", "value_before": 10, "value_after": 12,
                "change": 2,
            }
        ],
    )  # fmt: skip
    append_rows(
        warehouse,
        "validation_results",
        [
            result("an earlier gate", "critical", False, validation_id="v1", validated_at=moment(3, 6)),
            result("market is known", "critical", False, unexpected_count=3, sample=SAMPLE),
            result("of another attempt", "critical", False, validation_id="v3", attempt="audit_x",
                   validated_at=moment(3, 9)),
            result("locale is known", "warning", True),
            result("scores are spread as in training", "critical", False, model="model_measures",
                   run_date=MARCH_3, attempt=None),
        ],
    )  # fmt: skip
    load = (
        '{"generation_ms": 5, "written": 3, "unchanged": 5, "tombstoned": 1, "discarded": 0, "seconds": 1.5}'
    )
    append_rows(
        warehouse,
        "run_ledger",
        [
            ledger("land", "accounts", 9, 2, "{}", files=1, run_id="by_hand__landed"),
            ledger("land", "fx_rates", 4, 0, "{}", files=1),
            ledger("bigtable_load", "offer_segments", 9, 1, load, run_id="asset_triggered__loaded"),
        ],
    )
    letter = {"run_date": MARCH_2, "generation_ms": 5, "account_id": "a-dead", "code": "KEY_TOO_LONG"}
    append_rows(warehouse, "dead_letters", [letter, letter | {"generation_ms": 4}])
    insert_rows(
        warehouse,
        "model_builds",
        [
            {"run_date": MARCH_2, "run_id": RUN, "attempt": ATTEMPT, "model": "dim_account",
             "status": "success", "seconds": 2.5, "row_count": 25, "bytes_processed": 2_500_000,
             "finished_at": moment(3, 6)}
        ],
    )  # fmt: skip
    warehouse.ensure_dataset(settings.quarantine_dataset)
    warehouse.ensure_dataset(settings.marts_dataset)
    warehouse.run(
        f"""
        create table {settings.quarantine_dataset}.accounts as
        select date '2026-03-02' as arrival_date, 'accounts/2026-03-02/a.csv' as landing_file,
          7 as landing_row, 'market' as column_name, 'is none of ISO 3166' as reason,
          '{{"account_id": "a-refused"}}' as payload;
        create table {settings.marts_dataset}.agg_subscribers_daily as
        select date '2026-03-01' as snapshot_date, 90.5 as mrr_usd_amount, 9 as active_subscriptions
        union all select date '2026-03-02', 60.25, 6 union all select date '2026-03-02', 40.0, 4;
        """
    )


@pytest.fixture(scope="module")
def settings(world: Callable[..., Settings]) -> Settings:
    made = world("day-page")
    fill(warehouse_of(made))
    return made


@pytest.fixture
def reading(settings: Settings) -> Reading:
    return Reading(warehouse_of(settings))


@pytest.fixture
def browser(settings: Settings) -> Browser:
    return browser_of(settings)


def test_the_page_is_of_the_run_that_published_the_day(reading: Reading) -> None:
    day = read_day(reading, MARCH_2)

    assert (day.run_id, day.attempt, day.state, day.is_final) == (RUN, ATTEMPT, "published", False)
    assert (day.start_date, day.end_date, day.as_of_date) == (MARCH_1, MARCH_2, MARCH_2)
    assert [(row["mart"], row["row_count"]) for row in day.published] == [("dim_account", 13)]
    assert [(row["partition_date"], row["change"]) for row in day.restated] == [(MARCH_1, 2)]
    assert [(row["model"], row["row_count"]) for row in day.models] == [("dim_account", 25)]


def test_a_day_of_which_only_the_history_is_published_is_not(reading: Reading) -> None:
    day = read_day(reading, MARCH_3)

    assert (day.run_id, day.state, day.published) == ("of 3 March", "failed", [])
    assert newest_day(reading) == MARCH_2
    assert [(row["day"], row["marts"]) for row in published_days(reading)] == [(MARCH_2, 1), (MARCH_1, 1)]


def test_what_was_measured_of_models_is_no_verdict_on_an_attempt(reading: Reading) -> None:
    assert read_day(reading, MARCH_3).checks == 0


def test_steps_are_compared_with_runs_of_as_many_days(reading: Reading) -> None:
    steps = read_day(reading, MARCH_2).steps

    assert [(each.step, each.state, each.code, each.seconds, each.usual) for each in steps] == [
        ("land", "done", None, 5, 6),
        ("build", "done", None, 62, None),
        ("validate", "failed", "validation_failed", 7, None),
    ]
    assert steps[0].warnings == ("fx_rates is old",)


def test_a_step_that_was_tried_again_is_shown_as_it_ended_at_last() -> None:
    tries = [step("build", 10, 1, state="failed", code="build_failed"), step("build", 20, 9)]

    assert [(each.state, each.seconds) for each in step_times(tries, [])] == [("done", 20)]


def test_a_step_of_a_month_is_not_compared_with_steps_of_single_days() -> None:
    days = [step("build", seconds, 1, start_date=MARCH_2) for seconds in (10, 20, 30)]
    [month, february] = [
        step("build", seconds, 1, start_date=MARCH_2 - 30 * DAY, end_date=MARCH_2 - short * DAY)
        for seconds, short in ((300, 0), (280, 3))
    ]

    assert [each.usual for each in step_times([month], [*days, february])] == [280]
    assert [each.usual for each in step_times([month], days)] == [None]
    assert [each.usual for each in step_times([step("build", 15, 1)], [*days, month])] == [20]


def test_of_the_checks_the_newest_verdict_on_this_very_attempt_counts(reading: Reading) -> None:
    day = read_day(reading, MARCH_2)

    assert day.checks == 2
    assert [row["expectation"] for row in day.failed_checks] == ["market is known"]


def test_feeds_say_what_was_refused_and_never_the_row_itself(reading: Reading) -> None:
    feeds = {feed.table: feed for feed in read_day(reading, MARCH_2).feeds}

    assert (feeds["accounts"].rows_in, feeds["accounts"].rows_quarantined) == (9, 2)
    assert feeds["accounts"].refusals == [
        {
            "landing_file": "accounts/2026-03-02/a.csv",
            "landing_row": 7,
            "column_name": "market",
            "reason": "is none of ISO 3166",
        }
    ]
    assert feeds["fx_rates"].refusals == ()


def test_the_load_adds_up_and_counts_its_own_dead_letters(reading: Reading) -> None:
    online = read_day(reading, MARCH_2).online

    assert online is not None
    assert (online.written, online.unchanged, online.removed, online.dead_lettered) == (3, 5, 1, 1)
    assert (online.is_verified, online.dead_letters, online.seconds) == (True, {"KEY_TOO_LONG": 1}, 1.5)


def test_what_landed_was_published_and_is_online_says_of_which_run_it_is(browser: Browser) -> None:
    page = browser(Visitor("somebody")).get("/days/2026-03-02").text
    cells = re.findall(r"<td>(?:<code>([^<]+)</code>|–)</td></tr>", page)

    # Feeds by name, of which one landed before there was the column; then the load, then the marts.
    assert [unescape(each) for each in cells] == ["by_hand__landed", "", "asset_triggered__loaded", RUN]


def test_plots_have_the_day_marked(reading: Reading) -> None:
    series = {each.name: each for each in read_day(reading, MARCH_2).series}

    assert {name: each.value for name, each in series.items()} == {
        "MRR in US dollars": 100.25,
        "Active subscriptions": 10,
        "Rows of dim_account": 13,
    }
    assert [dot.words for dot in series["MRR in US dollars"].plot.dots] == ["2026-03-02: 100.2"]


def test_sample_keys_are_for_those_who_may_see_accounts(browser: Browser) -> None:
    viewer, operator = (
        browser(Visitor("somebody", sees_accounts=sees)).get("/days/2026-03-02").text
        for sees in (False, True)
    )

    assert "market is known" in viewer
    assert "a-sampled" not in viewer
    assert "a-sampled" in operator
    assert not {"a-refused", "a-dead"} & {word.strip('&#34;",') for word in operator.split()}


def test_a_run_leads_to_its_day_and_a_task_to_its_step(browser: Browser) -> None:
    client, run = browser(Visitor("somebody")), "scheduled__2026-03-03T00%3A00%3A00%2B00%3A00"

    assert RUN in client.get(f"/dags/daily_marts/runs/{run}").text
    assert "No step of this run" in client.get("/dags/daily_marts/runs/manual__1").text
    assert "daily_marts" in client.get("/dags/content/runs/manual__1").text
    task = client.get(f"/dags/daily_marts/runs/{run}/tasks/build")
    assert (task.status_code, task.headers["location"]) == (307, f"/dags/daily_marts/runs/{run}#step-build")


def test_days_that_are_published_are_listed_the_newest_first(browser: Browser) -> None:
    page = browser(Visitor("somebody")).get("/days").text

    assert page.index("2026-03-02") < page.index("2026-03-01")


def test_a_day_of_which_nothing_is_known_says_so(browser: Browser) -> None:
    page = browser(Visitor("somebody")).get("/days/2026-02-01")

    assert page.status_code == 200
    assert "Nothing has landed that arrived on this day." in page.text


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-02-30", "yesterday"])
def test_a_day_that_there_cannot_be_is_refused_in_a_sentence(browser: Browser, day: str) -> None:
    answer = browser(Visitor("somebody")).get(f"/days/{day}")

    assert (answer.status_code, "Not here" in answer.text, "day: Input should be" in answer.text) == (
        422,
        True,
        True,
    )


def test_before_the_first_run_there_is_nothing_to_show(world: Callable[..., Settings]) -> None:
    browser = browser_of(world("no-day-page"))

    assert "No day has been published yet." in browser(Visitor("somebody")).get("/days").text
    assert browser(Visitor("somebody")).get("/days/2026-03-02").status_code == 200


def test_nobody_sees_a_page_without_logging_in(browser: Browser) -> None:
    answer = browser(None).get("/days/2026-03-02")

    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "/auth/login?next=http://testserver/days/2026-03-02",
    )


def test_pages_need_no_scripts_and_nothing_of_the_internet(browser: Browser) -> None:
    page = browser(Visitor("somebody", sees_accounts=True)).get("/days/2026-03-02")

    assert "<script" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_warehouse_that_does_not_answer_is_a_sentence(settings: Settings) -> None:
    nowhere = {"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 0}
    browser = browser_of(settings.model_copy(update=nowhere))

    answer = browser(Visitor("somebody")).get("/days")

    assert answer.status_code == 503
    assert "docs/runbook.md#service_unavailable" in answer.text
