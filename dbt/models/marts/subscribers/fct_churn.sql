{{
    config(
        partition_by={"field": "churn_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
        meta={
            "published": "days",
            "restates_days": var("recovery_days"),
            "measures": ["churns", "recoveries_14d"],
        },
    )
}}

{%- set first_day = moved_day(run_day("start_date"), -var("recovery_days")) %}
{%- set first_close = moved_day(first_day, -1) %}
{%- set last_close = earliest_of(
    moved_day(run_day("end_date"), var("recovery_days")), run_day("as_of_date")
) %}

-- The days since the oldest churn that may still be recovered are looked at again, of those accounts alone in
-- which anything ended: a tenth of what int_mrr_movements compares in a day.
with
    versions as (
        select account_id, resolved_account_id, is_resolved_test_account, valid_from_date, valid_to_date
        from {{ ref("int_account_versions") }}
        where valid_from_date <= date '{{ last_close }}' and valid_to_date > date '{{ first_close }}'
    ),

    touched_holders as (
        select account_id
        from {{ ref("int_subscription_periods") }}
        where
            is_entitled
            and (
                valid_to_at >= timestamp('{{ first_day }}')
                and valid_to_at < timestamp({{ end_day(1) }})
                or valid_from_at >= timestamp('{{ first_day }}')
                and valid_from_at < timestamp({{ end_day(1) }})
            )
        union distinct
        select account_id
        from versions
        where is_resolved_test_account and valid_from_date >= date '{{ first_day }}'
    ),

    touched_accounts as (
        select distinct coalesce(version.resolved_account_id, holder.account_id) as account_id
        from touched_holders as holder
        left join versions as version on holder.account_id = version.account_id
    ),

    holders as (
        select version.account_id
        from versions as version
        inner join touched_accounts as touched on version.resolved_account_id = touched.account_id
        union distinct
        select account_id
        from touched_accounts
        union distinct
        select account_id
        from touched_holders
    ),

    entitled_closes as (
        select close_date, period.subscription_id, period.account_id as holder_account_id, period.is_paid
        from {{ ref("int_subscription_periods") }} as period
        inner join holders as holder on period.account_id = holder.account_id
        cross join
            unnest(
                generate_date_array(
                    greatest(date(period.valid_from_at), date '{{ first_close }}'),
                    least(
                        date_sub(coalesce(date(period.valid_to_at), date '9999-12-31'), interval 1 day),
                        date '{{ last_close }}'
                    )
                )
            ) as close_date
        where
            period.is_entitled
            and period.valid_from_at < timestamp(date_add(date '{{ last_close }}', interval 1 day))
            and (period.valid_to_at is null or period.valid_to_at > timestamp('{{ first_close }}'))
    ),

    closes as (
        select entitled.*, coalesce(version.resolved_account_id, entitled.holder_account_id) as account_id
        from entitled_closes as entitled
        left join
            versions as version
            on entitled.holder_account_id = version.account_id
            and {{ valid_on("version", "entitled.close_date") }}
        where not coalesce(version.is_resolved_test_account, false)
    ),

    pairs as (
        select
            coalesce(day.close_date, date_add(day_before.close_date, interval 1 day)) as churn_date,
            coalesce(day.subscription_id, day_before.subscription_id) as subscription_id,
            coalesce(day.holder_account_id, day_before.holder_account_id) as holder_account_id,
            day_before.subscription_id is not null and day.subscription_id is null as has_ended,
            coalesce(day_before.is_paid, false) as was_paid,
            coalesce(day.is_paid, false) as is_paid
        from closes as day
        full outer join
            closes as day_before
            on day.subscription_id = day_before.subscription_id
            and day.close_date = date_add(day_before.close_date, interval 1 day)
    ),

    held as (
        select pair.*, coalesce(version.resolved_account_id, pair.holder_account_id) as account_id
        from pairs as pair
        left join
            versions as version
            on pair.holder_account_id = version.account_id
            and {{ valid_on("version", "pair.churn_date") }}
        where {{ rebuilt_days("pair.churn_date", var("recovery_days")) }}
    ),

    churned as (
        select churn_date, account_id
        from held
        group by churn_date, account_id
        having logical_or(was_paid) and not logical_or(is_paid)
    ),

    -- As int_mrr_movements: of several ends the latest gives the reason.
    endings as (
        select held.churn_date, held.account_id, period.end_reason
        from held
        inner join
            {{ ref("int_subscription_periods") }} as period on held.subscription_id = period.subscription_id
        where
            held.has_ended
            and period.end_reason is not null
            and period.valid_from_at >= timestamp(held.churn_date)
            and period.valid_from_at < timestamp(date_add(held.churn_date, interval 1 day))
        qualify
            row_number() over (
                partition by held.churn_date, held.account_id
                order by period.valid_from_at desc, period.subscription_id
            )
            = 1
    ),

    -- Whoever the account is on the day on which it pays again.
    recoveries as (
        select churned.churn_date, churned.account_id, min(paid.close_date) as recovered_date
        from churned
        cross join
            unnest(
                generate_date_array(
                    date_add(churned.churn_date, interval 1 day),
                    least(
                        date_add(churned.churn_date, interval {{ var("recovery_days") }} day),
                        date '{{ last_close }}'
                    )
                )
            ) as recovered_date
        left join
            versions as version
            on churned.account_id = version.account_id
            and {{ valid_on("version", "recovered_date") }}
        inner join
            closes as paid
            on paid.close_date = recovered_date
            and paid.account_id = coalesce(version.resolved_account_id, churned.account_id)
        where paid.is_paid
        group by churned.churn_date, churned.account_id
    )

select
    churned.churn_date,
    churned.account_id,
    coalesce(account.resolved_market, 'ZZ') as market,
    -- No event ended it: the account was excluded.
    coalesce(ending.end_reason, 'admin') as churn_reason,
    date_add(churned.churn_date, interval {{ var("recovery_days") }} day) <= {{ as_of_day() }} as is_mature,
    recovery.recovered_date is not null as is_recovered_14d,
    recovery.recovered_date,
    cast(date_diff(recovery.recovered_date, churned.churn_date, day) as int64) as days_to_recovery,
    1 as churns,
    if(recovery.recovered_date is null, 0, 1) as recoveries_14d
from churned
left join
    endings as ending on churned.churn_date = ending.churn_date and churned.account_id = ending.account_id
left join
    recoveries as recovery
    on churned.churn_date = recovery.churn_date
    and churned.account_id = recovery.account_id
left join
    {{ ref("int_account_versions") }} as account
    on churned.account_id = account.account_id
    and {{ valid_on("account", "churned.churn_date") }}
