"""Expectations on the offer journey and the conversion marts."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.suites.suite import WARNING, MartSuite, at_least, no_rows, not_null, one_of, unique_key
from loaders.warehouse.dbt_models import DbtModel


def conversion_suites(models: Mapping[str, DbtModel]) -> list[MartSuite]:
    """Suites of ``fct_offer_journey`` and ``agg_conversions_daily``."""
    # A journey is restated for as long as anything can happen to it.
    return [_journeys(models["fct_offer_journey"].restates_days), _conversions()]


def _journeys(horizon_days: int) -> MartSuite:
    return MartSuite(
        model="fct_offer_journey",
        key=("journey_date", "account_id", "offer_id"),
        expectations=(
            unique_key("account_id", "offer_id"),
            *not_null(
                "journey_date",
                "account_id",
                "offer_id",
                "surface",
                "market",
                "variant",
                "opened_at",
                "is_mature",
            ),
            one_of("conversion_type", ("trial", "paid")),
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
                "select account_id, offer_id from {batch} where checkouts > 0 and clicks = 0",
                "a checkout follows a click",
                severity=WARNING,
            ),
        ),
    )


def _conversions() -> MartSuite:
    return MartSuite(
        model="agg_conversions_daily",
        key=("journey_date", "offer_id", "surface", "market", "variant"),
        expectations=(
            unique_key("journey_date", "offer_id", "surface", "market", "variant"),
            *not_null("offer_id", "surface", "market", "impressions", "reach"),
            at_least("impressions", 1),
            no_rows(
                "select journey_date, offer_id, surface, impressions, reach from {batch} "
                "where reach > impressions or mature_impressions > impressions",
                "reach and mature impressions are parts of the impressions",
            ),
        ),
    )
