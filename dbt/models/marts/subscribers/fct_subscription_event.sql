{{
    config(
        partition_by={"field": "event_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id", "event_type"],
        meta={"published": "days", "restates_days": 0, "measures": ["starts", "ends"]},
    )
}}

with
    periods as (
        select *, coalesce(valid_to_at, timestamp '9999-12-31') as ends_at
        from {{ ref("int_subscription_periods") }}
        where valid_from_at < timestamp({{ end_day(1) }})
    ),

    reported as ({{ canonical_events(within_days=var("redelivery_days")) }}),

    withdrawn as ({{ withdrawals("reported") }}),

    heard as (
        select {{ event_columns() }}
        from reported
        union all
        select {{ event_columns() }}
        from withdrawn
    ),

    held as ({{ held_events("heard", "subscription_id") }}),

    -- Of the deliveries of a notification the first counts, also where a later one tells another time.
    notified as (
        select
            subscription_id,
            account_id,
            provider,
            provider_event_id,
            event_type,
            {{ event_rank("event_type") }} as event_rank,
            'original' as origin,
            reason,
            offer_id,
            occurred_at,
            ingested_at,
            export_covers
        from
            (
                select *
                from held
                where event_type != 'withdrawn'
                qualify {{ first_arrival("provider, provider_event_id") }}
            )
        where occurred_at >= timestamp({{ start_day() }}) and occurred_at < timestamp({{ end_day(1) }})
    ),

    missing as (
        select
            subscription_id,
            account_id,
            provider,
            concat(
                origin, ':', subscription_id, ':', cast(unix_micros(valid_from_at) as string)
            ) as provider_event_id,
            event_type,
            {{ event_rank("event_type") }} as event_rank,
            origin,
            reason,
            offer_id,
            valid_from_at as occurred_at,
            cast(null as timestamp) as ingested_at,
            cast(null as string) as export_covers
        from periods
        where origin != 'original' and valid_from_at >= timestamp({{ start_day() }})
    ),

    -- Of the events of one instant the one that began a period decides, as the life tells; of those that
    -- began
    -- none, any.
    events as (
        select
            event.*,
            row_number() over (
                partition by event.subscription_id, event.occurred_at
                order by
                    if(period.subscription_id is null, 1, 0),
                    event.event_rank desc,
                    event.provider_event_id desc,
                    event.provider desc
            )
            = 1 as is_deciding
        from
            (
                select *
                from notified
                union all
                select *
                from missing
            ) as event
        left join
            periods as period
            on event.subscription_id = period.subscription_id
            and event.occurred_at = period.valid_from_at
            and event.origin = period.origin
            and (
                event.origin != 'original'
                or (event.provider_event_id = period.provider_event_id and event.provider = period.provider)
            )
    ),

    -- The life just before the event, and from it on.
    transitions as (
        select
            -- An export that names the latest periods alone does not know what it goes on from; the life
            -- does.
            event.* except (account_id, export_covers) replace (
                case
                    when event.export_covers is null
                    then event.event_type
                    when
                        after.valid_from_at = event.occurred_at
                        and after.provider_event_id = event.provider_event_id
                    then after.event_type
                    when
                        event.event_type in ('trial_started', 'started')
                        and coalesce(before.is_entitled, false)
                    then 'renewed'
                    else event.event_type
                end as event_type
            ),
            if(
                event.is_deciding or before.account_id is null,
                coalesce(after.account_id, event.account_id),
                before.account_id
            ) as account_id_after,
            coalesce(before.account_id, after.account_id, event.account_id) as account_id_before,
            coalesce(
                after.subscription_started_at, before.subscription_started_at
            ) as subscription_started_at,
            before.state as from_state,
            coalesce(before.is_paid, false) as was_paid,
            coalesce(if(event.is_deciding, after.is_paid, before.is_paid), false) as is_paid,
            if(event.is_deciding, after.state, before.state) as to_state,
            coalesce(before.is_entitled, false) as was_entitled,
            coalesce(if(event.is_deciding, after.is_entitled, before.is_entitled), false) as is_entitled,
            before.plan_id as from_plan_id,
            if(event.is_deciding, after.plan_id, before.plan_id) as to_plan_id,
            before.price_amount as price_before,
            if(event.is_deciding, after.price_amount, before.price_amount) as price_after,
            before.is_price_unknown as is_price_unknown_before,
            if(event.is_deciding, after.is_price_unknown, before.is_price_unknown) as is_price_unknown_after,
            before.currency as currency_before,
            if(event.is_deciding, after.currency, before.currency) as currency_after,
            before.billing_interval as interval_before,
            if(event.is_deciding, after.billing_interval, before.billing_interval) as interval_after,
            before.billing_interval_count as interval_count_before,
            if(
                event.is_deciding, after.billing_interval_count, before.billing_interval_count
            ) as interval_count_after,
            if(
                event.is_deciding and after.valid_from_at = event.occurred_at, after.end_reason, null
            ) as end_reason
        from events as event
        left join
            periods as before
            on event.subscription_id = before.subscription_id
            and before.valid_from_at < event.occurred_at
            and before.ends_at >= event.occurred_at
        left join
            periods as after
            on event.subscription_id = after.subscription_id
            and after.valid_from_at <= event.occurred_at
            and after.ends_at > event.occurred_at
    ),

    -- A subscription that goes on while its account is excluded, or no longer is, leaves or enters by this.
    account_changes as (
        select
            day_before.subscription_id,
            day_before.provider,
            concat(
                'synthetic_account_change:',
                day_before.subscription_id,
                ':',
                cast(date_add(day_before.snapshot_date, interval 1 day) as string)
            ) as provider_event_id,
            if(account.is_resolved_test_account, 'account_set_apart', 'account_readmitted') as event_type,
            0 as event_rank,
            'synthetic_account_change' as origin,
            cast(null as string) as reason,
            cast(null as string) as offer_id,
            timestamp(date_add(day_before.snapshot_date, interval 1 day)) as occurred_at,
            cast(null as timestamp) as ingested_at,
            true as is_deciding,
            day_before.holder_account_id as account_id_after,
            day_before.holder_account_id as account_id_before,
            day_before.subscription_started_at,
            day_before.state as from_state,
            day_before.is_paid as was_paid,
            day_before.is_paid,
            day_before.state as to_state,
            true as was_entitled,
            true as is_entitled,
            day_before.plan_id as from_plan_id,
            day_before.plan_id as to_plan_id,
            day_before.told_price_amount as price_before,
            day_before.told_price_amount as price_after,
            day_before.is_price_unknown as is_price_unknown_before,
            day_before.is_price_unknown as is_price_unknown_after,
            day_before.told_currency as currency_before,
            day_before.told_currency as currency_after,
            day_before.billing_interval as interval_before,
            day_before.billing_interval as interval_after,
            day_before.billing_interval_count as interval_count_before,
            day_before.billing_interval_count as interval_count_after,
            if(account.is_resolved_test_account, 'admin', null) as end_reason
        from {{ ref("int_subscription_days") }} as day_before
        inner join
            {{ ref("int_account_versions") }} as account
            on day_before.holder_account_id = account.account_id
            and {{ valid_on("account", "date_add(day_before.snapshot_date, interval 1 day)") }}
        where
            day_before.snapshot_date between {{ start_day(-1) }} and {{ end_day(-1) }}
            and day_before.was_active_at_day_end
            and day_before.is_excluded != account.is_resolved_test_account
    ),

    everything as (
        select *, false as is_account_change
        from transitions
        union all
        select *, true
        from account_changes
    ),

    -- Set-apart accounts are in no mart; an event that crosses that line starts or ends what is.
    admitted as (
        select
            event.*,
            date(event.occurred_at) as event_date,
            coalesce(after.resolved_account_id, event.account_id_after) as account_id,
            coalesce(after.resolved_market, 'ZZ') as market,
            coalesce(before.resolved_market, 'ZZ') as market_before,
            event.was_entitled
            and if(
                event.is_account_change,
                event.event_type = 'account_set_apart',
                not coalesce(before.is_resolved_test_account, false)
            ) as was_counted,
            event.is_entitled
            and if(
                event.is_account_change,
                event.event_type = 'account_readmitted',
                not coalesce(after.is_resolved_test_account, false)
            ) as is_counted,
            event.is_account_change
            or not coalesce(before.is_resolved_test_account, false)
            or not coalesce(after.is_resolved_test_account, false) as is_in_marts
        from everything as event
        left join
            {{ ref("int_account_versions") }} as before
            on event.account_id_before = before.account_id
            and {{ valid_on("before", "date(event.occurred_at)") }}
        left join
            {{ ref("int_account_versions") }} as after
            on event.account_id_after = after.account_id
            and {{ valid_on("after", "date(event.occurred_at)") }}
    ),

    -- What no event tells, the catalogue may.
    quoted as (
        select
            event.* except (price_before, price_after, currency_before, currency_after),
            coalesce(event.price_before, list_before.price_amount) as price_before,
            coalesce(event.price_after, list_after.price_amount) as price_after,
            coalesce(event.currency_before, list_before.currency) as currency_before,
            coalesce(event.currency_after, list_after.currency) as currency_after
        from admitted as event
        left join
            {{ ref("int_list_prices_daily") }} as list_before
            on {{
                is_list_price_of(
                    "list_before",
                    "event.event_date",
                    "event.from_plan_id",
                    "event.market_before",
                    "event.price_before",
                    "event.is_price_unknown_before",
                    "event.currency_before",
                    "event.interval_before",
                    "event.interval_count_before",
                )
            }}
        left join
            {{ ref("int_list_prices_daily") }} as list_after
            on {{
                is_list_price_of(
                    "list_after",
                    "event.event_date",
                    "event.to_plan_id",
                    "event.market",
                    "event.price_after",
                    "event.is_price_unknown_after",
                    "event.currency_after",
                    "event.interval_after",
                    "event.interval_count_after",
                )
            }}
        where event.is_in_marts
    ),

    priced as (
        select
            event.*,
            to_plan.plan_kind,
            if(
                event.was_counted and event.was_paid,
                {{
                    month_cents(
                        to_cents("event.price_before"),
                        "coalesce(event.interval_before, from_plan.billing_interval)",
                        "coalesce(event.interval_count_before, from_plan.billing_interval_count)",
                    )
                }},
                0
            ) as mrr_before_cents,
            if(
                event.is_counted and event.is_paid,
                {{
                    month_cents(
                        to_cents("event.price_after"),
                        "coalesce(event.interval_after, to_plan.billing_interval)",
                        "coalesce(event.interval_count_after, to_plan.billing_interval_count)",
                    )
                }},
                0
            ) as mrr_after_cents,
            rate_before.usd_rate as usd_rate_before,
            rate_after.usd_rate as usd_rate_after
        from quoted as event
        left join {{ ref("stg_billing__plans") }} as from_plan on event.from_plan_id = from_plan.plan_id
        left join {{ ref("stg_billing__plans") }} as to_plan on event.to_plan_id = to_plan.plan_id
        left join
            {{ ref("int_usd_rates_daily") }} as rate_before
            on event.currency_before = rate_before.currency
            and event.event_date = rate_before.rate_date
        left join
            {{ ref("int_usd_rates_daily") }} as rate_after
            on event.currency_after = rate_after.currency
            and event.event_date = rate_after.rate_date
    ),

    converted as (
        select
            *,
            if(
                mrr_before_cents = 0, 0, {{ usd_cents("mrr_before_cents", "usd_rate_before") }}
            ) as mrr_before_usd_cents,
            if(
                mrr_after_cents = 0, 0, {{ usd_cents("mrr_after_cents", "usd_rate_after") }}
            ) as mrr_after_usd_cents
        from priced
    )

select
    event_date,
    subscription_id,
    account_id,
    provider,
    provider_event_id,
    event_type,
    origin,
    occurred_at,
    ingested_at,
    market,
    plan_kind,
    from_state,
    to_state,
    case
        when is_counted and not was_counted
        then if(occurred_at <= subscription_started_at, 'started', 'returned')
        when was_counted and not is_counted
        then 'ended'
        when from_state is distinct from to_state
        then if(is_paid and not was_paid, 'converted', 'state_changed')
        when from_plan_id is distinct from to_plan_id
        then
            case
                when mrr_after_usd_cents > mrr_before_usd_cents
                then 'upgraded'
                when mrr_after_usd_cents < mrr_before_usd_cents
                then 'downgraded'
                else 'switched'
            end
        when currency_before is distinct from currency_after
        then 'currency_changed'
        when price_before is distinct from price_after or mrr_before_cents is distinct from mrr_after_cents
        then 'price_changed'
        else 'unchanged'
    end as transition,
    is_counted and not was_counted as is_start,
    was_counted and not is_counted as is_end,
    cast(if(is_counted and not was_counted, 1, 0) as int64) as starts,
    cast(if(was_counted and not is_counted, 1, 0) as int64) as ends,
    from_plan_id,
    to_plan_id,
    currency_before,
    currency_after,
    {{ from_cents("mrr_before_cents") }} as mrr_before_amount,
    {{ from_cents("mrr_after_cents") }} as mrr_after_amount,
    {{ from_cents("mrr_before_usd_cents") }} as mrr_before_usd_amount,
    {{ from_cents("mrr_after_usd_cents") }} as mrr_after_usd_amount,
    reason,
    if(was_counted and not is_counted, coalesce(end_reason, 'admin'), null) as end_reason,
    offer_id
from converted
