{{
    config(
        materialized="table",
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "partitions": "checkpoint",
            "feeds_until_day": ["offer_impressions", "accounts"],
        },
    )
}}

with
    -- Nothing, unless this run builds the checkpoint.
    impression_days as (
        select *
        from
            (
                {{
                    history_rows(
                        "int_offer_impression_days",
                        "arrival_date",
                        var("history_start_date"),
                        last=checkpoint_day(),
                    )
                }}
            )
        where date '{{ checkpoint_day() }}' >= date '{{ history_from("int_offer_first_impressions") }}'
    ),

    days as (
        select *
        from impression_days
        where true
        qualify
            row_number() over (
                partition by account_id, offer_id, impression_date
                order by occurred_at, impression_id, arrival_date
            )
            = 1
    ),

    -- An account that has always been itself, in no test, is that on every day: its first impression says
    -- it all.
    -- Of one that was merged or set apart for a time each day may count for another account, or for none.
    settled_accounts as (
        select account_id
        from {{ ref("stg_identity__accounts") }}
        where arrival_date <= date '{{ checkpoint_day() }}'
        group by account_id
        having
            max(merged_into_account_id) is null
            and logical_or(is_test or is_employee) = logical_and(is_test or is_employee)
    ),

    ranked as (
        select
            days.*,
            settled.account_id is not null as is_settled,
            row_number() over (
                partition by days.account_id, days.offer_id order by days.occurred_at, days.impression_id
            )
            = 1 as is_first
        from days
        left join settled_accounts as settled on days.account_id = settled.account_id
    )

select date '{{ checkpoint_day() }}' as known_date, account_id, offer_id, occurred_at, impression_id, surface
from ranked
-- What happens on a day that has not begun may yet count for whom the account becomes by then.
where is_first or not is_settled or impression_date > date '{{ checkpoint_day() }}'
