-- The rows of fct_subscriber_daily that metrics ask for, which lie before the days that a run builds of the
-- mart: of the accounts alone whose windows the run completes, from what is known of their lives.
{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    accounts as (
        select
            holder_account_id as account_id,
            min(date_sub(exposure_date, interval coalesce(covariate_days, 0) day)) as first_date,
            max(metric_date) as last_date
        from {{ ref("int_experiment_units") }}
        where
            metric in (
                {%- for metric in measures_of("fct_subscriber_daily").values() | map(
                    attribute="metric.id"
                ) | unique %}
                    '{{ metric }}'{{ "," if not loop.last }}
                {%- endfor %}
            )
        group by holder_account_id
    ),

    memberships as (
        select
            member.subscription_id,
            member.account_id,
            member.joined_at,
            coalesce(member.left_at, timestamp '9999-12-31') as left_at,
            account.first_date,
            account.last_date
        from {{ ref("stg_billing__plan_members") }} as member
        inner join accounts as account on member.account_id = account.account_id
        where member.role = 'member'
    ),

    -- The day before the first as well: movements compare.
    spans as (
        select
            subscription_id,
            date_sub(min(first_date), interval 1 day) as first_date,
            max(last_date) as last_date
        from
            (
                select period.subscription_id, account.first_date, account.last_date
                from {{ ref("int_subscription_periods") }} as period
                inner join accounts as account on period.account_id = account.account_id
                union all
                select subscription_id, first_date, last_date
                from memberships
            )
        group by subscription_id
    ),

    period_days as (
        select
            snapshot_date,
            period.*,
            coalesce(period.valid_to_at, timestamp '9999-12-31')
            >= timestamp(date_add(snapshot_date, interval 1 day)) as is_at_day_end
        from {{ ref("int_subscription_periods") }} as period
        inner join spans as span on period.subscription_id = span.subscription_id
        cross join
            unnest(
                {{
                    touched_days(
                        "period.valid_from_at",
                        "coalesce(period.valid_to_at, timestamp '9999-12-31')",
                        "span.first_date",
                        "span.last_date",
                    )
                }}
            ) as snapshot_date
        where period.is_entitled
    ),

    -- As int_subscription_days has it: the day's last entitled period speaks for the day.
    subscription_days as (
        select
            *,
            max(if(is_at_day_end, 1, 0)) over (partition by subscription_id, snapshot_date)
            = 1 as was_active_at_day_end
        from period_days
        where true
        qualify
            row_number() over (partition by subscription_id, snapshot_date order by valid_from_at desc) = 1
    ),

    account_days as (
        select
            day.*,
            coalesce(account.resolved_account_id, day.account_id) as resolved_account_id,
            coalesce(account.resolved_market, 'ZZ') as market
        from subscription_days as day
        left join
            {{ ref("int_account_versions") }} as account
            on day.account_id = account.account_id
            and {{ valid_on("account", "day.snapshot_date") }}
        where not coalesce(account.is_resolved_test_account, false)
    ),

    quoted as (
        select
            day.* except (price_amount, currency),
            coalesce(day.price_amount, list_price.price_amount) as price_amount,
            coalesce(day.currency, list_price.currency) as currency
        from account_days as day
        left join
            {{ ref("int_list_prices_daily") }} as list_price
            on {{
                is_list_price_of(
                    "list_price",
                    "day.snapshot_date",
                    "day.plan_id",
                    "day.market",
                    "day.price_amount",
                    "day.is_price_unknown",
                    "day.currency",
                    "day.billing_interval",
                    "day.billing_interval_count",
                )
            }}
    ),

    priced as (
        select
            day.*,
            plan.plan_kind,
            coalesce(day.billing_interval, plan.billing_interval) as paid_interval,
            date_diff(day.snapshot_date, date(day.subscription_started_at), day) as tenure_days,
            rate.usd_rate,
            if(
                not day.is_paid or not day.was_active_at_day_end,
                0,
                {{
                    month_cents(
                        to_cents("day.price_amount"),
                        "coalesce(day.billing_interval, plan.billing_interval)",
                        "coalesce(day.billing_interval_count, plan.billing_interval_count)",
                    )
                }}
            ) as mrr_cents
        from quoted as day
        left join {{ ref("stg_billing__plans") }} as plan on day.plan_id = plan.plan_id
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on day.currency = rate.currency
            and day.snapshot_date = rate.rate_date
    ),

    entitlements as (
        select
            day.snapshot_date,
            day.resolved_account_id as account_id,
            true as is_payer,
            day.subscription_id,
            day.market,
            day.plan_kind,
            day.paid_interval,
            day.is_paid,
            day.state = 'trial' as is_trial,
            day.was_active_at_day_end,
            day.tenure_days,
            if(day.mrr_cents = 0, 0, {{ usd_cents("day.mrr_cents", "day.usd_rate") }}) as mrr_usd_cents
        from priced as day
        inner join accounts as account on day.account_id = account.account_id
        where day.snapshot_date between account.first_date and account.last_date
        union all
        select
            day.snapshot_date,
            coalesce(account.resolved_account_id, member.account_id),
            false,
            day.subscription_id,
            coalesce(account.resolved_market, 'ZZ'),
            day.plan_kind,
            day.paid_interval,
            day.is_paid,
            day.state = 'trial',
            day.was_active_at_day_end
            and member.left_at >= timestamp(date_add(day.snapshot_date, interval 1 day)),
            day.tenure_days,
            0
        from priced as day
        inner join memberships as member on day.subscription_id = member.subscription_id
        left join
            {{ ref("int_account_versions") }} as account
            on member.account_id = account.account_id
            and {{ valid_on("account", "day.snapshot_date") }}
        where
            member.joined_at < timestamp(date_add(day.snapshot_date, interval 1 day))
            and member.left_at > timestamp(day.snapshot_date)
            and day.snapshot_date between member.first_date and member.last_date
            and not coalesce(account.is_resolved_test_account, false)
    ),

    ranked as (select *, {{ entitlement_preference() }} as preference from entitlements),

    subscribers as (
        select
            snapshot_date,
            account_id,
            logical_or(is_paid) as is_paid,
            logical_or(is_trial) as is_in_trial,
            max(if(preference = 1, plan_kind, null)) as plan_kind,
            max(if(preference = 1, paid_interval, null)) as billing_interval,
            sum(mrr_usd_cents) as mrr_usd_cents
        from ranked
        group by snapshot_date, account_id
    ),

    -- Each close, and the same as the close before the day that follows, by who holds the subscription.
    closes as (
        select
            day.snapshot_date,
            day.account_id,
            false as was_paid,
            true as is_paid,
            account.first_date,
            account.last_date
        from priced as day
        inner join accounts as account on day.account_id = account.account_id
        where day.is_paid and day.was_active_at_day_end
        union all
        select
            date_add(day.snapshot_date, interval 1 day),
            day.account_id,
            true,
            false,
            account.first_date,
            account.last_date
        from priced as day
        inner join accounts as account on day.account_id = account.account_id
        where day.is_paid and day.was_active_at_day_end
    ),

    churns as (
        select close.snapshot_date, coalesce(account.resolved_account_id, close.account_id) as account_id
        from closes as close
        left join
            {{ ref("int_account_versions") }} as account
            on close.account_id = account.account_id
            and {{ valid_on("account", "close.snapshot_date") }}
        where close.snapshot_date between close.first_date and close.last_date
        group by 1, 2
        having logical_or(close.was_paid) and not logical_or(close.is_paid)
    )

select
    coalesce(subscriber.snapshot_date, churn.snapshot_date) as snapshot_date,
    coalesce(subscriber.account_id, churn.account_id) as account_id,
    subscriber.account_id is not null as is_subscriber,
    coalesce(subscriber.is_paid, false) as is_paid,
    coalesce(subscriber.is_in_trial, false) as is_in_trial,
    subscriber.plan_kind,
    subscriber.billing_interval,
    {{ from_cents("coalesce(subscriber.mrr_usd_cents, 0)") }} as mrr_usd_amount,
    -- Others than a churn take more to tell, and no metric asks for them.
    if(churn.account_id is null, null, 'churn') as movement
from subscribers as subscriber
full outer join
    churns as churn
    on subscriber.snapshot_date = churn.snapshot_date
    and subscriber.account_id = churn.account_id
