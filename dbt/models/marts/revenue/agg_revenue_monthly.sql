-- A partition is a day: the month until then. The month is told by its last day.
{{
    config(
        partition_by={"field": "closing_date", "data_type": "date", "granularity": "day"},
        cluster_by=["market", "plan_kind"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["gross_usd_amount", "net_usd_amount", "mrr_usd_amount"],
        },
    )
}}

{%- set bridge = ["prepaid", "grace", "not_charged", "price", "left"] %}
{%- set first_of_month = run_day("start_date")[:8] ~ "01" %}

with
    -- Each payment of a month belongs to every later day of it.
    payments as (
        select
            closing_date,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            payment_kind,
            {{ cash_lines() }}
        from {{ ref("int_payments") }}
        cross join
            unnest(
                generate_date_array(
                    greatest(payment_date, {{ start_day() }}), least(last_day(payment_date), {{ end_day() }})
                )
            ) as closing_date
        where payment_date between date '{{ first_of_month }}' and {{ end_day() }} and is_counted
    ),

    sides as (
        select
            closing_date,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            payment_kind,
            is_without_rate,
            {%- for line in cash_names() %} {{ line }}_cents, {{ line }}_usd_cents, {%- endfor %}
            0 as mrr_cents,
            0 as mrr_usd_cents,
            false as is_active,
            false as is_in_grace,
            false as is_prepaid
        from payments
        union all
        select
            snapshot_date,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            cast(null as string),
            0,
            {%- for line in cash_names() %} 0, 0, {%- endfor %}
            -- What is not known counts as nothing, as in agg_subscribers_daily.
            coalesce(mrr_cents, 0),
            coalesce(mrr_usd_cents, 0),
            true,
            state = 'grace',
            coalesce(
                case
                    billing_interval
                    when 'year'
                    then true
                    when 'month'
                    then billing_interval_count > 1
                    when 'week'
                    then billing_interval_count > 4
                    when 'day'
                    then billing_interval_count > 31
                end,
                false
            )
        from {{ ref("int_subscription_days") }}
        where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end and not is_excluded
    ),

    -- What a subscription has paid since the first of the month, beside what it is worth a month when the day
    -- closes.
    subscriptions as (
        select
            closing_date,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            countif(payment_kind = 'charge') as charges,
            countif(payment_kind = 'refund') as refunds,
            countif(payment_kind = 'dispute') as disputes,
            sum(is_without_rate) as payments_without_rate,
            {%- for line in cash_names() %}
                cast(sum({{ line }}_cents) as int64) as {{ line }}_cents,
                cast({{ known_sum(line ~ "_usd_cents") }} as int64) as {{ line }}_usd_cents,
            {%- endfor %}
            cast(sum(mrr_cents) as int64) as mrr_cents,
            cast(sum(mrr_usd_cents) as int64) as mrr_usd_cents,
            logical_or(is_active) as is_active,
            logical_or(is_in_grace) as is_in_grace,
            logical_or(is_prepaid) as is_prepaid
        from sides
        group by closing_date, subscription_id, market, plan_kind, provider, currency
    ),

    compared as (
        select
            subscription.*,
            -- What was paid, at the rate at which the closing revenue is told.
            if(
                subscription.gross_cents = 0, 0, {{ usd_cents("subscription.gross_cents", "rate.usd_rate") }}
            ) as gross_closing_usd_cents,
            case
                when not subscription.is_active
                then 'left'
                when subscription.is_prepaid
                then 'prepaid'
                when subscription.gross_cents != 0
                then 'price'
                when subscription.is_in_grace
                then 'grace'
                else 'not_charged'
            end as bridge
        from subscriptions as subscription
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on subscription.currency = rate.currency
            and subscription.closing_date = rate.rate_date
    )

select
    closing_date,
    date_trunc(closing_date, month) as revenue_month,
    closing_date = last_day(closing_date) as is_month_end,
    market,
    plan_kind,
    provider,
    currency,
    cast(sum(charges) as int64) as charges,
    cast(sum(refunds) as int64) as refunds,
    cast(sum(disputes) as int64) as disputes,
    cast(sum(payments_without_rate) as int64) as payments_without_rate,
    {%- for line in cash_names() %}
        {{ from_cents("sum(" ~ line ~ "_cents)") }} as {{ line }}_amount,
    {%- endfor %}
    {%- for line in bridge %}
        {{ from_cents("sum(if(bridge = '" ~ line ~ "', mrr_cents - gross_cents, 0))") }}
        as bridge_{{ line }}_amount,
    {%- endfor %}
    {{ from_cents("sum(mrr_cents)") }} as mrr_amount,
    {%- for line in cash_names() %}
        {{ from_cents(known_sum(line ~ "_usd_cents")) }} as {{ line }}_usd_amount,
    {%- endfor %}
    {{ from_cents(known_sum("(gross_closing_usd_cents - gross_usd_cents)")) }} as bridge_fx_usd_amount,
    {%- for line in bridge %}
        {{
            from_cents(
                known_sum("if(bridge = '" ~ line ~ "', mrr_usd_cents - gross_closing_usd_cents, 0)")
            )
        }} as bridge_{{ line }}_usd_amount,
    {%- endfor %}
    {{ from_cents("sum(mrr_usd_cents)") }} as mrr_usd_amount
from compared
group by closing_date, market, plan_kind, provider, currency
