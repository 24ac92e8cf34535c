"""An incident is told one time, whoever finds it and however often, and so is that it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from loaders.alerts.alert import AlertNotSentError
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.incidents import Incident, IncidentTable
from loaders.warehouse.ops import append_rows
from runs import deadlines, task_alerts
from runs.deadlines import late_segments, missed, segments_due_at
from runs.incidents import close_incidents, raise_incidents, raise_or_tell, recovered, tell
from runs.restate_range import tell_published
from runs.task_alerts import day_of_run, days_of_task, task_failed
from segue.logs import lines_of
from segue.settings import Settings
from tests.loaders.alerts.receivers import Webhooks, webhooks

DAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 27, 0, 41, tzinfo=UTC)
INCIDENT = Incident(
    day=DAY,
    cause="landing_refused",
    what="daily_marts.land has failed: landing_refused: fx_rates/2026-11-26: no file has arrived",
    since=NOW,
    ends_with="published",
    runbook="landing_refused",
    owner="subscriptions-data",
    still_served="marts up to 2026-11-25",
)


@pytest.fixture(scope="module")
def project(world: Callable[..., Settings]) -> Settings:
    return world("incidents", docs_url="https://docs.example", ui_url="https://airflow.example/")


@pytest.fixture
def settings(project: Settings) -> Settings:
    """Without incidents of other tests."""
    IncidentTable(warehouse_of(project)).ensure()
    warehouse_of(project).run("delete from ops.incidents where run_date >= date '2020-01-01'")
    return project


@pytest.fixture
def slack() -> Iterator[Webhooks]:
    with webhooks() as received:
        yield received


def told_by(settings: Settings, slack: Webhooks) -> Settings:
    return settings.model_copy(update={"alert_slack_url": SimpleSecret(slack.url)})


class SimpleSecret:
    """A secret as the settings keep one."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value


def titles(slack: Webhooks) -> list[str]:
    return [body["text"] for body in slack.bodies]


def rows(settings: Settings) -> list[tuple[Any, ...]]:
    found = warehouse_of(settings).run(
        "select incident_id, opened_told, closed_at is not null, closed_told, claimed_by from ops.incidents "
        "order by opened_at"
    )
    return [tuple(row.values()) for row in found]


def test_retries_and_other_tasks_with_the_same_cause_are_one_alert_and_a_recovery_closes_it(
    settings: Settings, slack: Webhooks
) -> None:
    telling = told_by(settings, slack)

    assert raise_incidents(telling, [INCIDENT]) == [INCIDENT]
    assert raise_incidents(telling, [replace(INCIDENT, what="again"), INCIDENT]) == []
    assert [each.cause for each in close_incidents(telling, "published", "it was published")] == [
        "landing_refused"
    ]
    assert close_incidents(telling, "published", "it was published") == []

    assert titles(slack) == [
        "Segue 2026-11-26: landing_refused",
        "Segue 2026-11-26: over: landing_refused",
    ]
    text = slack.bodies[0]["blocks"][0]["text"]["text"]
    assert "https://docs.example/runbook/#landing_refused" in text
    assert "https://airflow.example/segue/days/2026-11-26" in text
    assert rows(settings) == [
        ("2026-11-26:landing_refused:published#1", '["slack"]', True, '["slack"]', None)
    ]

    # It has come back: another one.
    assert raise_incidents(telling, [INCIDENT]) == [INCIDENT]
    assert [row[0] for row in rows(settings)] == [
        "2026-11-26:landing_refused:published#1",
        "2026-11-26:landing_refused:published#2",
    ]


def test_an_incident_names_the_run_that_has_found_it(settings: Settings, slack: Webhooks) -> None:
    with lines_of("scheduled__1", DAY, "land"):
        raise_incidents(told_by(settings, slack), [INCIDENT])

    [row] = warehouse_of(settings).run("select run_id from ops.incidents")
    assert row.run_id == "scheduled__1"


def test_another_day_or_another_cause_is_another_incident(settings: Settings, slack: Webhooks) -> None:
    others = [replace(INCIDENT, cause="warehouse"), replace(INCIDENT, day=DAY + timedelta(days=1))]

    raise_incidents(told_by(settings, slack), [INCIDENT, *others])

    assert sorted(titles(slack)) == [
        "Segue 2026-11-26: landing_refused",
        "Segue 2026-11-26: warehouse",
        "Segue 2026-11-27: landing_refused",
    ]


def test_a_recovery_closes_what_it_ends_and_nothing_else(settings: Settings) -> None:
    tomorrow = replace(INCIDENT, day=DAY + timedelta(days=1))
    offline = replace(INCIDENT, cause="segments_late", ends_with="online")
    raise_incidents(settings, [INCIDENT, tomorrow, offline])

    recovered(settings, "published", "published", lambda each: each.day <= DAY)

    assert [(row[0], row[2]) for row in rows(settings)] == [
        ("2026-11-26:landing_refused:published#1", True),
        ("2026-11-27:landing_refused:published#1", False),
        ("2026-11-26:segments_late:online#1", False),
    ]


def test_what_is_wrong_of_several_days_is_over_when_all_of_them_are(settings: Settings) -> None:
    january = replace(INCIDENT, day=date(2026, 1, 31), first_day=date(2026, 1, 1))
    raise_incidents(settings, [january])

    def closed_by(first: date, last: date) -> bool:
        return bool(close_incidents(settings, "published", "published", lambda x: x.lies_within(first, last)))

    assert [each.incident for each in IncidentTable(warehouse_of(settings)).live()] == [january]
    assert [closed_by(date(2026, 1, 20), date(2026, 2, 10)), closed_by(january.day, january.day)] == [
        False
    ] * 2
    assert closed_by(date(2025, 12, 31), date(2026, 1, 31))


def test_days_that_begin_otherwise_are_another_incident_though_they_end_alike(
    settings: Settings, slack: Webhooks
) -> None:
    of_days = [replace(INCIDENT, first_day=DAY - timedelta(days=days)) for days in (0, 3, 9)]

    raise_incidents(told_by(settings, slack), of_days)

    assert [row[0] for row in rows(settings)] == [
        "2026-11-26:landing_refused:published#1",
        "2026-11-23..2026-11-26:landing_refused:published#1",
        "2026-11-17..2026-11-26:landing_refused:published#1",
    ]
    assert len(slack.bodies) == 3


def test_of_many_who_find_it_at_once_one_tells(settings: Settings, slack: Webhooks) -> None:
    telling = told_by(settings, slack)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: raise_incidents(telling, [INCIDENT]), range(4)))
    # However many have recorded it: all that see the recovery say so once.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: close_incidents(telling, "published", "published"), range(4)))

    assert titles(slack) == [
        "Segue 2026-11-26: landing_refused",
        "Segue 2026-11-26: over: landing_refused",
    ]


def test_what_was_recorded_twice_is_told_once(settings: Settings, slack: Webhooks) -> None:
    # BigQuery's INSERT sees no other that has not ended.
    raise_incidents(settings, [INCIDENT])
    warehouse_of(settings).run("insert into ops.incidents select * from ops.incidents")

    assert tell(told_by(settings, slack)) == {"2026-11-26:landing_refused:published#1"}
    assert tell(told_by(settings, slack)) == set()
    assert len(slack.bodies) == 1


def test_a_channel_that_did_not_take_it_is_tried_by_the_next_call_and_others_are_not_told_again(
    settings: Settings, slack: Webhooks
) -> None:
    telling = told_by(settings, slack)
    broken = telling.model_copy(update={"alert_callback": f"{__name__}:fail"})
    mended = telling.model_copy(update={"alert_callback": f"{__name__}:note_down"})

    with pytest.raises(AlertNotSentError, match=r"fail: OSError$"):
        raise_incidents(broken, [INCIDENT])
    assert rows(settings) == [("2026-11-26:landing_refused:published#1", '["slack"]', False, "[]", None)]

    assert tell(mended) == {"2026-11-26:landing_refused:published#1"}
    assert (len(slack.bodies), len(TOLD)) == (1, 1)


def test_what_a_channel_refuses_for_good_does_not_stop_who_finds_something_else(
    settings: Settings, slack: Webhooks
) -> None:
    slack.answers[:] = [(400, "invalid_blocks"), (400, "invalid_blocks"), (200, "ok")]
    telling = told_by(settings, slack)
    other = replace(INCIDENT, day=DAY + timedelta(days=1))

    with pytest.raises(AlertNotSentError, match="invalid_blocks"):
        raise_incidents(telling, [INCIDENT])
    assert raise_incidents(telling, [other]) == [other]

    slack.answers[:] = [(400, "invalid_blocks")]
    with pytest.raises(AlertNotSentError, match="invalid_blocks"):
        raise_incidents(telling, [INCIDENT])
    # Of what nobody was told to be there nobody is told that it is over.
    assert close_incidents(telling, "published", "published", lambda each: each.day == DAY) == [INCIDENT]


TOLD: list[dict[str, Any]] = []


def note_down(alert: dict[str, Any]) -> None:
    TOLD.append(alert)


def fail(_: dict[str, Any]) -> None:
    raise OSError("no network")


def test_while_somebody_tells_nobody_else_does_and_the_dead_are_not_waited_for(
    settings: Settings, slack: Webhooks
) -> None:
    raise_incidents(settings, [INCIDENT])
    table = IncidentTable(warehouse_of(settings))
    [claimed] = table.claim(["2026-11-26:landing_refused:published#1"])

    assert tell(told_by(settings, slack)) == set()
    warehouse_of(settings).run(
        "update ops.incidents set claimed_at = timestamp_sub(claimed_at, interval 11 minute) "
        "where run_date >= date '2020-01-01'"
    )
    assert tell(told_by(settings, slack)) == {claimed.incident_id}


def test_without_a_warehouse_somebody_is_told_all_the_same(settings: Settings, slack: Webhooks) -> None:
    away = told_by(settings, slack).model_copy(
        update={"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 0}
    )

    raise_or_tell(away, INCIDENT)

    assert titles(slack) == ["Segue 2026-11-26: landing_refused"]


def test_a_success_stays_one_when_its_recovery_cannot_be_told(settings: Settings) -> None:
    away = settings.model_copy(
        update={"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 0}
    )

    recovered(away, "published", "published")


def test_a_success_stays_one_when_telling_of_it_has_a_fault(settings: Settings) -> None:
    def is_over(incident: Incident) -> bool:
        raise KeyError(incident.cause)

    raise_incidents(settings, [INCIDENT])
    recovered(settings, "published", "published", is_over)

    assert [row[2] for row in rows(settings)] == [False]


def test_the_same_code_in_two_dags_is_two_incidents_of_which_each_has_its_own_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_alerts, "get_settings", lambda: settings)
    said = RuntimeError("warehouse: no answer\nsee docs/runbook.md#warehouse")

    for dag in ("model_watch", "train_models", "daily_marts", "offer_segments", "day_watch"):
        task_failed(failed(said, ti=SimpleNamespace(dag_id=dag, task_id="any")))
    recovered(settings, "published", "published")

    live = IncidentTable(warehouse_of(settings)).live()
    assert {each.incident_id: each.is_open for each in live} == {
        "2026-11-26:warehouse:measured#1": True,
        "2026-11-26:warehouse:trained#1": True,
        "2026-11-26:warehouse:published#1": False,
        "2026-11-26:warehouse:online#1": True,
        "2026-11-26:warehouse:watched#1": True,
    }


def test_a_task_that_has_failed_is_not_joined_by_its_alert(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_alerts, "get_settings", lambda: settings)

    task_failed(failed(RuntimeError(SAID), params={"end_date": "tomorrow"}))

    assert rows(settings) == []


SAID = """validation_failed: 2 critical expectation(s) failed for 2026-11-26..2026-11-26
[critical] fct_trial: outcome
hint: look
see docs/runbook.md#validation_failed"""


def failed(error: Exception | str, task: str = "validate", **context: Any) -> dict[str, Any]:
    """What Airflow gives a callback."""
    start = datetime(2026, 11, 26, tzinfo=UTC)
    ti = SimpleNamespace(dag_id="daily_marts", task_id=task)
    return {"ti": ti, "exception": error, "data_interval_start": start, "params": {}} | context


def test_a_task_that_failed_for_good_is_an_incident_of_its_code_not_of_the_task(
    settings: Settings, slack: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_alerts, "get_settings", lambda: told_by(settings, slack))

    task_failed(failed(RuntimeError(SAID)))
    task_failed(failed(RuntimeError(SAID), task="publish"))
    task_failed(failed(KeyError("a1@example.com")))
    task_failed(failed("Task exited with -9", task="build"))

    live = IncidentTable(warehouse_of(settings)).live()
    assert [(each.incident.cause, each.incident.runbook, each.incident.ends_with) for each in live] == [
        ("validation_failed", "validation_failed", "published"),
        ("fault:daily_marts.validate", "fault", "published"),
        ("fault:daily_marts.build", "fault", "published"),
    ]
    assert [each.incident.what for each in live] == [
        "daily_marts.validate has failed: validation_failed: 2 critical expectation(s) failed for "
        "2026-11-26..2026-11-26",
        # The text of a fault may show what it was given.
        "daily_marts.validate has failed: KeyError; its log has more",
        "daily_marts.build has failed: it was killed, or timed out; its log has more",
    ]
    assert len(slack.bodies) == 3


@pytest.mark.parametrize(
    ("context", "day"),
    [
        ({}, date(2026, 11, 26)),
        ({"params": {"start_date": "2026-01-01", "end_date": "2026-01-31"}}, date(2026, 1, 31)),
        ({"params": {"segment_date": "2026-03-02"}}, date(2026, 3, 2)),
        (
            {
                "data_interval_start": None,
                "params": {"segment_date": None},
                "triggering_asset_events": {
                    "segments": [
                        SimpleNamespace(extra={"segment_date": "2026-11-24"}),
                        SimpleNamespace(extra={"segment_date": "2026-11-25"}),
                    ]
                },
            },
            date(2026, 11, 25),
        ),
    ],
)
def test_a_run_is_about_the_day_that_was_asked_for(context: dict[str, Any], day: date) -> None:
    assert day_of_run(failed("", **context)) == day


RANGE = {"from_date": "2026-01-01", "to_date": "2026-03-10", "chunk_days": 31}


@pytest.mark.parametrize(
    ("context", "first", "last"),
    [
        ({}, date(2026, 11, 26), date(2026, 11, 26)),
        ({"params": {"segment_date": "2026-03-02"}}, date(2026, 3, 2), date(2026, 3, 2)),
        (
            {"params": {"start_date": "2026-01-01", "end_date": "2026-01-31"}},
            date(2026, 1, 1),
            date(2026, 1, 31),
        ),
        # Refused: it would not be over before more days than were meant are published.
        (
            {"params": {"start_date": "2026-01-31", "end_date": "2026-01-01"}},
            date(2026, 1, 1),
            date(2026, 1, 1),
        ),
        # One end alone names no days, and is refused.
        ({"params": {"start_date": "2026-01-31", "end_date": None}}, date(2026, 11, 26), date(2026, 11, 26)),
        ({"params": RANGE, "ti": SimpleNamespace(map_index=-1)}, date(2026, 1, 1), date(2026, 3, 10)),
        ({"params": RANGE, "ti": SimpleNamespace(map_index=0)}, date(2026, 1, 1), date(2026, 1, 31)),
        ({"params": RANGE, "ti": SimpleNamespace(map_index=2)}, date(2026, 3, 4), date(2026, 3, 10)),
    ],
)
def test_a_task_is_about_the_days_of_its_run_or_of_its_chunk(
    context: dict[str, Any], first: date, last: date
) -> None:
    assert days_of_task(failed("", **context)) == (first, last)


def test_days_that_were_refused_are_not_those_that_end_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_alerts, "get_settings", lambda: settings)
    params = {"start_date": "1999-01-01", "end_date": "2026-01-31"}
    refused = RuntimeError("impossible_days: before all\nsee docs/runbook.md#impossible_days")

    task_failed(failed(refused, task="land", params=params))

    assert still_open(settings) == ["2026-01-31:impossible_days:published#1"]


@pytest.fixture
def two_chunks_failed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a range of three chunks the first and the last."""
    monkeypatch.setattr(task_alerts, "get_settings", lambda: settings)
    for index in (0, 2):
        task = SimpleNamespace(dag_id="restate_range", task_id="chunk.build", map_index=index)
        task_failed(
            failed(RuntimeError("build_failed: no\nsee docs/runbook.md#build_failed"), params=RANGE, ti=task)
        )
    return settings


def still_open(settings: Settings) -> list[str]:
    return [each.incident_id for each in IncidentTable(warehouse_of(settings)).live() if each.is_open]


JANUARY = "2026-01-01..2026-01-31:build_failed:restated#1"
MARCH = "2026-03-04..2026-03-10:build_failed:restated#1"


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (date(2026, 3, 1), date(2026, 4, 10), [JANUARY]),
        (date(2026, 1, 1), date(2026, 1, 31), [MARCH]),
        (date(2026, 1, 1), date(2026, 3, 10), []),
        (date(2026, 1, 15), date(2026, 3, 9), [JANUARY, MARCH]),
    ],
)
def test_chunks_that_failed_are_over_when_a_range_that_holds_them_is_published(
    two_chunks_failed: Settings, first: date, last: date, left: list[str]
) -> None:
    assert still_open(two_chunks_failed) == [JANUARY, MARCH]

    tell_published(two_chunks_failed, first, last, asked_at=NOW)

    assert still_open(two_chunks_failed) == left


def test_a_run_of_many_days_that_had_failed_is_over_when_they_are_published_in_chunks(
    settings: Settings,
) -> None:
    many = replace(INCIDENT, day=date(2026, 3, 10), first_day=date(2026, 1, 1))
    # Found while chunks were being built, maybe after the one that its days are in.
    newer = replace(many, cause="warehouse", since=NOW + timedelta(hours=2))
    raise_incidents(settings, [many, newer])

    tell_published(settings, date(2026, 1, 1), date(2026, 3, 10), asked_at=NOW + timedelta(hours=1))

    assert still_open(settings) == ["2026-01-01..2026-03-10:warehouse:published#1"]


DUE = datetime(2026, 11, 27, 6, tzinfo=UTC)


def test_marts_that_are_not_published_by_their_deadline_are_an_incident_that_names_what_is_known(
    settings: Settings,
) -> None:
    raise_incidents(settings, [INCIDENT])

    late = missed(settings, DAY, DUE, DUE + timedelta(seconds=9), is_online=False)

    assert late is not None
    assert (late.cause, late.since, late.ends_with) == ("marts_late", DUE, "published")
    assert late.what == (
        "The marts of 2026-11-26 are not published, due at 2026-11-27 06:00 UTC; "
        "known of the day: landing_refused"
    )
    # Their segments are late for the same reason: no second alert.
    assert missed(settings, DAY, DUE, DUE, is_online=True) is None


def test_what_airflow_calls_at_a_deadline_tells_also_when_nobody_can_look(
    settings: Settings, slack: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = today - timedelta(days=1)
    context = {
        "dag_run": {"logical_date": day.isoformat(), "run_id": "scheduled"},
        "deadline": {"id": "…", "deadline_time": today},
    }
    away = {"bigquery_endpoint": "http://127.0.0.1:9", "bigquery_retry_seconds": 0}
    telling = told_by(settings, slack)
    for current in (telling, telling, telling.model_copy(update=away)):
        monkeypatch.setattr(deadlines, "get_settings", lambda current=current: current)
        deadlines.marts_due(context)

    # The second found nothing new; the third could not look it up, and tells rather twice than never.
    assert titles(slack) == [f"Segue {day:%Y-%m-%d}: marts_late"] * 2
    assert "service_unavailable" in slack.bodies[1]["blocks"][0]["text"]["text"]


def test_a_run_that_repeats_the_past_has_missed_nothing(settings: Settings) -> None:
    assert missed(settings, DAY, DUE, DUE + timedelta(days=3), is_online=False) is None


def test_the_history_of_a_day_that_a_later_run_published_makes_no_marts(settings: Settings) -> None:
    day = date(2026, 10, 2)
    history = {"run_date": date(2026, 10, 3), "publication_id": "h", "partition_date": day, "row_count": 9}
    kept = history | {"mart": "int_subscriptions", "code_version": "a digest", "published_at": NOW}
    append_rows(warehouse_of(settings), "publications", [kept])

    assert missed(settings, day, DUE, DUE, is_online=False) is not None


def test_marts_that_are_published_have_missed_nothing(settings: Settings) -> None:
    day = date(2026, 10, 1)
    published = {"run_date": day, "publication_id": "p", "partition_date": day, "mart": "offer_segments"}
    append_rows(warehouse_of(settings), "publications", [published | {"row_count": 3, "published_at": NOW}])

    assert missed(settings, day, DUE, DUE, is_online=False) is None


@pytest.mark.parametrize(
    ("published", "due"),
    [
        ("2026-11-27 01:00", "2026-11-27 06:30"),
        ("2026-11-27 06:20", "2026-11-27 06:50"),
        ("2026-11-27 14:00", "2026-11-27 14:30"),
    ],
)
def test_segments_of_marts_that_come_late_are_due_half_an_hour_after_them(published: str, due: str) -> None:
    settings = Settings(_env_file=None, marts_deadline_hours=6, online_deadline_hours=6.5)

    found = segments_due_at(settings, DAY, datetime.fromisoformat(f"{published}+00:00"))

    assert f"{found:%Y-%m-%d %H:%M}" == due


def test_segments_are_late_also_when_their_marts_were_not_there_at_the_deadline(settings: Settings) -> None:
    day, at = date(2026, 10, 2), datetime(2026, 10, 3, 14, tzinfo=UTC)
    published = {"run_date": day, "publication_id": "q", "partition_date": day, "mart": "offer_segments"}
    assert late_segments(settings, day, at) is None

    for again in (at, at + timedelta(hours=3)):
        rows_of = published | {"row_count": 3, "published_at": again}
        append_rows(warehouse_of(settings), "publications", [rows_of])

    assert late_segments(settings, day, at + timedelta(minutes=29)) is None
    late = late_segments(settings, day, at + timedelta(minutes=30))
    assert late is not None
    assert late.key == "2026-10-02:segments_late:online"
    assert late.what.startswith("The segments of 2026-10-02 are not online, due at 2026-10-03 14:30 UTC; ")
    assert late_segments(settings, day, at + timedelta(days=3)) is None
