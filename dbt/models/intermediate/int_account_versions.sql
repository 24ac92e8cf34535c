{{ config(cluster_by=["account_id"]) }}

with
    versions as (
        select
            account_id,
            created_at,
            market,
            locale,
            birth_year_band,
            is_test or is_employee as is_test_account,
            merged_into_account_id,
            deleted_at,
            arrival_date,
            row_number() over (partition by account_id order by arrival_date) as version_number,
            lead(arrival_date) over (partition by account_id order by arrival_date) as next_arrival_date
        from {{ ref("stg_identity__accounts") }}
    ),

    -- The first version speaks for the days before it arrived: an event may be faster than its account.
    validity as (
        select
            *,
            if(version_number = 1, date '0001-01-01', arrival_date) as valid_from_date,
            coalesce(next_arrival_date, date '9999-12-31') as valid_to_date
        from versions
    ),

    -- A merge cuts a version wherever the surviving account changes while it lasts.
    merged_once as (
        select
            own.account_id,
            own.version_number,
            own.created_at,
            own.market,
            own.locale,
            own.birth_year_band,
            own.is_test_account,
            own.deleted_at,
            coalesce(own.merged_into_account_id, own.account_id) as survivor_account_id,
            target.merged_into_account_id as next_account_id,
            coalesce(target.market, own.market) as survivor_market,
            own.is_test_account or coalesce(target.is_test_account, false) as is_survivor_test_account,
            greatest(
                own.valid_from_date, coalesce(target.valid_from_date, own.valid_from_date)
            ) as valid_from_date,
            least(own.valid_to_date, coalesce(target.valid_to_date, own.valid_to_date)) as valid_to_date
        from validity as own
        left join
            validity as target
            on own.merged_into_account_id = target.account_id
            and target.valid_from_date < own.valid_to_date
            and target.valid_to_date > own.valid_from_date
    ),

    -- Two hops are followed; a longer chain is repaired at its source.
    merged_twice as (
        select
            own.account_id,
            own.version_number,
            own.created_at,
            own.market,
            own.locale,
            own.birth_year_band,
            own.is_test_account,
            own.deleted_at,
            coalesce(own.next_account_id, own.survivor_account_id) as resolved_account_id,
            coalesce(target.market, own.survivor_market) as resolved_market,
            own.is_survivor_test_account
            or coalesce(target.is_test_account, false) as is_resolved_test_account,
            greatest(
                own.valid_from_date, coalesce(target.valid_from_date, own.valid_from_date)
            ) as valid_from_date,
            least(own.valid_to_date, coalesce(target.valid_to_date, own.valid_to_date)) as valid_to_date
        from merged_once as own
        left join
            validity as target
            on own.next_account_id = target.account_id
            and target.valid_from_date < own.valid_to_date
            and target.valid_to_date > own.valid_from_date
    )

select *
from merged_twice
