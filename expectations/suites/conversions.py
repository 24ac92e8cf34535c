"""Expectations on the journeys of offers, and on touches that belong to none."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.suites.suite import WARNING, MartSuite, at_least, no_rows, not_null, one_of, unique_key
from loaders.warehouse.dbt_models import DbtModel


def conversion_suites(models: Mapping[str, DbtModel]) -> list[MartSuite]:
    """Suites of ``fct_offer_journey`` and ``agg_orphan_touches_daily``."""
    # A journey is restated for as long as anything can happen to it.
    return [_journeys(models["fct_offer_journey"].restates_days), _orphans()]


def _journeys(horizon_days: int) -> MartSuite:
    return MartSuite(
        model="fct_offer_journey",
        key=("journey_date", "account_id", "offer_id", "journey_number"),
        expectations=(
            unique_key("account_id", "offer_id", "journey_number"),
            *not_null(
                "journey_date",
                "account_id",
                "offer_id",
                "journey_number",
                "surface",
                "market",
                "variant",
                "opened_at",
                "last_touch_at",
                "is_mature",
                "is_closed",
            ),
            one_of("conversion_type", ("trial", "paid")),
            one_of("end_reason", ("converted", "quiet", "too_old")),
            at_least("journey_number", 1),
            at_least("impressions", 1),
            at_least("clicks", 0),
            at_least("checkouts", 0),
            no_rows(
                "select account_id, offer_id, opened_at, converted_at from {batch} "
                "where converted_at < opened_at "
                f"or converted_at > timestamp_add(opened_at, interval {horizon_days} day)",
                "a journey converts after its first impression and within its horizon",
            ),
            no_rows(
                "select account_id, offer_id, journey_number, opened_at, ended_at from {batch} "
                "where last_touch_at < opened_at or first_click_at < opened_at or ended_at < last_touch_at "
                "or first_checkout_at < first_click_at or paid_at < converted_at",
                "nothing of a journey happens before what it follows",
            ),
            no_rows(
                "select account_id, converted_at, countif(is_last_touch_conversion) as last_touches, "
                "countif(is_first_touch_conversion) as first_touches from {batch} "
                "where converted_at is not null group by account_id, converted_at "
                "having countif(is_last_touch_conversion) > 1 or countif(is_first_touch_conversion) > 1",
                "a conversion is credited to one last and one first touch",
            ),
            no_rows(
                "select account_id, offer_id from {batch} where checkouts > 0 and clicks = 0",
                "a checkout follows a click",
                severity=WARNING,
            ),
        ),
    )


ORPHAN_SHARE = 0.2
"""More orphans than this among a surface's clicks or checkouts of a day, and it reports wrong ids."""
FEW_TOUCHES = 50
"""Of fewer a share says nothing."""


def _orphans() -> MartSuite:
    return MartSuite(
        model="agg_orphan_touches_daily",
        key=("touch_date", "touch", "surface"),
        expectations=(
            unique_key("touch_date", "touch", "surface"),
            *not_null("touch_date", "touch", "surface"),
            one_of("touch", ("click", "checkout")),
            no_rows(
                "select touch_date, touch, surface, touches, orphans from {batch} "
                "where orphans > touches or orphans != missing_orphans + not_shown_orphans "
                "+ too_early_orphans + too_late_orphans",
                "orphans are a part of the touches, each with one reason",
            ),
            no_rows(
                "select touch_date, touch, surface, touches, orphans from {batch} "
                f"where touches >= {FEW_TOUCHES} and orphans > {ORPHAN_SHARE} * touches",
                "a surface's clicks and checkouts name what they answer",
                severity=WARNING,
            ),
        ),
    )
