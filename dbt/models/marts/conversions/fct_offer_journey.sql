{{
    config(
        partition_by={"field": "journey_date", "data_type": "date", "granularity": "day"},
        cluster_by=["offer_id", "account_id"],
        meta={
            "published": "days",
            "restates_days": var("journey_horizon_days"),
            "measures": ["impressions", "clicks", "checkouts", "revenue_usd_amount"],
        },
    )
}}

{%- set known_until = "timestamp(" ~ as_of_day(1) ~ ")" %}

with
    -- Nothing after the as-of day counts, whatever a skewed clock says.
    journeys as (
        select
            *,
            {{ too_old_at("opened_at") }} as closes_at,
            least({{ too_old_at("opened_at") }}, {{ known_until }}) as counts_until_at
        from {{ ref("int_offer_journeys") }}
        where {{ rebuilt_days("date(opened_at)", var("journey_horizon_days")) }}
    ),

    -- A click is counted where its impression is, also after the journey has converted.
    journey_touches as (
        select
            touch.*, journey.journey_number, journey.opened_at, journey.window_ends_at, journey.last_touch_at
        from {{ ref("int_offer_touches") }} as touch
        inner join
            journeys as journey
            on touch.account_id = journey.account_id
            and touch.offer_id = journey.offer_id
            and touch.shown_at >= journey.opened_at
            and (touch.shown_at < journey.next_opened_at or journey.next_opened_at is null)
        where touch.touched_at < journey.window_ends_at
    ),

    journey_checkouts as (
        select
            click.account_id,
            click.offer_id,
            click.journey_number,
            greatest(checkout.occurred_at, click.touched_at) as checkout_at
        from {{ ref("stg_merchandising__checkouts") }} as checkout
        inner join journey_touches as click on checkout.click_id = click.click_id
        where
            {{ answer_link("checkout.occurred_at", "click.touched_at") }} = 'linked'
            and checkout.occurred_at < click.window_ends_at
            and checkout.occurred_at < {{ known_until }}
    ),

    touch_counts as (
        select
            account_id,
            offer_id,
            journey_number,
            countif(click_id is null) as impressions,
            countif(click_id is not null) as clicks,
            min(if(click_id is not null, touched_at, null)) as first_click_at,
            logical_or(is_early) as has_early_click
        from journey_touches
        group by account_id, offer_id, journey_number
    ),

    checkout_counts as (
        select
            account_id, offer_id, journey_number, count(*) as checkouts, min(checkout_at) as first_checkout_at
        from journey_checkouts
        group by account_id, offer_id, journey_number
    ),

    opening_touches as (
        select *
        from journey_touches
        where click_id is null and touched_at = opened_at
        qualify
            row_number() over (partition by account_id, offer_id, journey_number order by impression_id) = 1
    ),

    converted as (select * from journeys where converted_at is not null),

    -- A trial is credited with the payment it becomes within the journey's horizon.
    first_payments as (
        select
            journey.account_id, journey.offer_id, journey.journey_number, min(period.valid_from_at) as paid_at
        from converted as journey
        inner join
            {{ ref("int_subscription_periods") }} as period
            on journey.converted_subscription_id = period.subscription_id
        where
            period.is_paid
            and period.valid_from_at >= journey.converted_at
            and period.valid_from_at < journey.counts_until_at
        group by journey.account_id, journey.offer_id, journey.journey_number
    ),

    -- A feed of payments may know days only: what is paid on the day of the start is paid for it.
    journey_payments as (
        select
            journey.account_id,
            journey.offer_id,
            journey.journey_number,
            payment.payment_id,
            payment.payment_kind,
            payment.refunded_payment_id,
            payment.occurred_at,
            payment.counted_cents,
            payment.counted_usd_cents
        from converted as journey
        inner join
            {{ ref("int_payments") }} as payment
            on journey.converted_subscription_id = payment.subscription_id
        where
            payment.is_counted
            and payment.payment_date
            between {{ start_day(-var("journey_horizon_days")) }} and {{ as_of_day() }}
            and payment.payment_date >= date(journey.converted_at)
            and payment.occurred_at < journey.counts_until_at
    ),

    own_payments as ({{ own_payments("journey_payments", ["account_id", "offer_id", "journey_number"]) }}),

    -- A payment without a rate makes the revenue unknown, not smaller.
    revenues as (
        select
            account_id,
            offer_id,
            journey_number,
            {%- for kind, moment in [("refund", "refunded_at"), ("dispute", "charged_back_at")] %}
                min(if(payment_kind = '{{ kind }}' and counted_cents < 0, occurred_at, null)) as {{ moment }},
                if(
                    countif(payment_kind = '{{ kind }}' and counted_usd_cents is null) > 0,
                    null,
                    - sum(if(payment_kind = '{{ kind }}', counted_usd_cents, 0))
                ) as {{ kind }}_usd_cents,
            {%- endfor %}
            if(countif(counted_usd_cents is null) > 0, null, sum(counted_usd_cents)) as usd_cents
        from own_payments
        group by account_id, offer_id, journey_number
    ),

    -- The arm the account was in when the journey opened.
    assigned_variants as (
        select
            journey.account_id,
            journey.offer_id,
            journey.journey_number,
            assignment.experiment_id,
            assignment.variant
        from journeys as journey
        inner join
            {{ ref("stg_merchandising__experiment_assignments") }} as assignment
            on journey.account_id = assignment.account_id
            and assignment.occurred_at <= journey.opened_at
        where true
        qualify
            row_number() over (
                partition by journey.account_id, journey.offer_id, journey.journey_number
                order by assignment.occurred_at desc, assignment.experiment_id
            )
            = 1
    )

select
    date(journey.opened_at) as journey_date,
    journey.account_id,
    journey.offer_id,
    journey.journey_number,
    opening.surface,
    opening.market,
    journey.opened_at,
    opening.decision_id,
    opening.rule_id,
    opening.rule_version,
    opening.generation,
    opening.content_version,
    {%- for column in touch_details() %} journey.last_touch_{{ column }}, {%- endfor %}
    -- What the surface says it showed; else what the account was assigned to.
    if(opening.experiment_id is null, assigned.experiment_id, opening.experiment_id) as experiment_id,
    coalesce(if(opening.experiment_id is null, assigned.variant, opening.variant), 'none') as variant,
    cast(touch.impressions as int64) as impressions,
    cast(touch.clicks as int64) as clicks,
    cast(coalesce(checkout.checkouts, 0) as int64) as checkouts,
    touch.has_early_click,
    journey.opened_at as first_touch_at,
    touch.first_click_at,
    checkout.first_checkout_at,
    journey.last_touch_at,
    journey.converted_at,
    journey.converted_subscription_id,
    journey.conversion_type,
    journey.is_last_touch_conversion,
    journey.is_first_touch_conversion,
    if(journey.conversion_type = 'trial', journey.converted_at, null) as trial_started_at,
    if(journey.conversion_type = 'paid', journey.converted_at, payment.paid_at) as paid_at,
    revenue.refunded_at,
    revenue.charged_back_at,
    {%- for amount, cents in [
        ("revenue", "usd_cents"),
        ("refunds", "refund_usd_cents"),
        ("chargebacks", "dispute_usd_cents"),
    ] %}
        if(
            revenue.account_id is null, cast(0 as numeric(38, 9)), {{ from_cents("revenue." ~ cents) }}
        ) as {{ amount }}_usd_amount,
    {%- endfor %}
    journey.ended_at,
    journey.end_reason,
    {{ known_until }} >= journey.window_ends_at as is_mature,
    {{ known_until }} >= journey.closes_at as is_closed
from journeys as journey
{%- for cte, row, kind in [
        ("touch_counts", "touch", "inner"),
        ("opening_touches", "opening", "inner"),
        ("checkout_counts", "checkout", "left"),
        ("first_payments", "payment", "left"),
        ("revenues", "revenue", "left"),
        ("assigned_variants", "assigned", "left"),
    ] %}
        {{ kind }}
    join
        {{ cte }} as {{ row }}
        on journey.account_id = {{ row }}.account_id
        and journey.offer_id = {{ row }}.offer_id
        and journey.journey_number = {{ row }}.journey_number
{%- endfor %}
