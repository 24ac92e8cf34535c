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

{#- Unless this run builds the checkpoint, no days are read. #}
{%- set is_built = history_from("int_offer_first_impressions") | string <= checkpoint_day() %}
{%- set first_day = var("history_start_date") if is_built else moved_day(checkpoint_day(), 1) %}

with
    impression_days as (
        {{ history_rows("int_offer_impression_days", "arrival_date", first_day, last=checkpoint_day()) }}
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

    -- An account that was never merged, and excluded always or never, is the same on every day: its first
    -- impression says it all. Of another one each day may count for another account, or for none.
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
