"""Expectations on the decisions about offers, and on the segments that go online."""

from __future__ import annotations

from expectations.segment_measures import holdout_expectations, size_expectations
from expectations.suites.suite import WARNING, MartSuite, no_rows, not_null, one_of, unique_key
from segments.places import takings, without_one_winner
from segments.rule import Rule
from segments.source import load_rules
from segue.window import RunWindow

SUPPRESSED_REASONS = ("DELETION_REQUESTED", "LEGAL_BLOCK", "NO_CONSENT", "GLOBAL_HOLDOUT")
"""Why an account that is online has no offer; a test account is not online."""


def segment_suites(window: RunWindow) -> list[MartSuite]:
    """Suites of ``offer_decisions`` and ``offer_segments``."""
    rules = load_rules().active
    return [_decisions(rules), _segments(window, rules)]


def _decisions(rules: tuple[Rule, ...]) -> MartSuite:
    return MartSuite(
        model="offer_decisions",
        key=("decision_date", "account_id"),
        expectations=(
            unique_key("decision_date", "account_id"),
            *not_null("account_id", "market", "is_traced", "is_globally_held_out", "served_until_at"),
            one_of("suppressed_reason", (*SUPPRESSED_REASONS, "TEST_ACCOUNT")),
            no_rows(
                "select decision_date, account_id, array_length(decisions) as decisions from {batch} "
                f"where array_length(decisions) <> {len(rules)}",
                "every account has one reason code for every active rule",
            ),
            no_rows(
                without_one_winner(rules, "{batch}"),
                "whoever lost its exclusivity group lost it to one offer that can be shown",
            ),
            no_rows(
                f"""select format(
                    '%s takes %d account%s from %s and shows nothing (%s)', rule_id, accounts,
                    if(accounts = 1, '', 's'), from_rule_id,
                    if(because = 'cap', 'its cap is reached', 'control arm')
                ) as taking
                from ({takings(rules, "{batch}")}) as taken
                where because = 'cap' or shown_accounts = 0""",
                "no rule takes accounts from another and shows nothing, but for the control arm of a rule "
                "that others are shown",
                severity=WARNING,
            ),
        ),
        measured=holdout_expectations,
    )


def _segments(window: RunWindow, rules: tuple[Rule, ...]) -> MartSuite:
    groups = " ".join(f"when '{rule.id}' then '{rule.group}'" for rule in rules)
    return MartSuite(
        model="offer_segments",
        key=("segment_date", "account_id"),
        expectations=(
            unique_key("segment_date", "account_id"),
            *not_null("account_id", "market", "valid_until_at"),
            one_of("suppressed_reason", SUPPRESSED_REASONS),
            no_rows(
                "select segment_date, account_id, valid_until_at from {batch} "
                "where valid_until_at <= timestamp(date_add(segment_date, interval 1 day))",
                "segments are still valid when they go online, the day after",
            ),
            no_rows(
                "select segment_date, account_id, offer.offer_id, offer.valid_until_at "
                "from {batch}, unnest(offers) as offer "
                "where offer.valid_until_at <= timestamp(date_add(segment_date, interval 1 day))",
                "every offer is still valid when it goes online",
            ),
            no_rows(
                "select segment_date, account_id, suppressed_reason from {batch} "
                "where (array_length(offers) + array_length(held_back) > 0) "
                "= (suppressed_reason is not null)",
                "an account has offers, or some that are held back, or a reason for having none",
            ),
            no_rows(
                "select segment_date, account_id, offer.offer_id from {batch}, unnest(offers) as offer "
                "where offer.is_control",
                "no control arm is among what may be shown",
            ),
            no_rows(
                f"""select segment_date, account_id, exclusivity_group, count(*) as offers
                from (
                    select segment_date, account_id, case offer.rule_id {groups} end as exclusivity_group
                    from {{batch}}, unnest(array_concat(offers, held_back)) as offer
                ) as grouped
                where exclusivity_group is not null
                group by segment_date, account_id, exclusivity_group having count(*) > 1""",
                "no account has two offers of one exclusivity group",
            ),
            no_rows(
                f"""with offered as (
                    select segment_date, account_id, offer.offer_id, offer.content_id,
                        offer.content_version, offer.content_locale
                    from {{batch}}, unnest(array_concat(offers, held_back)) as offer
                )
                select segment_date, account_id, offer_id, content_id, content_locale
                from offered
                left join {window.table("offer_contents")} as content
                    on content.feature_date = segment_date
                    and content.entry_id = content_id
                    and content.locale = content_locale
                    and content.content_version = offered.content_version
                    and content.is_published
                where content.entry_id is null""",
                "every offer shows a content entry that is published",
            ),
            no_rows(
                "select segment_date, account_id, count(*) as offers_of_one_id "
                "from {batch}, unnest(offers) as offer "
                "group by segment_date, account_id, offer.offer_id having count(*) > 1",
                "no account has one offer twice",
                severity=WARNING,
            ),
        ),
        measured=size_expectations,
    )
