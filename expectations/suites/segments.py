"""Expectations on the offer segments that go online."""

from __future__ import annotations

from expectations.suites.suite import WARNING, MartSuite, no_rows, not_null, unique_key


def segment_suites() -> list[MartSuite]:
    """Suite of ``offer_segments``."""
    return [
        MartSuite(
            model="offer_segments",
            key=("segment_date", "account_id"),
            day_column="segment_date",
            expectations=(
                unique_key("segment_date", "account_id"),
                *not_null("account_id", "market", "valid_until_at"),
                no_rows(
                    "select segment_date, account_id, valid_until_at from {batch} "
                    "where valid_until_at <= timestamp(date_add(segment_date, interval 1 day))",
                    "segments are still valid when they go online, the day after",
                ),
                no_rows(
                    "select segment_date, account_id, suppressed_reason from {batch} "
                    "where (array_length(offers) > 0) = (suppressed_reason is not null)",
                    "an account has offers or a reason for having none",
                ),
                no_rows(
                    "select segment_date, account_id, count(*) as offers_of_one_id "
                    "from {batch}, unnest(offers) as offer "
                    "group by segment_date, account_id, offer.offer_id having count(*) > 1",
                    "no account has one offer twice",
                    severity=WARNING,
                ),
            ),
        )
    ]
