{{
    config(
        partition_by={"field": "payment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

{%- set reach_days = var("payment_reach_days") %}

with
    -- What succeeds on the day on which it was pending or failed has succeeded on that day.
    payments as (
        select
            *,
            payment_status in ('succeeded', 'reversed') as is_settled,
            {{ to_cents("payment_amount") }} as cents,
            {{ to_cents("charged_amount") }} as told_charge_cents
        from {{ ref("int_told_payments") }}
        where payment_date between {{ start_day(-payment_window_days()) }} and {{ as_of_day() }}
        qualify
            row_number() over (
                partition by payment_id, payment_date
                order by
                    case payment_status when 'pending' then 2 when 'failed' then 1 else 0 end,
                    occurred_at desc
            )
            = 1
    ),

    -- Of one payment that both the feed and a notification tell, whichever has the earlier day counts, and
    -- the feed of one day: what a day counts then depends on no later day.
    feed_days as (
        select distinct
            subscription_id, payment_kind, date_add(payment_date, interval days_later day) as payment_date
        from payments
        cross join unnest(generate_array(0, {{ var("payment_match_days") }})) as days_later
        where source = 'payments' and is_settled
    ),

    notification_days as (
        select distinct
            payment.subscription_id,
            payment.payment_kind,
            date_add(payment.payment_date, interval days_later day) as payment_date
        from payments as payment
        left join
            feed_days as feed
            on payment.subscription_id = feed.subscription_id
            and payment.payment_kind = feed.payment_kind
            and payment.payment_date = feed.payment_date
        cross join unnest(generate_array(1, {{ var("payment_match_days") }})) as days_later
        where payment.source != 'payments' and payment.is_settled and feed.payment_date is null
    ),

    matched as (
        select
            payment.*,
            payment.is_settled
            and if(
                payment.source = 'payments',
                notification.payment_date is not null,
                feed.payment_date is not null
            ) as is_told_twice
        from payments as payment
        left join
            feed_days as feed
            on payment.subscription_id = feed.subscription_id
            and payment.payment_kind = feed.payment_kind
            and payment.payment_date = feed.payment_date
        left join
            notification_days as notification
            on payment.subscription_id = notification.subscription_id
            and payment.payment_kind = notification.payment_kind
            and payment.payment_date = notification.payment_date
    ),

    charges as (
        select
            payment_id,
            subscription_id,
            source = 'payments' as is_of_feed,
            currency,
            payment_date,
            occurred_at,
            is_settled,
            is_told_twice,
            cents,
            if(is_settled, cents, 0) as charge_cents,
            -- The how-many-eth of its amount it is on its day, of those that its source tells.
            row_number() over (
                partition by
                    subscription_id,
                    payment_date,
                    currency,
                    cents,
                    source = 'payments',
                    is_settled,
                    is_told_twice
                order by occurred_at, payment_id
            ) as place
        from matched
        where payment_kind = 'charge'
    ),

    -- Of a charge that both tell the row that counts, for those that are set aside.
    counterparts as (
        select aside.payment_id, aside.payment_date, counted.payment_id as counted_payment_id
        from charges as aside
        inner join
            charges as counted
            on aside.subscription_id = counted.subscription_id
            and aside.is_of_feed != counted.is_of_feed
            and counted.payment_date <= aside.payment_date
            and counted.payment_date
            >= date_sub(aside.payment_date, interval {{ var("payment_match_days") }} day)
        where aside.is_told_twice and counted.is_settled and not counted.is_told_twice
        qualify
            row_number() over (
                partition by aside.payment_id
                order by
                    if(aside.currency = counted.currency and aside.cents = counted.cents, 0, 1),
                    if(aside.place = counted.place, 0, 1),
                    counted.payment_date desc,
                    counted.occurred_at,
                    counted.payment_id
            )
            = 1
    ),

    -- What is taken back is taken from the row that counts, whichever of the two it names.
    linked as (
        select
            payment.* replace (
                coalesce(counterpart.counted_payment_id, payment.refunded_payment_id) as refunded_payment_id
            )
        from matched as payment
        left join
            counterparts as counterpart
            on payment.refunded_payment_id = counterpart.payment_id
            and counterpart.payment_date <= payment.payment_date
            and counterpart.payment_date >= date_sub(payment.payment_date, interval {{ reach_days }} day)
    ),

    -- Refunds and disputes of one charge, of which earlier ones leave less to take.
    takings as (
        select refunded_payment_id, payment_kind, payment_status, payment_id, payment_date, occurred_at, cents
        from linked
        where
            payment_kind != 'charge' and is_settled and not is_told_twice and refunded_payment_id is not null
    ),

    earlier_takings as (
        select
            taking.payment_id,
            taking.payment_date,
            sum(if(earlier.payment_status = 'succeeded', earlier.cents, 0)) as taken_cents,
            sum(if(earlier.payment_status = 'reversed', earlier.cents, 0)) as returned_cents
        from takings as taking
        inner join
            takings as earlier
            on taking.refunded_payment_id = earlier.refunded_payment_id
            and taking.payment_kind = earlier.payment_kind
        where
            (
                earlier.occurred_at < taking.occurred_at
                or (earlier.occurred_at = taking.occurred_at and earlier.payment_id < taking.payment_id)
            )
            and earlier.payment_date >= date_sub(taking.payment_date, interval {{ reach_days }} day)
        group by taking.payment_id, taking.payment_date
    ),

    limited as (
        select
            payment.*,
            coalesce(charge.occurred_at, payment.occurred_at) as charged_at,
            coalesce(earlier.taken_cents, 0) as taken_cents,
            coalesce(earlier.returned_cents, 0) as returned_cents,
            -- What may be taken of the charge, this payment included; null where nobody tells the charge.
            coalesce(charge.charge_cents, payment.told_charge_cents)
            + coalesce(earlier.returned_cents, 0) as limit_cents,
            coalesce(charge.charge_cents = 0, false) as is_of_unpaid_charge
        from linked as payment
        left join
            charges as charge
            on payment.payment_kind != 'charge'
            and payment.refunded_payment_id = charge.payment_id
            and payment.currency = charge.currency
            and charge.payment_date <= payment.payment_date
            and charge.payment_date >= date_sub(payment.payment_date, interval {{ reach_days }} day)
        left join
            earlier_takings as earlier
            on payment.payment_id = earlier.payment_id
            and payment.payment_date = earlier.payment_date
        where payment.payment_date >= {{ start_day(-paid_reach_days()) }}
        -- The charge as it stood by the end of the day: succeeded, or else failed or pending.
        qualify
            row_number() over (
                partition by payment.payment_id, payment.payment_date
                order by charge.is_settled desc, charge.occurred_at
            )
            = 1
    ),

    -- What counts of the amount, before anything is known of who pays.
    weighed as (
        select
            *,
            case
                when not is_settled or is_told_twice or cents is null or currency is null
                then 0
                when payment_kind = 'charge'
                then cents
                when payment_status = 'succeeded'
                then if(limit_cents is null, cents, least(cents, greatest(limit_cents - taken_cents, 0)))
                -- Only what was taken comes back.
                else
                    least(
                        cents,
                        greatest(least(taken_cents, coalesce(limit_cents, taken_cents)) - returned_cents, 0)
                    )
            end as weighed_cents
        from limited
    ),

    lives as (
        select
            life.*,
            max(
                if(life.event_type in ('trial_started', 'started', 'reactivated'), life.valid_from_at, null)
            ) over (
                partition by life.subscription_id
                order by life.valid_from_at
                rows between unbounded preceding and current row
            ) as opened_at
        from {{ ref("int_subscription_periods") }} as life
        inner join
            (select distinct subscription_id from weighed) as paid
            on life.subscription_id = paid.subscription_id
    ),

    -- The subscription as it was when it was charged; of a charge just before the start, as it was that day.
    subscribed as (
        select
            payment.*,
            coalesce(life.account_id, payment.account_id) as holder_account_id,
            coalesce(payment.provider, life.provider) as paid_provider,
            life.plan_id,
            opening.offer_id as acquisition_offer_id,
            date(payment.charged_at) as charge_date,
            if(
                life.subscription_started_at < payment.charged_at,
                date_diff(date(payment.charged_at), date(life.subscription_started_at), day),
                0
            ) as tenure_days
        from weighed as payment
        left join
            lives as life
            on payment.subscription_id = life.subscription_id
            and life.valid_from_at < timestamp(date_add(date(payment.charged_at), interval 1 day))
        left join
            lives as opening
            on life.subscription_id = opening.subscription_id
            and life.opened_at = opening.valid_from_at
        where true
        qualify
            row_number() over (
                partition by payment.payment_id, payment.payment_date
                order by
                    life.valid_from_at <= payment.charged_at desc,
                    if(life.valid_from_at <= payment.charged_at, life.valid_from_at, null) desc,
                    life.valid_from_at
            )
            = 1
    ),

    -- The fee falls due with the charge, by the subscription's age then; tax by the rate of that day.
    rated as (
        select
            payment.*,
            coalesce(account.resolved_account_id, payment.holder_account_id) as resolved_account_id,
            coalesce(account.resolved_market, 'ZZ') as market,
            coalesce(account.is_resolved_test_account, false) as is_test_account,
            plan.plan_kind,
            if(
                coalesce(price.is_tax_inclusive, true), coalesce(vat.vat_basis_points, 0), 0
            ) as vat_basis_points,
            if(
                payment.payment_kind = 'charge' or fee.is_returned, fee.fee_basis_points, 0
            ) as fee_basis_points,
            rate.usd_rate
        from subscribed as payment
        left join
            {{ ref("int_account_versions") }} as account
            on payment.holder_account_id = account.account_id
            and {{ valid_on("account", "payment.payment_date") }}
        left join {{ ref("stg_billing__plans") }} as plan on payment.plan_id = plan.plan_id
        left join
            {{ ref("int_list_prices") }} as price
            on payment.plan_id = price.plan_id
            and coalesce(account.resolved_market, 'ZZ') = price.market
            and payment.currency = price.currency
            and {{ valid_on("price", "payment.charge_date") }}
        left join
            {{ ref("int_vat_rates") }} as vat
            on coalesce(account.resolved_market, 'ZZ') = vat.market
            and {{ valid_on("vat", "payment.charge_date") }}
        left join
            {{ ref("int_provider_fees") }} as fee
            on payment.paid_provider = fee.provider
            and {{ valid_on("fee", "payment.charge_date") }}
            and payment.tenure_days >= fee.from_tenure_days
            and payment.tenure_days < fee.to_tenure_days
        left join
            {{ ref("int_usd_rates_daily") }} as rate
            on payment.currency = rate.currency
            and payment.payment_date = rate.rate_date
    ),

    judged as (
        select
            *,
            case
                when is_test_account
                then 'test_account'
                when payment_status = 'pending'
                then 'pending'
                when payment_status = 'failed'
                then if(payment_kind = 'dispute', 'dispute_won', 'failed')
                when is_told_twice
                then if(source = 'payments', 'told_by_notification', 'told_by_payments')
                when cents is null or currency is null
                then 'amount_unknown'
                when weighed_cents = cents
                then null
                when payment_status = 'reversed'
                then if(weighed_cents = 0, 'nothing_taken', 'beyond_taken')
                when is_of_unpaid_charge
                then 'charge_not_paid'
                when weighed_cents = 0
                then if(payment_kind = 'dispute', 'already_disputed', 'already_refunded')
                else 'beyond_charge'
            end as not_counted_reason,
            if(is_test_account, 0, weighed_cents) as counted_cents,
            if((payment_kind = 'charge') = (payment_status = 'reversed'), -1, 1) as direction
        from rated
    ),

    untaxed as (
        select
            *, {{ half_even_div("(counted_cents * 10000)", "(10000 + vat_basis_points)") }} as untaxed_cents
        from judged
    ),

    netted as (
        select
            *,
            untaxed_cents
            - {{ half_even_div("(untaxed_cents * coalesce(fee_basis_points, 0))", "10000") }} as net_cents
        from untaxed
    ),

    -- Nothing is nothing in every currency, also in one without a rate.
    converted as (
        select
            *,
            if(counted_cents = 0, 0, {{ usd_cents("counted_cents", "usd_rate") }}) as counted_usd_cents,
            if(untaxed_cents = 0, 0, {{ usd_cents("untaxed_cents", "usd_rate") }}) as untaxed_usd_cents,
            if(net_cents = 0, 0, {{ usd_cents("net_cents", "usd_rate") }}) as net_usd_cents
        from netted
    )

select
    payment_date,
    payment_id,
    source,
    resolved_account_id as account_id,
    subscription_id,
    paid_provider as provider,
    market,
    plan_id,
    plan_kind,
    acquisition_offer_id,
    payment_kind,
    payment_status,
    refunded_payment_id,
    currency,
    cast(payment_amount as numeric(38, 9)) as payment_amount,
    not_counted_reason is null or counted_cents != 0 as is_counted,
    not_counted_reason,
    cast(direction * counted_cents as int64) as counted_cents,
    cast(direction * (counted_cents - untaxed_cents) as int64) as vat_cents,
    cast(direction * (untaxed_cents - net_cents) as int64) as fee_cents,
    cast(direction * net_cents as int64) as net_cents,
    cast(direction * counted_usd_cents as int64) as counted_usd_cents,
    cast(direction * (counted_usd_cents - untaxed_usd_cents) as int64) as vat_usd_cents,
    cast(direction * (untaxed_usd_cents - net_usd_cents) as int64) as fee_usd_cents,
    cast(direction * net_usd_cents as int64) as net_usd_cents,
    occurred_at
from converted
