"""What a metric may be made of: marts, and which of their columns say the same whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from experiments.declaration import Metric, Source


@dataclass(frozen=True)
class Facts:
    """A mart as metrics read it.

    Its rows are of days (``day``), or each happened at an instant (``instants``). Only what is settled by
    then is here: a sum that grows for weeks after its row's day would make a metric's day depend on when it
    was built.
    """

    relation: str
    """The dbt model with its rows, of the accounts of experiments also on days before the run's."""
    partition: str
    day: str | None = None
    instants: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column → the values that may be asked for; none: any."""
    cents: Mapping[str, str] = field(default_factory=dict)
    """Amount → the relation's column of its cents, where it has those."""
    reach_days: int | None = None
    """How many days a run has of it; None: as many as any metric asks for."""


FACTS: Final[Mapping[str, Facts]] = {
    "fct_subscriber_daily": Facts(
        relation="int_experiment_subscriber_days",
        partition="snapshot_date",
        day="snapshot_date",
        flags=frozenset({"is_subscriber", "is_paid", "is_in_trial"}),
        numbers=frozenset({"mrr_usd_amount"}),
        texts={"plan_kind": (), "billing_interval": (), "movement": ("churn",)},
    ),
    "fct_payment": Facts(
        relation="int_payments",
        partition="payment_date",
        instants=frozenset({"occurred_at"}),
        numbers=frozenset({"amount_usd_amount", "net_usd_amount"}),
        cents={"amount_usd_amount": "counted_usd_cents", "net_usd_amount": "net_usd_cents"},
    ),
    "fct_offer_journey": Facts(
        relation="fct_offer_journey",
        partition="journey_date",
        instants=frozenset({"opened_at", "first_click_at", "converted_at", "trial_started_at", "paid_at"}),
        reach_days=45,
    ),
}


def mistakes(metric: Metric) -> Iterator[tuple[str, str]]:
    """(field, what is allowed) of every source that asks a mart for what it does not hold."""
    for part in ("value", "numerator", "denominator"):
        source: Source | None = getattr(metric, part)
        if source is None:
            continue
        for name, message in _mistakes(source):
            yield f"{part}.{name}", message
        facts = FACTS.get(source.mart)
        if facts is not None and facts.reach_days is not None:
            days = metric.window_days + (0 if part == "denominator" else metric.covariate_days or 0)
            if days > facts.reach_days:
                yield (
                    "window_days",
                    f"with covariate_days asks for {days} days of {source.mart}; allowed: {facts.reach_days}",
                )


def _mistakes(source: Source) -> Iterator[tuple[str, str]]:
    facts = FACTS.get(source.mart)
    if facts is None:
        yield "mart", f"{source.mart} has no facts for metrics; allowed: {', '.join(FACTS)}"
    elif facts.day is None:
        yield from _mistakes_of_instants(source, facts)
    else:
        yield from _mistakes_of_days(source, facts)


def _mistakes_of_instants(source: Source, facts: Facts) -> Iterator[tuple[str, str]]:
    if source.at not in facts.instants or source.day is not None:
        yield "at", f"is {source.at}; allowed: {', '.join(sorted(facts.instants))}, without day"
    if source.equals is not None:
        yield "equals", f"{source.mart} has no texts to ask for"
    is_sum = source.aggregate == "sum" and source.column in facts.numbers
    if not is_sum and (source.aggregate, source.column) != ("count", None):
        sums = f", or sum of {', '.join(sorted(facts.numbers))}" if facts.numbers else ""
        yield "aggregate", f"of rows of {source.mart} is asked: count, without column{sums}"


def _mistakes_of_days(source: Source, facts: Facts) -> Iterator[tuple[str, str]]:
    if source.day != facts.day or source.at is not None:
        yield "day", f"{source.mart} has a row a day; allowed: day: {facts.day}"
    if source.aggregate == "count":
        yield "aggregate", "days are not counted; allowed: any, sum, last"
    if source.column is not None and source.column in facts.texts:
        values = facts.texts[source.column]
        if source.equals is None or (values and source.equals not in values):
            yield "equals", f"{source.column} is a text; allowed: equals: {', '.join(values) or 'a value'}"
        return
    wanted = facts.flags if source.aggregate == "any" else facts.flags | facts.numbers
    if source.column not in wanted:
        allowed = ", ".join(sorted({*wanted, *facts.texts}))
        yield "column", f"is {source.column}; allowed with {source.aggregate}: {allowed}"
    if source.equals is not None:
        yield "equals", f"{source.column} is no text"
