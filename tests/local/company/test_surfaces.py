"""What surfaces are certain of, and what follows from what they show."""

from __future__ import annotations

from datetime import date

import pytest

from experiments.registry import load
from local.company.assignments import arm
from local.company.known_features import LifeEvent, Touch, offer_exposures, standing
from local.company.spec import DAY_US
from tests.local.company.conftest import Company

MONTHLY = 0


def life(*events: tuple[str, float]) -> list[LifeEvent]:
    """Events by day, each known an hour later."""
    return [
        LifeEvent(kind, MONTHLY, "voluntary", int(day * DAY_US), int(day * DAY_US) + DAY_US // 24)
        for kind, day in events
    ]


@pytest.mark.parametrize(
    ("end", "state", "is_auto_renew", "ended"),
    [
        (1, None, False, None),
        (2, "trial", True, None),
        (31, "trial", False, None),
        (41, "ended", False, "voluntary"),
        (51, "active", True, "voluntary"),
        (81, "grace", True, "voluntary"),
        (91, "billing_retry", True, "involuntary"),
    ],
)
def test_a_standing_is_what_the_events_so_far_say(
    end: int, state: str | None, is_auto_renew: bool, ended: str | None
) -> None:
    found = standing(
        life(
            ("trial_started", 1.5),
            ("auto_renew_off", 30.5),
            ("expired", 31.5),
            ("reactivated", 50.5),
            ("grace_started", 80.5),
            ("billing_retry_started", 86.5),
        ),
        end * DAY_US,
    )

    assert found is not None
    assert (found.state, found.is_auto_renew, found.end_reason) == (state, is_auto_renew, ended)


def test_what_is_not_simple_or_not_known_yet_is_not_certain() -> None:
    [started] = life(("started", 1.5))
    late = started._replace(arrived=3 * DAY_US)
    other = LifeEvent("expired", MONTHLY, "other", 2 * DAY_US, 2 * DAY_US)

    assert standing([late], 2 * DAY_US) is None
    assert standing([late], 4 * DAY_US) is not None
    assert standing([started, *life(("paused", 1.7))], 2 * DAY_US) is None
    assert standing([started, other], 3 * DAY_US) is None


def test_touches_count_from_their_arrival_for_four_weeks() -> None:
    touches = [Touch("shown", "duo-upgrade", 100, 100), Touch("clicked", "duo-upgrade", 100, 101)]
    shown = {"offer_id": "duo-upgrade", "impressions_7d": 1, "impressions_28d": 1}
    nothing_else = {"last_shown_date": date(1970, 4, 11), "last_converted_date": None}

    assert offer_exposures(touches, 100) == [shown | nothing_else | {"last_clicked_date": None}]
    assert offer_exposures(touches, 107) == [
        shown | nothing_else | {"impressions_7d": 0, "last_clicked_date": date(1970, 4, 11)}
    ]
    assert offer_exposures(touches, 128) == []


def test_controls_are_logged_and_not_shown_but_for_the_known_mistakes(company: Company) -> None:
    shown = company.value(
        "select count(*) from offer_impressions where variant = 'control' and is_shown "
        "and rule_id is not null and impression_id not in (select impression_id from impression_mistakes)"
    )
    no_shows = company.value("select count(*) from offer_impressions where not is_shown")

    assert shown == 0
    assert no_shows > 10
    assert dict(company.rows("select mistake, count(*) from impression_mistakes group by 1")) == dict(
        company.manifest.mistakes
    )
    assert set(company.manifest.mistakes) == {"control_shown", "stale_generation", "wrong_variant"}


def test_a_share_of_the_surfaces_reports_nothing_of_decisions(company: Company) -> None:
    assert (
        company.rows("""
        select rule_id is not null as reports, count(distinct account_id) > 50, count(*) > 200,
            bool_and((decision_id is not null) = (rule_id is not null)
                and (generation is not null) = (rule_id is not null)
                and (is_shown is not null) = (rule_id is not null))
        from offer_impressions where experiment_id is null or rule_id is not null group by 1 order by 1""")
        == [
            (False, True, True, True),
            (True, True, True, True),
        ]
    )


def test_what_is_not_shown_is_not_clicked(company: Company) -> None:
    assert (
        company.value("""
        select count(*) from offer_clicks inner join offer_impressions using (impression_id)
        where not is_shown""")
        == 0
    )


def test_what_is_bought_where_decisions_are_reported_was_shown_by_one(large_company: Company) -> None:
    led = large_company.rows("""
        with bought as (
            select checkout.account_id, impression.rule_id is not null as is_reported
            from checkouts as checkout
            inner join offer_clicks as click using (click_id)
            inner join offer_impressions as impression on click.impression_id = impression.impression_id
            where result = 'completed' and (rule_id is not null or experiment_id is null)
        ), reporting as (select distinct account_id from offer_impressions where rule_id is not null)
        select account_id in (from reporting) as reports, is_reported, count(*) > 5 from bought
        group by 1, 2 order by 1, 2""")

    assert led == [(False, False, True), (True, True, True)]


def test_assignments_are_what_the_declared_salt_says(company: Company) -> None:
    declared = load().experiments["trial-length-2026"]
    assigned = company.rows("select distinct account_id, variant, salt_version from experiment_assignments")

    assert {(variant, version) for _, variant, version in assigned} == {("control", 2), ("thirty_days", 2)}
    assert all(declared.variants[arm(declared, account)].name == variant for account, variant, _ in assigned)
