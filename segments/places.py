"""Who takes whose place among one day's decisions: GoogleSQL over rows of ``offer_decisions``.

In its exclusivity group, and among the offers that an account may have, an offer takes the place of those
after it. Some that win show nothing: a control arm's (its no-show is what treatment is compared with), and an
offer whose rule has enough accounts already, of higher scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from segments import sql
from segments.rule import Rule
from segments.steps import CONTENT_STEPS, Reason

_COMPETING: Final = (
    Reason.SELECTED,
    Reason.RULE_CAP_REACHED,
    Reason.LOST_EXCLUSIVITY,
    Reason.ACCOUNT_CAP_REACHED,
)


def takings(rules: Iterable[Rule], decisions: str) -> str:
    """Rows rule_id, from_rule_id, because (``control`` or ``cap``), accounts, shown_accounts.

    ``accounts`` qualify for both rules, lost ``from_rule_id`` to a better offer, and get nothing of
    ``rule_id``, which stands before it. ``shown_accounts``: who is shown ``rule_id`` on these days.
    ``decisions``: rows of ``offer_decisions``, in parentheses or a quoted table.
    """
    return f"""with {_placed(rules, decisions, _COMPETING)},
shown as (
    select rule_id, countif(reason_code = '{Reason.SELECTED}' and not is_control) as accounts
    from placed
    group by rule_id
)
select taker.rule_id, loser.rule_id as from_rule_id, if(taker.is_control, 'control', 'cap') as because,
    count(*) as accounts, max(shown.accounts) as shown_accounts
from placed as taker
inner join placed as loser
    on taker.decision_date = loser.decision_date and taker.account_id = loser.account_id
    and (
        loser.reason_code = '{Reason.ACCOUNT_CAP_REACHED}'
        or loser.reason_code = '{Reason.LOST_EXCLUSIVITY}'
        and taker.exclusivity_group = loser.exclusivity_group
    )
inner join shown on taker.rule_id = shown.rule_id
where taker.is_control or taker.reason_code = '{Reason.RULE_CAP_REACHED}'
group by 1, 2, 3"""


def yieldings(rules: Iterable[Rule], decisions: str) -> str:
    """Rows rule_id, to_rule_id, accounts: whom a rule, for its content, leaves to an offer of its group."""
    concerned = (Reason.SELECTED, *CONTENT_STEPS)
    return f"""with {_placed(rules, decisions, concerned)}
select flawed.rule_id, winner.rule_id as to_rule_id, count(*) as accounts
from placed as flawed
inner join placed as winner
    on flawed.decision_date = winner.decision_date and flawed.account_id = winner.account_id
    and flawed.exclusivity_group = winner.exclusivity_group and flawed.priority <= winner.priority
where flawed.reason_code != '{Reason.SELECTED}' and winner.reason_code = '{Reason.SELECTED}'
group by 1, 2"""


def without_one_winner(rules: Iterable[Rule], decisions: str) -> str:
    """Rows decision_date, account_id, exclusivity_group whose qualifying offers have not one winner: none."""
    return f"""with {_placed(rules, decisions, _COMPETING)}
select decision_date, account_id, exclusivity_group
from placed
group by decision_date, account_id, exclusivity_group
having countif(reason_code != '{Reason.LOST_EXCLUSIVITY}') != 1"""


def _placed(rules: Iterable[Rule], decisions: str, reasons: Iterable[Reason]) -> str:
    """Decisions with these reasons, each with its rule's group and priority."""
    known = [(sql.text(rule.id), sql.text(rule.group), rule.priority) for rule in rules]
    rows = ", ".join(
        f"struct({name} as rule_id, {group} as exclusivity_group, {priority} as priority)"
        for name, group, priority in known
    )
    listed = ", ".join(sql.text(reason) for reason in reasons)
    return f"""decided as (select decision_date, account_id, offers, decisions from {decisions}),
placed as (
    select decided.decision_date, decided.account_id, decision.rule_id, decision.reason_code,
        rule.exclusivity_group, rule.priority,
        exists(
            select 1 from unnest(decided.offers) as offer
            where offer.rule_id = decision.rule_id and offer.is_control
        ) as is_control
    from decided
    cross join unnest(decided.decisions) as decision
    inner join unnest([{rows}]) as rule on decision.rule_id = rule.rule_id
    where decision.reason_code in ({listed})
)"""
