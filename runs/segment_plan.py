"""What the rules in the working copy would change, against yesterday's published features.

Runs the compiled statement over the published features of one day, as the build would, and compares its
offers with the published ones of that day. Nothing is published.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final
from uuid import uuid4

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse, warehouse_of
from runs.plan_effects import ContentFlaw, Move, Overlap, Plan, RulePlan, Taking, Yielding
from runs.rule_unknowns import unknowns
from segments.compiler import compile_statement
from segments.content import arm_entries, by_entry, content_flaw
from segments.places import moves, takings, yieldings
from segments.source import RuleBook
from segments.steps import COMPETITION_STEPS, CONTENT_STEPS, Reason
from segue.errors import SegueError
from segue.settings import Settings

FEATURES_TABLE = "fct_account_features"
DECISIONS_TABLE = "offer_decisions"
CONTENTS_TABLE = "offer_contents"
_SCRATCH_HOURS: Final = 1


class NothingToPlanError(SegueError):
    """No published features to judge rules on."""

    code = "nothing_to_plan"


def newest_features(warehouse: Warehouse) -> date:
    """The newest day with published features.

    Raises:
        NothingToPlanError: there is none.
    """
    settings = warehouse.settings
    table = f"{settings.project_id}.{settings.marts_dataset}.{FEATURES_TABLE}"
    found: date | None = None
    if warehouse.find_table(table) is not None:
        rows = warehouse.run(
            f"select max(feature_date) as day from `{table}` "
            f"where feature_date >= date '{settings.history_start_date}'",
        )
        found = next(iter(rows)).day
    if found is None:
        raise NothingToPlanError(f"{table} has no published day: build one first")
    return found


def plan(settings: Settings, book: RuleBook, day: date | None = None) -> Plan:
    """The effect of ``book`` on the accounts of ``day``, by default the newest published one.

    Raises:
        NothingToPlanError: no features are published, or none of the day.
        StatementTooLongError, WarehouseError: the rules cannot be compiled or judged.
    """
    warehouse = warehouse_of(settings)
    day = day or newest_features(warehouse)
    marts = f"{settings.project_id}.{settings.marts_dataset}"
    scratch = f"{settings.project_id}.{settings.ops_dataset}.segments_plan_{uuid4().hex[:12]}"
    statement = compile_statement(
        book, f"`{marts}.{FEATURES_TABLE}`", f"`{marts}.{CONTENTS_TABLE}`", f"feature_date = date '{day}'"
    )
    # Should nobody be left to drop it: it holds accounts.
    expires = f"timestamp_add(current_timestamp(), interval {_SCRATCH_HOURS} hour)"
    warehouse.run(f"create table `{scratch}` options (expiration_timestamp = {expires}) as\n{statement}")
    try:
        return _compare(warehouse, book, day, scratch, f"{marts}.{DECISIONS_TABLE}")
    finally:
        warehouse.run(f"drop table if exists `{scratch}`")


def _compare(warehouse: Warehouse, book: RuleBook, day: date, planned: str, published: str) -> Plan:
    def rows(sql: str) -> list[bigquery.Row]:
        return list(warehouse.run(sql))

    before = f"`{published}` where decision_date = date '{day}'"
    [totals] = rows(
        f"select count(*) as accounts, countif(array_length(offers) > 0) as with_offers, "
        f"(select countif(array_length(offers) > 0) from {before}) as with_offers_before "
        f"from `{planned}`"
    )
    changes = {row.rule_id: row for row in rows(_changes_sql(planned, before))}
    reasons: dict[str, dict[str, int]] = {}
    for row in rows(
        f"select decision.rule_id, decision.reason_code, count(*) as accounts "
        f"from `{planned}` cross join unnest(decisions) as decision group by 1, 2"
    ):
        reasons.setdefault(row.rule_id, {})[row.reason_code] = row.accounts
    groups = {rule.id: rule.group for rule in book.active}
    overlaps = tuple(
        Overlap(
            row.rule_id, row.other_rule_id, row.accounts, groups[row.rule_id] == groups[row.other_rule_id]
        )
        for row in rows(_overlaps_sql(planned))
    )
    contents = known_contents(warehouse, day)
    if not totals.accounts:
        raise NothingToPlanError(f"{day} has no published features: build it first, or leave --day out")
    return Plan(
        day=day,
        accounts=totals.accounts,
        with_offers=int(totals.with_offers),
        with_offers_before=int(totals.with_offers_before or 0),
        rules=tuple(_rule_plans(book, day, changes, reasons)),
        overlaps=overlaps,
        moves=tuple(
            Move(
                row.rule_id,
                row.offer_id,
                row.because,
                row.to_rule_id,
                row.to_offer_id,
                is_shown=row.to_rule_id is not None and not row.is_control,
                accounts=row.accounts,
            )
            for row in rows(
                f"{moves(book.active, f'`{planned}`', f'(select * from {before})')} "
                "order by accounts desc, 1, 2, 3, 4"
            )
        ),
        takings=tuple(
            Taking(row.rule_id, row.from_rule_id, row.accounts, row.because)
            for row in rows(f"{takings(book.active, f'`{planned}`')} order by accounts desc, 1, 2, 3")
        ),
        yieldings=tuple(
            Yielding(row.rule_id, row.to_rule_id, row.accounts)
            for row in rows(f"{yieldings(book.active, f'`{planned}`')} order by accounts desc, 1, 2")
        ),
        contents=tuple(_content_flaws(contents, book, day)),
        unknowns=tuple(unknowns(warehouse, book, day, contents)),
    )


def _changes_sql(planned: str, before: str) -> str:
    return f"""with planned as (
    select account_id, offer.rule_id, offer.rule_version, offer.is_control
    from `{planned}` cross join unnest(offers) as offer
), published as (
    select account_id, offer.rule_id, offer.rule_version
    from (select account_id, offers from {before}) as decided cross join unnest(decided.offers) as offer
)
select coalesce(planned.rule_id, published.rule_id) as rule_id,
    max(published.rule_version) as version_before,
    count(planned.account_id) as now,
    countif(planned.is_control) as control,
    count(published.account_id) as before,
    countif(published.account_id is null) as gained,
    countif(planned.account_id is null) as lost
from planned
full outer join published on planned.account_id = published.account_id and planned.rule_id = published.rule_id
group by 1"""


def _overlaps_sql(planned: str) -> str:
    listed = ", ".join(f"'{reason}'" for reason in (*COMPETITION_STEPS, Reason.SELECTED))
    return f"""with qualified as (
    select account_id, decision.rule_id
    from `{planned}` cross join unnest(decisions) as decision
    where decision.reason_code in ({listed})
)
select one.rule_id, other.rule_id as other_rule_id, count(*) as accounts
from qualified as one
inner join qualified as other on one.account_id = other.account_id and one.rule_id < other.rule_id
group by 1, 2
order by accounts desc, 1, 2"""


def _rule_plans(
    book: RuleBook, day: date, changes: dict[str, bigquery.Row], reasons: dict[str, dict[str, int]]
) -> Iterable[RulePlan]:
    active = {rule.id: rule for rule in book.active}
    for rule_id in sorted({*active, *changes}):
        rule, change, found = active.get(rule_id), changes.get(rule_id), reasons.get(rule_id, {})
        competing = {reason.value: found.get(reason.value, 0) for reason in COMPETITION_STEPS}
        refused = {reason.value: found[reason] for reason in CONTENT_STEPS if found.get(reason)}
        now = int(change.now) if change else 0
        qualifying = now + sum(competing.values())
        remark = None
        if rule is None:
            remark = "no active rule any more"
        elif rule.validity.to_date is not None and rule.validity.to_date <= day:
            remark = f"can never win: its validity ended on {rule.validity.to_date}"
        elif qualifying == 0 and refused:
            reason = max(refused, key=lambda name: refused[name])
            remark = f"can never win: nobody can be shown its content, mostly for {reason}"
        elif qualifying == 0:
            remark = "can never win: nobody qualifies"
        elif now == 0:
            reason = max(competing, key=lambda name: competing[name])
            remark = f"can never win: whoever qualifies is refused, mostly by {reason}"
        yield RulePlan(
            rule_id=rule_id,
            version=rule.version if rule else None,
            version_before=change.version_before if change else None,
            qualifying=qualifying,
            now=now,
            control=int(change.control) if change else 0,
            before=int(change.before) if change else 0,
            gained=int(change.gained) if change else 0,
            lost=int(change.lost) if change else 0,
            content_refusals=refused,
            remark=remark,
        )


def _content_flaws(contents: list[dict[str, Any]], book: RuleBook, day: date) -> Iterable[ContentFlaw]:
    """Entries without a text in the fallback locale: accounts of other languages get nothing either."""
    known = by_entry(contents)
    for rule in book.active:
        for entry in arm_entries(rule):
            locale = rule.content.fallback_locale
            found = known.get((entry, locale))
            flaw = (
                Reason.CONTENT_MISSING
                if found is None
                else content_flaw(found, rule.content.min_version, day)
            )
            if flaw is not None:
                yield ContentFlaw(rule.id, entry, locale, flaw.value)


def known_contents(warehouse: Warehouse, day: date) -> list[dict[str, Any]]:
    """Rows of ``offer_contents`` of the day."""
    settings = warehouse.settings
    table = f"{settings.project_id}.{settings.marts_dataset}.{CONTENTS_TABLE}"
    rows = warehouse.run(f"select * from `{table}` where feature_date = date '{day}'")
    return [dict(row) for row in rows]


def account_features(warehouse: Warehouse, day: date, account_id: str) -> dict[str, Any] | None:
    """The account's row of ``fct_account_features`` of the day; None when it has none."""
    rows = _account_rows(warehouse, FEATURES_TABLE, "*", "feature_date", day, account_id)
    return next((dict(row) for row in rows), None)


def published_reasons(warehouse: Warehouse, day: date, account_id: str) -> dict[str, str]:
    """Rule id → published reason code of the account on the day."""
    rows = _account_rows(warehouse, DECISIONS_TABLE, "decisions", "decision_date", day, account_id)
    return {item["rule_id"]: item["reason_code"] for row in rows for item in row["decisions"]}


def _account_rows(
    warehouse: Warehouse,
    mart: str,
    columns: str,
    day_column: str,
    day: date,
    account_id: str,
) -> Iterable[bigquery.Row]:
    """The account's rows of a published mart on the day; the id, which anyone may type, is a parameter."""
    settings = warehouse.settings
    rows: Iterable[bigquery.Row] = warehouse.run(
        f"select {columns} from `{settings.project_id}.{settings.marts_dataset}.{mart}` "
        f"where {day_column} = date '{day}' and account_id = @account_id",
        parameters=[bigquery.ScalarQueryParameter("account_id", "STRING", account_id)],
    )
    return rows
