"""Segments that would do harm online are not published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from loaders.warehouse.client import warehouse_of
from loaders.warehouse.dbt_models import DbtModel
from segue.settings import Settings
from segue.window import RunWindow
from tests.expectations.segment_tables import OFFER, segment_tables
from tests.expectations.test_gate import DAY


@pytest.fixture(scope="module")
def settings(dbt_world: Callable[..., Settings]) -> Settings:
    return dbt_world("segment-gate")


@pytest.fixture(autouse=True)
def audit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """A clean day of the segment marts, made anew for each test; the other marts are not judged here."""
    from expectations import gate
    from expectations.suites import MartSuite, all_suites

    def only_segments(window: RunWindow, models: Mapping[str, DbtModel]) -> list[MartSuite]:
        judged = ("offer_decisions", "offer_segments")
        return [suite for suite in all_suites(window, models) if suite.model in judged]

    monkeypatch.setattr(gate, "all_suites", only_segments)
    warehouse = warehouse_of(settings)
    for dataset in (settings.audit_dataset(DAY), settings.marts_dataset):
        warehouse.ensure_dataset(dataset)
    name = f"{settings.project_id}.{settings.audit_dataset(DAY)}"
    warehouse.run(segment_tables(name))
    return name


def test_a_clean_day_may_be_published(settings: Settings) -> None:
    from expectations.gate import run_suites

    result = run_suites(settings, RunWindow.whole(settings, DAY, DAY))

    assert (result.failures, result.warnings) == ([], [])


YESTERDAY = f"""
create or replace table `{{marts}}.offer_segments` as
select date '2026-03-30' as segment_date, format('a%d', number) as account_id,
    [{OFFER.format(offer="annual-switch", rule="annual_switch")}] as offers
from unnest(generate_array(1, 150)) as number;
"""

DAMAGE = f"""
update `{{audit}}.offer_segments` set offers = array_concat(offers, [
    {OFFER.format(offer="duo-upgrade", rule="duo_upgrade")},
    {OFFER.format(offer="winback-3-months", rule="winback_recent").replace("04-04", "04-01")}
]), suppressed_reason = 'NO_CONSENT' where true;
update `{{audit}}.offer_contents` set is_published = false where entry_id = 'annual-switch';
update `{{audit}}.offer_contents` set content_version = 3 where entry_id = 'stay-discount';
update `{{audit}}.offer_decisions` set decisions = [
    ('duo_upgrade', 1, 'LOST_EXCLUSIVITY', null), ('cancel_save', 1, 'CONTENT_EXPIRED', null)
] where account_id = 'a7';
update `{{audit}}.offer_decisions` set is_globally_held_out = true where mod(length(account_id), 2) = 0;
"""


def test_each_damage_is_found_and_the_critical_ones_stop_the_publication(
    settings: Settings, audit: str
) -> None:
    from expectations.gate import run_suites

    marts = f"{settings.project_id}.{settings.marts_dataset}"
    warehouse_of(settings).run(YESTERDAY.format(marts=marts) + DAMAGE.format(audit=audit))

    result = run_suites(settings, RunWindow.whole(settings, DAY, DAY))

    assert {(found.expectation, found.unexpected_count) for found in result.failures} == {
        ("no account has two offers of one exclusivity group", 1),
        # Unpublished, another version, and never in the content system.
        ("every offer shows a content entry that is published", 3),
        ("every offer is still valid when it goes online", 1),
        ("an account has offers, or some that are held back, or a reason for having none", 1),
        ("every account has one reason code for every active rule", 1),
        # Its group has no winner.
        ("whoever lost its exclusivity group lost it to one offer that can be shown", 1),
        ("the share of held-out accounts is 2.00% within its binomial interval", 1),
    }
    # From 150 accounts to one.
    assert ("no rule's segment changes by more than 50% from one day to the next", 1) in {
        (found.expectation, found.unexpected_count) for found in result.warnings
    }
    warehouse_of(settings).run(f"drop table `{marts}.offer_segments`")


PLACES = """
update `{audit}.offer_decisions` set
    decisions = array(
        select as struct decision.rule_id as rule_id, 1 as rule_version,
            case decision.rule_id
                when 'annual_switch' then '{winner}'
                when 'duo_upgrade' then 'LOST_EXCLUSIVITY'
                else 'NOT_IN_AUDIENCE'
            end as reason_code,
            cast(null as string) as failed_steps
        from unnest(decisions) as decision
    ),
    offers = [struct('annual_switch' as rule_id, {is_control} as is_control)]
where account_id in ({accounts});
"""


def places(audit: str, accounts: str, winner: str, *, is_control: bool) -> str:
    """``annual_switch`` wins the group of these accounts, which ``duo_upgrade`` loses."""
    return PLACES.format(audit=audit, accounts=accounts, winner=winner, is_control=str(is_control).lower())


def takings_found(settings: Settings) -> list[str]:
    """What the gate's warning of places that nobody has any good of says."""
    from expectations.gate import run_suites

    result = run_suites(settings, RunWindow.whole(settings, DAY, DAY))
    assert result.failures == []
    return [
        sample["taking"]
        for found in result.warnings
        if found.expectation.startswith("no rule takes accounts from another and shows nothing")
        for sample in json.loads(found.sample)
    ]


def test_the_gate_says_which_rule_takes_accounts_from_another_and_shows_nothing(
    settings: Settings, audit: str
) -> None:
    control = places(audit, "'a1', 'a2'", "SELECTED", is_control=True)
    capped = places(audit, "'a3'", "RULE_CAP_REACHED", is_control=False)
    warehouse_of(settings).run(control + capped)

    assert sorted(takings_found(settings)) == [
        "annual_switch takes 1 account from duo_upgrade and shows nothing (its cap is reached)",
        "annual_switch takes 2 accounts from duo_upgrade and shows nothing (control arm)",
    ]


def test_the_control_arm_of_an_offer_that_others_are_shown_is_no_reason_to_warn(
    settings: Settings, audit: str
) -> None:
    warehouse_of(settings).run(
        places(audit, "'a1'", "SELECTED", is_control=True)
        + places(audit, "'a2'", "SELECTED", is_control=False)
    )

    assert takings_found(settings) == []


def test_the_interval_for_held_out_accounts_is_the_binomial_one() -> None:
    from expectations.segment_measures import holdout_bounds

    assert holdout_bounds(10_000, 0.02) == (141, 265)
    assert holdout_bounds(1, 0.02) == (0, 1)
    assert holdout_bounds(500, 0) == (0, 0)
