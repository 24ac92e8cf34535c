"""Expectations on the totals of journeys: what they led to, and the funnel on the way."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.suites.suite import MartSuite, at_least, no_rows, not_null, one_of, unique_key
from loaders.warehouse.dbt_models import DbtModel
from segue.window import RunWindow

CONVERSION_CELL = ("journey_date", "offer_id", "surface", "market", "variant", "rule_id")
FUNNEL_CELL = ("journey_date", "offer_id", "surface", "market", "stage")
STAGES = (
    "impression", "click", "checkout", "checkout_start", "start", "trial", "trial_paid", "paid", "refund",
    "chargeback",
)  # fmt: skip
PARTS = (
    ("reach", "journeys"), ("journeys", "impressions"), ("clicked_journeys", "journeys"),
    ("clicked_journeys", "clicks"), ("checkout_journeys", "clicked_journeys"),
    ("checkout_journeys", "checkouts"), ("conversions", "journeys"), ("paid", "conversions"),
    ("trials_paid", "trials"), ("clicked_paid", "paid"), ("refunded", "paid"), ("charged_back", "paid"),
)  # fmt: skip
"""(a part, what it is a part of)."""


def funnel_suites(window: RunWindow, models: Mapping[str, DbtModel]) -> list[MartSuite]:
    """Suites of ``agg_conversions_daily`` and ``agg_conversion_funnel``."""
    built = window.partitions("journey_date", models["agg_conversions_daily"].restates_days)
    return [_conversions(window, built), _funnel(window, built)]


def _conversions(window: RunWindow, built: str) -> MartSuite:
    wholes = [
        f"{prefix}{part} > {prefix}{whole}"
        for prefix in ("", "mature_", "closed_")
        for part, whole in PARTS
        if (prefix, part) != ("closed_", "reach")
    ]
    sums = [
        f"{prefix}trials + {prefix}purchases <> {prefix}conversions "
        f"or {prefix}trials_paid + {prefix}purchases <> {prefix}paid"
        for prefix in ("", "mature_", "closed_")
    ]
    return MartSuite(
        model="agg_conversions_daily",
        key=CONVERSION_CELL,
        expectations=(
            unique_key(*CONVERSION_CELL),
            *not_null("offer_id", "surface", "market", "variant", "rule_id", "journeys"),
            at_least("journeys", 1),
            at_least("closed_journeys", 0),
            no_rows(
                f"select * from {{batch}} where {' or '.join(wholes)} "
                "or mature_journeys > journeys or closed_journeys > mature_journeys",
                "what journeys led to is a part of them, and closed ones are mature",
            ),
            no_rows(
                f"select * from {{batch}} where {' or '.join(sums)}",
                "conversions are trials and purchases, and paid are purchases and trials that became paid",
            ),
            no_rows(
                f"""with credits as (
                    select journey_date, offer_id, 1 as conversion
                    from {window.table("fct_offer_journey")}
                    where {built} and is_last_touch_conversion
                    union all
                    select journey_date, offer_id, -conversions from {{batch}}
                )
                select journey_date, offer_id, sum(conversion) as uncredited
                from credits group by journey_date, offer_id having sum(conversion) <> 0""",
                "each conversion is credited once, to its last touch",
            ),
        ),
    )


def _funnel(window: RunWindow, built: str) -> MartSuite:
    return MartSuite(
        model="agg_conversion_funnel",
        key=FUNNEL_CELL,
        watch_row_count=False,
        expectations=(
            unique_key(*FUNNEL_CELL),
            *not_null("offer_id", "surface", "market", "journeys", "settled_journeys"),
            one_of("stage", STAGES),
            one_of("from_stage", ("impression", "click", "checkout", "trial", "paid")),
            at_least("median_seconds", 0),
            at_least("settled_dropped_journeys", 0),
            no_rows(
                "select * from {batch} where journeys > from_journeys "
                "or settled_journeys > settled_from_journeys or settled_journeys > journeys "
                "or settled_from_journeys > from_journeys",
                "no stage of the funnel has more journeys than the one it is a part of",
            ),
            no_rows(
                "select * from {batch} where p90_seconds < median_seconds "
                "or (settled_journeys > 0 and from_stage is not null) <> (median_seconds is not null)",
                "every stage that settled journeys reached has its times, the 90th percentile not below the "
                "median",
            ),
            no_rows(
                f"""with totals as (
                    select journey_date, offer_id, stage, journeys, settled_journeys
                    from {{batch}}
                    {
                    " ".join(
                        f"union all select journey_date, offer_id, '{stage}', -{counted}, -{settled} "
                        f"from {window.table('agg_conversions_daily')} where {built}"
                        for stage, counted, settled in (
                            ("impression", "journeys", "mature_journeys"),
                            ("click", "clicked_journeys", "mature_clicked_journeys"),
                            ("checkout", "checkout_journeys", "mature_checkout_journeys"),
                            ("start", "conversions", "mature_conversions"),
                            ("trial", "trials", "mature_trials"),
                            ("trial_paid", "trials_paid", "closed_trials_paid"),
                            ("paid", "paid", "closed_paid"),
                            ("refund", "refunded", "closed_refunded"),
                            ("chargeback", "charged_back", "closed_charged_back"),
                        )
                    )
                }
                )
                select journey_date, offer_id, stage, sum(journeys) as unexplained,
                    sum(settled_journeys) as unexplained_settled
                from totals where stage <> 'checkout_start'
                group by journey_date, offer_id, stage
                having sum(journeys) <> 0 or sum(settled_journeys) <> 0""",
                "the stages of the funnel add up to the conversions of the day",
            ),
        ),
    )
