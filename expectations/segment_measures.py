"""Expectations on segments whose bounds are computed from the run and from what was published before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from math import ceil

import great_expectations.expectations as gxe
from scipy.special import bdtr, bdtrik

from expectations.suites.suite import WARNING, no_rows
from loaders.warehouse.client import Warehouse
from segments.rule import BASIS_POINTS
from segments.source import load_rules
from segue.window import RunWindow

HOLDOUT_CONFIDENCE = 0.99999
"""Of the interval for the held-out accounts: one false alarm in 100,000 days."""
MIN_SEGMENT = 100
"""Smaller segments change by any share without a reason."""


def holdout_bounds(accounts: int, share: float) -> tuple[int, int]:
    """The range of held-out accounts, both inclusive, if each is held out with probability ``share``.

    The central binomial interval at ``HOLDOUT_CONFIDENCE``.
    """
    if share in (0, 1) or not accounts:
        return round(accounts * share), round(accounts * share)
    tail = (1 - HOLDOUT_CONFIDENCE) / 2
    return _quantile(tail, accounts, share), _quantile(1 - tail, accounts, share)


def _quantile(probability: float, accounts: int, share: float) -> int:
    """Of the binomial distribution; ``scipy.stats`` has it too, and takes 0.7 s to import."""
    count = max(ceil(float(bdtrik(probability, accounts, share))), 0)
    is_enough_without = count > 0 and float(bdtr(count - 1, accounts, share)) >= probability
    return count - 1 if is_enough_without else count


def holdout_expectations(warehouse: Warehouse, window: RunWindow) -> list[gxe.Expectation]:
    """The share of globally held-out accounts of each day lies within its binomial interval."""
    share = load_rules().program.global_holdout.buckets / BASIS_POINTS
    days = warehouse.run(
        f"select decision_date, count(*) as accounts from {window.table('offer_decisions')} "
        f"where {window.partitions('decision_date', as_known_then=True)} group by decision_date",
    )
    bounds = [(row.decision_date, *holdout_bounds(row.accounts, share)) for row in days]
    if not bounds:
        return []
    return [
        no_rows(
            f"""select decision_date, countif(is_globally_held_out) as held_out, count(*) as accounts
            from {{batch}}
            group by decision_date
            having countif(is_globally_held_out) not between {_by_day((day, low) for day, low, _ in bounds)}
                and {_by_day((day, high) for day, _, high in bounds)}""",
            f"the share of held-out accounts is {share:.2%} within its binomial interval",
        )
    ]


def _by_day(values: Iterable[tuple[date, int]]) -> str:
    cases = " ".join(f"when date '{day}' then {value}" for day, value in values)
    return f"case decision_date {cases} end"


def size_expectations(warehouse: Warehouse, window: RunWindow) -> list[gxe.Expectation]:
    """A warning for each rule whose segment differs from the published one of the day before the first."""
    settings = warehouse.settings
    table = f"{settings.project_id}.{settings.marts_dataset}.offer_segments"
    if warehouse.find_table(table) is None:
        return []
    first = window.first_day(as_known_then=True)
    yesterday = first - timedelta(days=1)
    published = warehouse.run(
        f"select offer.rule_id, count(*) as accounts "
        f"from `{table}` as segment, unnest(segment.offers) as offer "
        f"where segment.segment_date = date '{yesterday}' group by 1",
    )
    sizes = {row.rule_id: int(row.accounts) for row in published}
    watched = {rule: size for rule, size in sizes.items() if size >= MIN_SEGMENT}
    if not watched:
        return []
    drift = settings.row_count_drift
    before = " union all ".join(
        f"select '{rule}' as rule_id, {size} as size" for rule, size in watched.items()
    )
    return [
        no_rows(
            f"""with before as ({before}), now as (
                select offer.rule_id, count(*) as size
                from (select segment_date, offers from {{batch}}) as segment, unnest(segment.offers) as offer
                where segment.segment_date = date '{first}'
                group by 1
            )
            select before.rule_id, before.size as size_before, coalesce(now.size, 0) as size_now
            from before
            left join now on before.rule_id = now.rule_id
            where abs(coalesce(now.size, 0) - before.size) > {drift} * before.size""",
            f"no rule's segment changes by more than {drift:.0%} from one day to the next",
            severity=WARNING,
        )
    ]
