"""Many companies in one warehouse build, each held against the reference; what disagrees is made small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.dbt.compiled_project import CompiledProject, Execution
from tests.dbt.reference.company import Catalogue, Company, Window
from tests.dbt.reference.days import midnight
from tests.dbt.reference.marts import Marts, aggregates, marts
from tests.dbt.reference.notifications import stripe_event

Row = dict[str, Any]

DETAILS = {
    "int_subscription_periods": "subscription_id",
    "fct_subscription_daily": "subscription_id",
    "fct_subscriber_daily": "account_id",
    "fct_subscription_event": "subscription_id",
    "fct_churn": "account_id",
    "fct_payment": "subscription_id",
    "fct_trial": "subscription_id",
}
"""Tables whose rows belong to one company each, with the column that says to which."""

AGGREGATES = (
    "agg_subscribers_daily", "agg_mrr_movements_daily", "agg_trial_outcomes", "agg_retention_cohorts",
    "agg_upsell_daily", "agg_revenue_daily", "agg_revenue_monthly",
    "agg_retention_days",
)  # fmt: skip

CELL = ("market", "plan_kind", "provider", "currency")

KEYS = {
    "int_subscription_periods": ("subscription_id", "valid_from_at"),
    "fct_subscription_daily": ("snapshot_date", "subscription_id"),
    "fct_subscriber_daily": ("snapshot_date", "account_id"),
    "fct_subscription_event": ("subscription_id", "occurred_at", "provider", "provider_event_id"),
    "fct_churn": ("churn_date", "account_id"),
    "fct_payment": ("payment_date", "payment_id"),
    "fct_trial": ("subscription_id", "trial_started_at"),
    "agg_subscribers_daily": ("snapshot_date", *CELL),
    "agg_mrr_movements_daily": ("snapshot_date", "movement", "churn_reason", "movement_reason", *CELL),
    "agg_trial_outcomes": ("trial_start_date", "market", "plan_kind", "provider", "offer_id"),
    "agg_retention_days": ("measured_date", "day_number", "market", "plan_kind", "provider"),
    "agg_retention_cohorts": ("activity_month", "cohort_month", "market", "plan_kind", "provider"),
    "agg_revenue_daily": ("revenue_date", *CELL),
    "agg_revenue_monthly": ("closing_date", *CELL),
    "agg_conversions_daily": ("journey_date", "offer_id", "surface", "market", "variant", "rule_id"),
    "agg_conversion_funnel": ("journey_date", "offer_id", "surface", "market", "stage"),
    "agg_upsell_daily": (
        "measured_date",
        "horizon_days",
        "from_plan_kind",
        "from_billing_interval",
        "from_billing_interval_count",
        "to_plan_kind",
        "to_billing_interval",
        "to_billing_interval_count",
        "market",
        "offer_id",
    ),
}
"""What identifies a row of each table."""

SMALL_STEPS = 12
"""Rounds of making a failing company smaller; each is one build of all smaller companies."""

Builder = Callable[[Sequence[Company]], "Built"]


def prefix(number: int) -> str:
    """What the identifiers of a build's company start with."""
    return f"c{number:05d}."


@dataclass(frozen=True)
class Built:
    """The marts that the SQL made of some companies, by the companies' places."""

    companies: Sequence[Company]
    details: dict[str, dict[str, list[Row]]]
    aggregated: dict[str, list[Row]]
    _references: list[Marts] = field(default_factory=list)

    def rows(self, mart: str, number: int) -> list[Row]:
        """A company's rows of a mart."""
        return self.details[mart].get(prefix(number), [])

    def references(self, catalogue: Catalogue, window: Window) -> list[Marts]:
        """What the reference makes of each company; once, for whoever asks again."""
        if not self._references:
            named = (company.named(prefix(number)) for number, company in enumerate(self.companies))
            self._references.extend(marts(company, catalogue, window) for company in named)
        return self._references


def raw_rows(companies: Sequence[Company], catalogue: Catalogue, window: Window) -> dict[str, list[Row]]:
    """The raw tables that the companies deliver, every identifier under its company's prefix."""
    tables: dict[str, list[Row]] = {"subscription_events": [], "accounts": [], "plan_members": []}
    tables |= {"payments": [], "stripe_events": []}
    for number, company in enumerate(companies):
        own = company.named(prefix(number))
        for table, rows in (
            ("subscription_events", own.events),
            ("accounts", own.accounts),
            ("plan_members", own.members),
            ("payments", tuple(row for row in own.payments if row.source == "payments")),
        ):
            tables[table] += [
                {"landing_row": n} | asdict(row) | {"arrival_date": row.ingested_at.date()}
                for n, row in enumerate(rows, start=1)
            ]
        tables["stripe_events"] += [stripe_event(row) for row in own.payments if row.source == "stripe"]
    arrived = {"ingested_at": midnight(window.history_start), "arrival_date": window.history_start}
    tables["plans"] = [{**asdict(plan), **arrived, "trial_days": 30, "seats": 1} for plan in catalogue.plans]
    tables["plan_prices"] = [asdict(p) | {"arrival_date": p.ingested_at.date()} for p in catalogue.prices]
    tables["fx_rates"] = [asdict(r) | {"arrival_date": r.ingested_at.date()} for r in catalogue.rates]
    return {
        table: [{"landing_file": "company", "landing_row": n} | row for n, row in enumerate(rows)]
        for table, rows in tables.items()
    }


def build_companies(
    execution: Execution,
    project: CompiledProject,
    companies: Sequence[Company],
    catalogue: Catalogue,
    window: Window,
) -> Built:
    """Land the companies side by side and build the subscriber marts of all of them."""
    execution.land(raw_rows(companies, catalogue, window))
    execution.build(project, [*DETAILS, *AGGREGATES])
    return read_built(execution, project, companies)


def read_built(execution: Execution, project: CompiledProject, companies: Sequence[Company]) -> Built:
    """The subscriber marts that were built, company by company."""
    details: dict[str, dict[str, list[Row]]] = {}
    for mart, column in DETAILS.items():
        theirs = details.setdefault(mart, {})
        for row in execution.rows(project, mart):
            assert row[column] is not None, f"{mart}: a row belongs to nobody: {row}"
            theirs.setdefault(row[column].partition(".")[0] + ".", []).append(row)
    aggregated = {mart: execution.rows(project, mart) for mart in AGGREGATES}
    return Built(companies, details, aggregated)


def difference(mart: str, expected: Sequence[Row], actual: Sequence[Row]) -> str:
    """Rows that only one side has and values that differ; empty when there are none."""
    columns = list(next(iter(expected), {}))
    wanted, found = (Counter(tuple(row[c] for c in columns) for row in rows) for rows in (expected, actual))
    if wanted == found and len(expected) == len(actual):
        return ""
    keyed: dict[str, list[list[Row]]] = {}
    for side, rows in ((0, expected), (1, actual)):
        for row in rows:
            key = ", ".join(_shown(row[column]) for column in KEYS[mart])
            keyed.setdefault(key, [[], []])[side].append(row)
    return "\n".join(line for key, sides in sorted(keyed.items()) for line in _difference(key, *sides))


def _difference(key: str, wanted: list[Row], found: list[Row]) -> Iterator[str]:
    if len(wanted) != 1 or len(found) != 1:
        if wanted != found:
            yield f"  {key}: {len(wanted)} rows in the reference, {len(found)} in the SQL"
        return
    for column, value in wanted[0].items():
        if found[0][column] != value:
            built = _shown(found[0][column])
            yield f"  {key}: {column}: {_shown(value)} in the reference, {built} in the SQL"


def _shown(value: Any) -> str:
    match value:
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case Decimal():
            return f"{value.normalize():f}"
    return str(value)


def disagreement(built: Built, number: int, reference: Marts) -> str:
    """Where the SQL and the reference differ on a company's rows; empty when they agree."""
    parts = []
    for mart in DETAILS:
        found = difference(mart, reference.rows[mart], built.rows(mart, number))
        if found:
            parts.append(f"{mart}\n{found}")
    return "\n".join(parts)


def disagreements(built: Built, catalogue: Catalogue, window: Window) -> dict[int, str]:
    """Companies on whose rows the SQL and the reference differ, by place."""
    found = {}
    for number, reference in enumerate(built.references(catalogue, window)):
        differs = disagreement(built, number, reference)
        if differs:
            found[number] = differs
    return found


def aggregate_disagreements(built: Built, catalogue: Catalogue, window: Window) -> str:
    """Where the aggregates over all companies differ."""
    expected = aggregates(built.references(catalogue, window), window)
    found = {mart: difference(mart, expected[mart], built.aggregated[mart]) for mart in AGGREGATES}
    return "\n".join(f"{mart}\n{text}" for mart, text in found.items() if text)


def size(company: Company) -> int:
    """Number of facts that a company delivers."""
    return sum(
        sum(getattr(row, f.name) not in (None, False, 0) for f in fields(row))
        for rows in (company.events, company.accounts, company.members, company.payments)
        for row in rows  # type: ignore[attr-defined]
    )


OPTIONAL = (
    "account_id", "plan_id", "price_amount", "is_price_unknown", "currency", "interval", "interval_count",
    "trial_ends_at", "period_start_at", "period_end_at", "auto_renew", "reason", "offer_id",
    "merged_into", "left_at",
)  # fmt: skip


def smaller(company: Company) -> Iterator[Company]:
    """Companies with one subscription, row or fact less."""
    for subscription_id in sorted({event.subscription_id for event in company.events}):
        events = tuple(e for e in company.events if e.subscription_id != subscription_id)
        yield replace(company, events=events)
    for name in ("events", "accounts", "members", "payments"):
        rows: tuple[Any, ...] = getattr(company, name)
        if len(rows) > 1:
            yield replace(company, **{name: ()})
        for n, row in enumerate(rows):
            yield replace(company, **{name: rows[:n] + rows[n + 1 :]})
            for fact in OPTIONAL:
                # The account of an opening is what the others carry on.
                if getattr(row, fact, None) is not None and not (fact == "account_id" and n == 0):
                    yield replace(
                        company, **{name: (*rows[:n], replace(row, **{fact: None}), *rows[n + 1 :])}
                    )


def smallest_failing(company: Company, fails: Callable[[Sequence[Company]], list[bool]]) -> Company:
    """A company that still fails and of which nothing can be left out, found in few builds."""
    for _ in range(SMALL_STEPS):
        candidates = sorted(set(smaller(company)), key=lambda c: (size(c), repr(c)))
        failing = [c for c, failed in zip(candidates, fails(candidates), strict=True) if failed]
        if not failing:
            break
        company = failing[0]
        # What can be left out one by one can often be left out together.
        company = _together(company, failing, fails)
    return company


def _together(
    company: Company, failing: list[Company], fails: Callable[[Sequence[Company]], list[bool]]
) -> Company:
    """Leave out every row that some failing candidate lacks, if that still fails."""
    combined = [company]
    for other in failing[1:]:
        last = combined[-1]
        combined.append(
            replace(
                last,
                **{
                    name: tuple(row for row in getattr(last, name) if row in getattr(other, name))
                    for name in ("events", "accounts", "members", "payments")
                },
            )
        )
    distinct = list(dict.fromkeys(combined))
    return [c for c, failed in zip(distinct, fails(distinct), strict=True) if failed][-1]


def described(company: Company) -> str:
    """A company, short enough to become an example of a test."""
    lines = []
    for name in ("events", "accounts", "members", "payments"):
        for row in getattr(company, name):
            said = {
                f.name: getattr(row, f.name)
                for f in fields(row)
                if getattr(row, f.name) not in (None, False, 0)
            }
            facts = ", ".join(
                f"{key}={value:%Y-%m-%d %H:%M}" if hasattr(value, "hour") else f"{key}={value}"
                for key, value in said.items()
            )
            lines.append(f"  {name}: {facts}")
    return "\n".join(lines)
