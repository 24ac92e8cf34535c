{#
  The history of each account as what had arrived by a day tells it: see int_account_versions, which describes
  the columns.
#}
{% macro account_versions(known_until) -%}
    with recursive
        known as (
            select
                account_id,
                created_at,
                market,
                locale,
                birth_year_band,
                is_test or is_employee as is_test_account,
                merged_into_account_id,
                deleted_at,
                arrival_date
            from {{ ref("stg_identity__accounts") }}
            where arrival_date <= {{ known_until }}
            union all
            -- What a billing provider calls a payer is an account that was merged into the one that it is.
            select
                provider_account_id,
                cast(null as timestamp),
                cast(null as string),
                cast(null as string),
                cast(null as string),
                false,
                account_id,
                cast(null as timestamp),
                arrival_date
            from {{ ref("stg_identity__provider_accounts") }}
            where arrival_date <= {{ known_until }}
        ),

        versions as (
            select
                *,
                row_number() over (partition by account_id order by arrival_date) as version_number,
                min(arrival_date) over (partition by account_id) as introduced_date,
                lead(arrival_date) over (partition by account_id order by arrival_date) as next_arrival_date
            from known
        ),

        -- The first version speaks for the days before it arrived: an event may be faster than its account.
        validity as (
            select
                *,
                if(version_number = 1, date '0001-01-01', arrival_date) as valid_from_date,
                coalesce(next_arrival_date, date '9999-12-31') as valid_to_date
            from versions
        ),

        merged as (select * from validity where merged_into_account_id is not null),

        -- Accounts that others were merged into, while they are not merged themselves.
        survivors as (
            select account_id, market, is_test_account, valid_from_date, valid_to_date
            from validity
            where merged_into_account_id is null and account_id in (select merged_into_account_id from merged)
            union all
            -- No feed has introduced these.
            select distinct
                merged_into_account_id, cast(null as string), false, date '0001-01-01', date '9999-12-31'
            from merged
            where merged_into_account_id not in (select account_id from validity)
        ),

        -- From each survivor to those that were merged into it, and on to those that were merged into them. A
        -- circle has no survivor and is never entered. A stay is cut wherever one of the accounts on the way
        -- changes.
        chains as (
            select
                account_id,
                0 as version_number,
                account_id as resolved_account_id,
                market as resolved_market,
                is_test_account as is_resolved_test_account,
                valid_from_date,
                valid_to_date,
                0 as merges
            from survivors
            union all
            select
                merged.account_id,
                merged.version_number,
                chain.resolved_account_id,
                coalesce(chain.resolved_market, merged.market),
                chain.is_resolved_test_account or merged.is_test_account,
                greatest(chain.valid_from_date, merged.valid_from_date),
                least(chain.valid_to_date, merged.valid_to_date),
                chain.merges + 1
            from chains as chain
            inner join
                merged
                on chain.account_id = merged.merged_into_account_id
                and chain.valid_from_date < merged.valid_to_date
                and chain.valid_to_date > merged.valid_from_date
            where chain.merges < {{ var("merge_chain_limit") }}
        ),

        stays as (select * from chains where merges > 0),

        -- What of a merged version no survivor reaches lies between its stays, its beginning and its end.
        edges as (
            select account_id, version_number, valid_from_date, valid_to_date
            from stays
            union all
            select account_id, version_number, valid_from_date, valid_from_date
            from merged
            union all
            select account_id, version_number, valid_to_date, valid_to_date
            from merged
        ),

        gaps as (
            select
                account_id,
                version_number,
                lag(valid_to_date) over (
                    partition by account_id, version_number order by valid_from_date, valid_to_date
                ) as valid_from_date,
                valid_from_date as valid_to_date
            from edges
        ),

        resolutions as (
            select
                account_id,
                version_number,
                resolved_account_id,
                resolved_market,
                is_resolved_test_account,
                valid_from_date,
                valid_to_date,
                cast(null as string) as merge_refused_reason
            from stays
            union all
            select
                account_id,
                version_number,
                account_id,
                cast(null as string),
                cast(null as bool),
                valid_from_date,
                valid_to_date,
                'no_survivor'
            from gaps
            where valid_from_date < valid_to_date
        )

    select
        version.account_id,
        version.version_number,
        version.created_at,
        version.market,
        version.locale,
        version.birth_year_band,
        version.is_test_account,
        version.deleted_at,
        version.introduced_date,
        version.merged_into_account_id,
        resolution.merge_refused_reason,
        coalesce(resolution.resolved_account_id, version.account_id) as resolved_account_id,
        coalesce(resolution.resolved_market, version.market) as resolved_market,
        coalesce(resolution.is_resolved_test_account, version.is_test_account) as is_resolved_test_account,
        coalesce(resolution.valid_from_date, version.valid_from_date) as valid_from_date,
        coalesce(resolution.valid_to_date, version.valid_to_date) as valid_to_date
    from validity as version
    left join
        resolutions as resolution
        on version.account_id = resolution.account_id
        and version.version_number = resolution.version_number
{%- endmacro %}

{#
  Place of an entitlement among those of its account on a day; the first describes the account: one that lasts,
  paid, own, and the oldest of those. Two members of one subscription, merged into one unknown account, differ by
  market only.
#}
{% macro entitlement_preference() -%}
    row_number() over (
        partition by snapshot_date, account_id
        order by
            was_active_at_day_end desc, is_paid desc, is_payer desc, tenure_days desc, subscription_id, market
    )
{%- endmacro %}
