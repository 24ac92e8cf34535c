"""Expectations on who belongs to an experiment: by decision, and by exposure."""

from __future__ import annotations

from expectations.suites.suite import WARNING, MartSuite, at_least, no_rows, not_null, one_of, unique_key
from experiments.daily import MISMATCHES_BLOCK_ABOVE


def experiment_suites() -> list[MartSuite]:
    """Suites of ``fct_experiment_decision`` and ``fct_experiment_exposure``."""
    return [_decisions(), _exposures()]


def _decisions() -> MartSuite:
    return MartSuite(
        model="fct_experiment_decision",
        key=("decision_date", "experiment_id", "account_id"),
        expectations=(
            unique_key("decision_date", "experiment_id", "account_id"),
            *not_null("decision_date", "experiment_id", "account_id", "variant", "is_held_back", "market"),
            no_rows(
                "select decision_date, experiment_id, account_id, variant from {batch} "
                "where starts_with(experiment_id, 'holdout-') "
                "and (variant not in ('held_out', 'served') or is_held_back <> (variant = 'held_out'))",
                "a standing experiment holds out or serves",
            ),
        ),
    )


def _exposures() -> MartSuite:
    return MartSuite(
        model="fct_experiment_exposure",
        key=("exposure_date", "experiment_id", "account_id"),
        # The first day of an experiment has more than all that follow.
        watch_row_count=False,
        expectations=(
            unique_key("experiment_id", "account_id"),
            *not_null(
                "exposure_date", "experiment_id", "experiment_version", "account_id", "variant", "is_control",
                "exposed_at", "hashed_variant", "is_variant_mismatch", "is_excluded",
            ),
            one_of("exposure_source", ("surface", "decision")),
            one_of("exclusion_reason", ("two_variants", "unknown_variant", "converted_before")),
            at_least("exposures", 1),
            no_rows(
                "select experiment_id, account_id, exposed_at from {batch} "
                "where exposure_date <> date(exposed_at)",
                "an exposure is of its day",
            ),
            no_rows(
                "select experiment_id, count(distinct exposure_source) as sources from {batch} "
                "group by experiment_id having count(distinct exposure_source) > 1",
                "all exposures of an experiment are from one source",
            ),
            no_rows(
                "select experiment_id, exposure_date, countif(is_variant_mismatch) as mismatches, "
                "count(*) as exposures from {batch} group by experiment_id, exposure_date "
                f"having countif(is_variant_mismatch) > {MISMATCHES_BLOCK_ABOVE} * count(*)",
                "the variants logged are those of the hash, but for one exposure in a thousand",
                severity=WARNING,
            ),
        ),
    )  # fmt: skip
