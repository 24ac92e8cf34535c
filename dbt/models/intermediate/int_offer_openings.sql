{{ config(materialized="view") }}

with
    -- What had arrived by the checkpoint, and what has arrived since.
    impressions as (
        select account_id, offer_id, surface, occurred_at, impression_id
        from
            (
                {{
                    history_rows(
                        "int_offer_first_impressions",
                        "known_date",
                        checkpoint_day(),
                        last=checkpoint_day(),
                    )
                }}
            )
        union all
        select account_id, offer_id, surface, occurred_at, impression_id
        from
            (
                {{
                    history_rows(
                        "int_offer_impression_days",
                        "arrival_date",
                        moved_day(checkpoint_day(), 1),
                    )
                }}
            )
    ),

    -- Journeys belong to accounts that are known and not excluded.
    account_impressions as (
        select
            account.resolved_account_id as account_id,
            account.resolved_market as market,
            impression.offer_id,
            impression.surface,
            impression.occurred_at,
            impression.impression_id
        from impressions as impression
        inner join
            {{ ref("int_account_versions") }} as account
            on impression.account_id = account.account_id
            and {{ valid_on("account", "date(impression.occurred_at)") }}
        where not account.is_resolved_test_account and impression.occurred_at < timestamp({{ as_of_day(1) }})
    )

select account_id, offer_id, surface, market, occurred_at as opened_at
from account_impressions
where true
qualify row_number() over (partition by account_id, offer_id order by occurred_at, impression_id) = 1
