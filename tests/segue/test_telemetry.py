"""Who watches from outside sees each step of a run: one trace, and what the step counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from segue.settings import Settings
from segue.telemetry import MEASURES, present_step, step_of_run
from tests.otlp_collector import Collector, attributes_of, collector

DAY = date(2026, 3, 2)


@pytest.fixture(scope="module")
def watching() -> Iterator[Collector]:
    with collector() as kept:
        yield kept


def fail_after_a_model_has_failed() -> None:
    present_step().past_span("dbt.model", 1_000, 2_000, "error", node="dim_plan")
    raise ZeroDivisionError("account a1@example.com")


def test_steps_of_a_run_are_one_trace_and_a_failed_part_says_so(watching: Collector) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    with step_of_run(settings, "by_hand__1", DAY, "land"), present_step().span("landing.file", rows=3):
        pass
    with pytest.raises(ZeroDivisionError), step_of_run(settings, "by_hand__1", DAY, "build"):
        fail_after_a_model_has_failed()
    assert watching.spans[-1].name == "segue.build"
    assert watching.spans[-1].status.message == "ZeroDivisionError"
    assert [told for _, told in watching.metrics["segue.step.duration"]][-1]["outcome"] == "failed"
    assert "a1@example.com" not in str(watching.spans)
    with step_of_run(settings, "by_hand__2", DAY, "land"):
        pass

    named = {each.name: each for each in watching.spans[:-1]}
    assert set(named) == {"landing.file", "segue.land", "dbt.model", "segue.build"}
    assert len({each.trace_id for each in named.values()}) == 1
    assert named["landing.file"].parent_span_id == named["segue.land"].span_id
    assert named["dbt.model"].parent_span_id == named["segue.build"].span_id
    assert (named["dbt.model"].start_time_unix_nano, named["dbt.model"].end_time_unix_nano) == (1_000, 2_000)
    assert [named[name].status.code for name in ("segue.land", "dbt.model", "segue.build")] == [0, 2, 2]
    assert attributes_of(named["segue.land"]) == {
        "segue.run_id": "by_hand__1", "segue.day": "2026-03-02", "segue.step": "land",
    }  # fmt: skip
    assert watching.spans[-1].trace_id != named["segue.land"].trace_id


def test_a_step_that_another_run_has_started_is_in_a_trace_of_its_own_linked_to_it(
    watching: Collector,
) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    with step_of_run(settings, "scheduled__1", DAY, "publish", dag="daily_marts"):
        published = present_step().trace_parent
    assert published
    with step_of_run(
        settings,
        "asset__1",
        DAY,
        "begin",
        started_by=[published, published, "nonsense"],
        dag="offer_segments",
    ):
        pass

    publish, begin = watching.spans[-2:]
    assert published == f"00-{publish.trace_id.hex()}-{publish.span_id.hex()}-01"
    assert [(link.trace_id, link.span_id) for link in begin.links] == [(publish.trace_id, publish.span_id)]
    assert begin.trace_id != publish.trace_id


def test_the_shards_of_a_load_are_in_one_trace_each_below_its_task(watching: Collector) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    for shard in (0, 1):
        with (
            step_of_run(settings, "asset__2", DAY, "load_shard", dag="offer_segments"),
            present_step().span("load.shard", shard=shard),
        ):
            pass

    spans = watching.spans[-4:]
    tasks = [each for each in spans if each.name == "segue.load_shard"]
    shards = [each for each in spans if each.name == "load.shard"]
    assert len({each.trace_id for each in spans}) == 1
    assert [each.parent_span_id for each in shards] == [each.span_id for each in tasks]
    assert [attributes_of(each)["shard"] for each in shards] == [0, 1]


def test_what_a_step_counts_is_sent_when_it_ends_with_the_step_and_how_it_ended(watching: Collector) -> None:
    settings = Settings(_env_file=None, otlp_endpoint=watching.endpoint)
    watching.metrics.clear()
    with step_of_run(settings, "by_hand__1", DAY, "land", shard=4):
        present_step().count("segue.landing.rows", 2, table="payments", outcome="accepted")
        present_step().count("segue.landing.rows", 3, table="payments", outcome="accepted")

    assert watching.metrics["segue.landing.rows"] == [
        (5.0, {"step": "land", "shard": 4, "table": "payments", "outcome": "accepted"})
    ]
    durations = [(s, told) for s, told in watching.metrics["segue.step.duration"] if "shard" in told]
    assert durations == [(durations[0][0], {"step": "land", "shard": 4, "outcome": "done"})]
    assert 0 < durations[0][0] < 60
    assert set(watching.metrics) <= set(MEASURES)


def test_a_collector_that_is_gone_stops_no_step() -> None:
    with collector() as kept:
        settings = Settings(_env_file=None, otlp_endpoint=kept.endpoint)

    with step_of_run(settings, "by_hand__3", DAY, "land"):
        present_step().count("segue.landing.rows", 1)


def test_without_a_collector_nothing_is_counted_and_nothing_is_traced() -> None:
    with step_of_run(Settings(_env_file=None), "by_hand__4", DAY, "land"), present_step().span("x") as span:
        present_step().count("segue.landing.rows", 1)
        assert not span.get_span_context().is_valid
        assert present_step().trace_parent is None
    assert present_step().amounts == {}
