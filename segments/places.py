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


def moves(rules: Iterable[Rule], planned: str, published: str) -> str:
    """Rows rule_id, offer_id, because, to_rule_id, to_offer_id, is_control, accounts: who loses what.

    ``accounts`` have the offer of ``rule_id`` by ``published`` and not by ``planned``: rows of
    ``offer_decisions``, in parentheses or quoted tables. ``because`` is the reason code of now; null: no
    active rule. They get ``to_rule_id`` instead: what wins the same group, else what they had not
    before; null: nothing.
    """
    return f"""with known as (
    select rule.* from unnest([{_known(rules)}]) as rule
),
planned as (
    select account_id, offers, decisions from {planned}
),
published as (
    select decided.account_id, offer.rule_id, offer.offer_id
    from {published} as decided
    cross join unnest(decided.offers) as offer
),
now as (
    select planned.account_id, offer.rule_id, offer.offer_id, offer.is_control,
        known.exclusivity_group, known.priority, published.rule_id is null as is_gained
    from planned
    cross join unnest(planned.offers) as offer
    inner join known on offer.rule_id = known.rule_id
    left join published
        on planned.account_id = published.account_id and offer.rule_id = published.rule_id
),
reasons as (
    select planned.account_id, decision.rule_id, decision.reason_code
    from planned
    cross join unnest(planned.decisions) as decision
),
lost as (
    select published.account_id, published.rule_id, published.offer_id, reasons.reason_code,
        known.exclusivity_group
    from published
    left join now on published.account_id = now.account_id and published.rule_id = now.rule_id
    left join known on published.rule_id = known.rule_id
    left join reasons on published.account_id = reasons.account_id and published.rule_id = reasons.rule_id
    where now.account_id is null
),
replaced as (
    select lost.rule_id, lost.offer_id, lost.reason_code as because, now.rule_id as to_rule_id,
        now.offer_id as to_offer_id, now.is_control
    from lost
    left join now
        on lost.account_id = now.account_id
        and (now.is_gained or now.exclusivity_group = lost.exclusivity_group)
    where true
    qualify
        row_number() over (
            partition by lost.account_id, lost.rule_id
            order by if(now.exclusivity_group = lost.exclusivity_group, 0, 1), now.priority, now.rule_id
        )
        = 1
)
select rule_id, offer_id, because, to_rule_id, to_offer_id, is_control, count(*) as accounts
from replaced
group by 1, 2, 3, 4, 5, 6"""


def without_one_winner(rules: Iterable[Rule], decisions: str) -> str:
    """Rows decision_date, account_id, exclusivity_group whose qualifying offers have not one winner: none."""
    return f"""with {_placed(rules, decisions, _COMPETING)}
select decision_date, account_id, exclusivity_group
from placed
group by decision_date, account_id, exclusivity_group
having countif(reason_code != '{Reason.LOST_EXCLUSIVITY}') != 1"""


def _placed(rules: Iterable[Rule], decisions: str, reasons: Iterable[Reason]) -> str:
    """Decisions with these reasons, each with its rule's group and priority."""
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
    inner join unnest([{_known(rules)}]) as rule on decision.rule_id = rule.rule_id
    where decision.reason_code in ({listed})
)"""


def _known(rules: Iterable[Rule]) -> str:
    """Elements of an array: what of the rules decides about places."""
    known = [(sql.text(rule.id), sql.text(rule.group), rule.priority) for rule in rules]
    return ", ".join(
        f"struct({name} as rule_id, {group} as exclusivity_group, {priority} as priority)"
        for name, group, priority in known
    )
