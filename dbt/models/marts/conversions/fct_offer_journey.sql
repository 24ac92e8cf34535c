{{
    config(
        partition_by={"field": "journey_date", "data_type": "date", "granularity": "day"},
        cluster_by=["offer_id", "account_id"],
        meta={"published": "days", "restates_days": var("journey_horizon_days")},
    )
}}

with
    impressions as (
        select
            impression.impression_id,
            impression.offer_id,
            impression.occurred_at,
            account.resolved_account_id as account_id
        from {{ ref("stg_merchandising__offer_impressions") }} as impression
        inner join
            {{ ref("int_account_versions") }} as account
            on impression.account_id = account.account_id
            and {{ valid_on("account", "date(impression.occurred_at)") }}
        where
            impression.is_shown
            and not account.is_resolved_test_account
            and impression.occurred_at < timestamp({{ as_of_day(1) }})
    ),

    -- A journey of the run's days competes for a conversion with those opened up to a window before it.
    journeys as (
        select
            *,
            timestamp_add(opened_at, interval {{ var("attribution_days") }} day) as attribution_ends_at,
            -- Nothing after the as-of day counts, whatever a skewed clock says.
            least(
                timestamp_add(opened_at, interval {{ var("journey_horizon_days") }} day),
                timestamp({{ as_of_day(1) }})
            ) as ends_at
        from {{ ref("int_offer_openings") }}
        where opened_at >= timestamp({{ start_day(-journey_reach_days()) }})
    ),

    journey_impressions as (
        select
            impression.impression_id,
            impression.account_id,
            impression.offer_id,
            impression.occurred_at,
            journey.ends_at
        from impressions as impression
        inner join
            journeys as journey
            on impression.account_id = journey.account_id
            and impression.offer_id = journey.offer_id
        where impression.occurred_at >= journey.opened_at and impression.occurred_at < journey.ends_at
    ),

    -- A click without its impression belongs to no journey.
    journey_clicks as (
        select
            click.click_id, impression.account_id, impression.offer_id, click.occurred_at, impression.ends_at
        from {{ ref("stg_merchandising__offer_clicks") }} as click
        inner join journey_impressions as impression on click.impression_id = impression.impression_id
        where click.occurred_at < impression.ends_at
    ),

    journey_checkouts as (
        select click.account_id, click.offer_id, checkout.checkout_id
        from {{ ref("stg_merchandising__checkouts") }} as checkout
        inner join journey_clicks as click on checkout.click_id = click.click_id
        where checkout.occurred_at < click.ends_at
    ),

    touches as (
        select account_id, offer_id, occurred_at
        from journey_impressions
        union all
        select account_id, offer_id, occurred_at
        from journey_clicks
    ),

    impression_counts as (
        select account_id, offer_id, count(*) as impressions
        from journey_impressions
        group by account_id, offer_id
    ),

    click_counts as (
        select account_id, offer_id, count(*) as clicks from journey_clicks group by account_id, offer_id
    ),

    checkout_counts as (
        select account_id, offer_id, count(*) as checkouts
        from journey_checkouts
        group by account_id, offer_id
    ),

    touch_times as (
        select account_id, offer_id, min(occurred_at) as first_touch_at, max(occurred_at) as last_touch_at
        from touches
        group by account_id, offer_id
    ),

    reported as ({{ canonical_events(within_days=journey_reach_days()) }}),

    withdrawn as ({{ withdrawals("reported") }}),

    heard as (
        select {{ event_columns() }}
        from reported
        union all
        select {{ event_columns() }}
        from withdrawn
    ),

    held as ({{ held_events("heard", "subscription_id") }}),

    -- What an export calls a start may go on from what an earlier one told: there the life knows.
    openings_heard as (
        select event.*
        from held as event
        left join
            {{ ref("int_subscription_periods") }} as life
            on event.export_covers is not null
            and event.subscription_id = life.subscription_id
            and event.occurred_at = life.valid_from_at
            and event.provider_event_id = life.provider_event_id
        where
            if(event.export_covers is null, event.event_type, life.event_type)
            in ('trial_started', 'started', 'reactivated')
            and event.occurred_at >= timestamp({{ start_day(-journey_reach_days()) }})
            and event.occurred_at < timestamp({{ as_of_day(1) }})
        qualify
            row_number() over (
                partition by event.provider, event.provider_event_id
                order by event.ingested_at, event.landing_file, event.landing_row
            )
            = 1
    ),

    -- What converts a journey: a trial, a start, or a return.
    starts as (
        select
            event.subscription_id,
            event.provider_event_id,
            event.occurred_at as started_at,
            if(event.event_type = 'trial_started', 'trial', 'paid') as conversion_type,
            coalesce(account.resolved_account_id, event.account_id) as account_id
        from openings_heard as event
        left join
            {{ ref("int_account_versions") }} as account
            on event.account_id = account.account_id
            and {{ valid_on("account", "date(event.occurred_at)") }}
    ),

    candidates as (
        select
            journey.account_id,
            journey.offer_id,
            journey.opened_at,
            start.subscription_id,
            start.provider_event_id,
            start.started_at,
            start.conversion_type,
            max(touch.occurred_at) as last_touch_at
        from journeys as journey
        inner join
            starts as start
            on journey.account_id = start.account_id
            and start.started_at >= journey.opened_at
            and start.started_at < journey.attribution_ends_at
        inner join
            touches as touch
            on journey.account_id = touch.account_id
            and journey.offer_id = touch.offer_id
            and touch.occurred_at <= start.started_at
        group by 1, 2, 3, 4, 5, 6, 7
    ),

    -- Every start has one last touch and one first touch among the journeys of its account.
    credited as (
        select
            *,
            row_number() over (start_touches order by last_touch_at desc, opened_at desc, offer_id)
            = 1 as is_last_touch_conversion,
            row_number() over (start_touches order by opened_at, offer_id) = 1 as is_first_touch_conversion
        from candidates
        window start_touches as (partition by account_id, subscription_id, provider_event_id, started_at)
    ),

    -- A journey converts at most once: by the start that it is the last touch of, else by the earliest.
    conversions as (
        select *
        from credited
        where true
        qualify
            row_number() over (
                partition by account_id, offer_id
                order by is_last_touch_conversion desc, started_at, subscription_id, provider_event_id
            )
            = 1
    ),

    converted_journeys as (
        select conversion.*, journey.ends_at
        from conversions as conversion
        inner join
            journeys as journey
            on conversion.account_id = journey.account_id
            and conversion.offer_id = journey.offer_id
    ),

    -- A trial is credited with the payment it becomes within the journey's horizon.
    first_payments as (
        select conversion.account_id, conversion.offer_id, min(period.valid_from_at) as paid_at
        from converted_journeys as conversion
        inner join
            {{ ref("int_subscription_periods") }} as period
            on conversion.subscription_id = period.subscription_id
        where
            period.is_paid
            and conversion.conversion_type = 'trial'
            and period.valid_from_at >= conversion.started_at
            and period.valid_from_at < conversion.ends_at
        group by conversion.account_id, conversion.offer_id
    ),

    journey_charges as (
        select
            conversion.account_id,
            conversion.offer_id,
            charge.payment_id,
            conversion.ends_at,
            {{ to_cents("charge.payment_amount") }} as charge_cents,
            rate.usd_rate
        from converted_journeys as conversion
        inner join
            {{ ref("stg_billing__payments") }} as charge
            on conversion.subscription_id = charge.subscription_id
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on charge.currency = rate.currency
            and date(charge.occurred_at) = rate.rate_date
        where
            charge.payment_kind = 'charge'
            and charge.payment_status = 'succeeded'
            and charge.occurred_at >= conversion.opened_at
            and charge.occurred_at < conversion.ends_at
    ),

    journey_refunds as (
        select
            charge.account_id,
            charge.offer_id,
            charge.payment_id,
            sum({{ to_cents("refund.payment_amount") }}) as refund_cents
        from journey_charges as charge
        inner join
            {{ ref("stg_billing__payments") }} as refund on charge.payment_id = refund.refunded_payment_id
        where
            refund.payment_kind = 'refund'
            and refund.payment_status = 'succeeded'
            and refund.occurred_at < charge.ends_at
        group by charge.account_id, charge.offer_id, charge.payment_id
    ),

    -- A charge cannot be refunded twice: what exceeds it is a duplicate.
    net_charges as (
        select
            charge.account_id,
            charge.offer_id,
            charge.charge_cents,
            cast(
                charge.charge_cents - least(coalesce(refund.refund_cents, 0), charge.charge_cents) as int64
            ) as net_cents,
            charge.usd_rate
        from journey_charges as charge
        left join
            journey_refunds as refund
            on charge.account_id = refund.account_id
            and charge.offer_id = refund.offer_id
            and charge.payment_id = refund.payment_id
    ),

    -- A charge without a rate makes the revenue unknown, not smaller.
    revenues as (
        select
            account_id,
            offer_id,
            if(
                countif(usd_rate is null) > 0, null, sum({{ usd_cents("charge_cents", "usd_rate") }})
            ) as charge_usd_cents,
            if(
                countif(usd_rate is null) > 0, null, sum({{ usd_cents("net_cents", "usd_rate") }})
            ) as net_usd_cents,
            count(*) as charges
        from net_charges
        group by account_id, offer_id
    ),

    -- The arm the account was in when the journey opened.
    variants as (
        select journey.account_id, journey.offer_id, assignment.experiment_id, assignment.variant
        from journeys as journey
        inner join
            {{ ref("stg_merchandising__experiment_assignments") }} as assignment
            on journey.account_id = assignment.account_id
            and assignment.occurred_at <= journey.opened_at
        where true
        qualify
            row_number() over (
                partition by journey.account_id, journey.offer_id
                order by assignment.occurred_at desc, assignment.experiment_id
            )
            = 1
    )

select
    date(journey.opened_at) as journey_date,
    journey.account_id,
    journey.offer_id,
    journey.surface,
    journey.market,
    variant.experiment_id,
    coalesce(variant.variant, 'none') as variant,
    journey.opened_at,
    cast(impression.impressions as int64) as impressions,
    cast(coalesce(click.clicks, 0) as int64) as clicks,
    cast(coalesce(checkout.checkouts, 0) as int64) as checkouts,
    touch.first_touch_at,
    touch.last_touch_at,
    conversion.started_at as converted_at,
    conversion.subscription_id as converted_subscription_id,
    conversion.conversion_type,
    coalesce(conversion.is_last_touch_conversion, false) as is_last_touch_conversion,
    coalesce(conversion.is_first_touch_conversion, false) as is_first_touch_conversion,
    if(conversion.conversion_type = 'paid', conversion.started_at, payment.paid_at) as paid_at,
    if(
        coalesce(revenue.charges, 0) = 0, cast(0 as numeric(38, 9)), {{ from_cents("revenue.net_usd_cents") }}
    ) as revenue_usd_amount,
    if(
        coalesce(revenue.charges, 0) = 0,
        cast(0 as numeric(38, 9)),
        {{ from_cents("(revenue.charge_usd_cents - revenue.net_usd_cents)") }}
    ) as refunds_usd_amount,
    timestamp({{ as_of_day(1) }}) >= journey.attribution_ends_at as is_mature
from journeys as journey
inner join
    impression_counts as impression
    on journey.account_id = impression.account_id
    and journey.offer_id = impression.offer_id
inner join touch_times as touch on journey.account_id = touch.account_id and journey.offer_id = touch.offer_id
left join click_counts as click on journey.account_id = click.account_id and journey.offer_id = click.offer_id
left join
    checkout_counts as checkout
    on journey.account_id = checkout.account_id
    and journey.offer_id = checkout.offer_id
left join
    conversions as conversion
    on journey.account_id = conversion.account_id
    and journey.offer_id = conversion.offer_id
left join
    first_payments as payment
    on journey.account_id = payment.account_id
    and journey.offer_id = payment.offer_id
left join
    revenues as revenue on journey.account_id = revenue.account_id and journey.offer_id = revenue.offer_id
left join
    variants as variant on journey.account_id = variant.account_id and journey.offer_id = variant.offer_id
where {{ rebuilt_days("date(journey.opened_at)", var("journey_horizon_days")) }}
