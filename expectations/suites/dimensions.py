"""Expectations on the dimensions, which are published whole."""

from __future__ import annotations

from expectations.suites.suite import WARNING, MartSuite, no_rows, not_null, unique_key


def dimension_suites() -> list[MartSuite]:
    """Suites of ``dim_account`` and ``dim_plan``."""
    return [
        MartSuite(
            model="dim_account",
            key=("account_id", "valid_from_date"),
            expectations=(
                unique_key("account_id", "valid_from_date"),
                *not_null("account_id", "resolved_account_id", "resolved_market"),
                no_rows(
                    "select account_id, count(*) as current_versions from {batch} "
                    "group by account_id having countif(is_current) > 1",
                    "no account has two current versions",
                ),
                no_rows(
                    """with account as (select * from {batch})
                    select merged.account_id, merged.valid_from_date, merged.resolved_account_id,
                        survivor.resolved_account_id as resolved_further
                    from account as merged
                    inner join account as survivor
                        on merged.resolved_account_id = survivor.account_id
                        and merged.valid_from_date < survivor.valid_to_date
                        and merged.valid_to_date > survivor.valid_from_date
                    where merged.resolved_account_id <> merged.account_id
                        and survivor.resolved_account_id <> survivor.account_id""",
                    "every survivor is its own: no account is resolved to one that is merged itself",
                ),
                no_rows(
                    "select account_id, valid_from_date, merged_into_account_id, merge_refused_reason "
                    "from {batch} where is_current and merge_refused_reason is not null",
                    "every merge leads to a survivor (else the account counts as itself)",
                    severity=WARNING,
                ),
            ),
        ),
        MartSuite(
            model="dim_plan",
            key=("plan_id", "market", "currency", "valid_from_date"),
            expectations=(
                unique_key("plan_id", "market", "currency", "valid_from_date"),
                *not_null("plan_id", "plan_kind", "billing_interval", "billing_interval_count"),
            ),
        ),
    ]
