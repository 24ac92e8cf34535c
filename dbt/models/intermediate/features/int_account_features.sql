{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    first_known as (
        select account.account_id, min({{ known_from("account") }}) as known_from_date
        from {{ ref("stg_identity__accounts") }} as account
        cross join {{ ref("int_first_arrival") }} as first_arrival
        group by account.account_id
    ),

    -- Accounts on the days on which they are known and have not become another one.
    account_days as (
        select
            feature_date,
            account.account_id,
            account.market,
            account.locale,
            account.birth_year_band,
            account.created_at,
            account.deleted_at,
            account.is_resolved_test_account as is_test_account
        from {{ ref("int_account_versions") }} as account
        inner join first_known on account.account_id = first_known.account_id
        cross join
            unnest(
                generate_date_array(
                    greatest(
                        account.valid_from_date,
                        first_known.known_from_date,
                        date(account.created_at),
                        {{ known_start_day() }}
                    ),
                    least(date_sub(account.valid_to_date, interval 1 day), {{ end_day() }})
                )
            ) as feature_date
        where
            account.account_id = account.resolved_account_id
            and account.valid_from_date <= {{ end_day() }}
            and account.valid_to_date > {{ known_start_day() }}
            and date(account.created_at) <= {{ end_day() }}
    ),

    -- Each raw account with whom it has become: what it did counts for its survivor.
    survivors as (
        select account_id, resolved_account_id, valid_from_date, valid_to_date
        from {{ ref("int_account_versions") }}
        where valid_from_date <= {{ end_day() }} and valid_to_date > {{ known_start_day() }}
    ),

    lives as (
        select
            account_id,
            date(valid_from_at) as began_date,
            valid_from_at,
            known_from_date,
            known_to_date,
            state = 'trial' as is_trial,
            is_paid,
            end_reason
        from {{ ref("int_subscription_known_lives") }}
        where valid_from_at < timestamp({{ end_day(1) }})
    ),

    lived as (
        select
            survivor.resolved_account_id as account_id,
            life.*,
            greatest(life.known_from_date, survivor.valid_from_date, life.began_date) as holds_from_date,
            least(life.known_to_date, survivor.valid_to_date) as holds_to_date
        from (select * except (account_id), account_id as raw_account_id from lives) as life
        inner join survivors as survivor on life.raw_account_id = survivor.account_id
    ),

    past as (
        select
            day.feature_date,
            day.account_id,
            logical_or(life.is_trial) as has_ever_trialled,
            logical_or(life.is_paid) as has_ever_paid,
            max(if(life.end_reason is not null, life.began_date, null)) as last_ended_date,
            max(if(life.end_reason is not null, life.valid_from_at, null)) as last_ended_at
        from account_days as day
        inner join
            lived as life
            on day.account_id = life.account_id
            and day.feature_date >= life.holds_from_date
            and day.feature_date < life.holds_to_date
        group by day.feature_date, day.account_id
    ),

    last_ends as (
        select past.feature_date, past.account_id, min(life.end_reason) as last_end_reason
        from past
        inner join
            lived as life
            on past.account_id = life.account_id
            and past.last_ended_at = life.valid_from_at
            and past.feature_date >= life.holds_from_date
            and past.feature_date < life.holds_to_date
        where life.end_reason is not null
        group by past.feature_date, past.account_id
    ),

    -- The subscription that describes the account: paid, own, and the oldest of those.
    ranked as (
        select
            *,
            -- Who pays for twelve months pays for a year.
            coalesce(
                billing_interval = 'month' and mod(billing_interval_count, 12) = 0, false
            ) as is_whole_years,
            row_number() over (
                partition by feature_date, account_id
                order by
                    if(is_paid, 1, 0) desc,
                    if(is_payer, 1, 0) desc,
                    subscription_started_date,
                    subscription_id
            ) as preference
        from {{ ref("int_subscription_day_ends") }}
        where {{ known_rebuilt_days("feature_date") }}
    ),

    entitlements as (
        select
            feature_date,
            account_id,
            logical_or(is_payer) as is_payer,
            logical_or(not is_payer) as is_member,
            logical_or(is_paid) as is_paid,
            logical_or(state = 'trial') as is_in_trial,
            logical_or(is_payer and state = 'grace') as is_in_grace,
            logical_or(is_payer and coalesce(is_auto_renew, false)) as is_auto_renew,
            logical_or(is_payer and not is_auto_renew) as has_cancelled,
            count(distinct if(is_payer, subscription_id, null)) as subscription_count,
            max(if(preference = 1, plan_id, null)) as plan_id,
            max(if(preference = 1, plan_kind, null)) as plan_kind,
            max(if(preference = 1, if(is_whole_years, 'year', billing_interval), null)) as billing_interval,
            max(
                if(
                    preference = 1,
                    if(is_whole_years, div(billing_interval_count, 12), billing_interval_count),
                    null
                )
            ) as billing_interval_count,
            max(if(preference = 1, currency, null)) as currency,
            max(if(preference = 1, seats, null)) as seats,
            max(if(preference = 1, seats_taken, null)) as seats_taken,
            max(if(preference = 1, subscription_started_date, null)) as subscription_started_date
        from ranked
        group by feature_date, account_id
    ),

    failed_charges as (
        select
            day.feature_date,
            day.account_id,
            day.subscription_id,
            count(distinct if(payment.source = 'payments', payment.payment_id, null)) as of_feed,
            count(distinct if(payment.source != 'payments', payment.payment_id, null)) as of_notifications
        from {{ ref("int_subscription_day_ends") }} as day
        inner join {{ ref("int_told_payments") }} as payment on day.subscription_id = payment.subscription_id
        cross join {{ ref("int_first_arrival") }} as first_arrival
        where
            {{ known_rebuilt_days("day.feature_date") }}
            and day.is_payer
            and payment.payment_kind = 'charge'
            and payment.payment_status = 'failed'
            and payment.payment_date between {{ known_start_day(-var("feature_days")) }} and {{ end_day() }}
            and payment.payment_date > date_sub(day.feature_date, interval {{ var("feature_days") }} day)
            and payment.payment_date <= day.feature_date
            and {{ known_from("payment") }} <= day.feature_date
        group by day.feature_date, day.account_id, day.subscription_id
    ),

    -- Both may tell the same failures, under ids of their own.
    failed_payments as (
        select
            feature_date, account_id, sum(if(of_feed > 0, of_feed, of_notifications)) as failed_payments_28d
        from failed_charges
        group by feature_date, account_id
    ),

    -- The list prices of a day as it knew them, the first catalogue from the beginning.
    price_versions as (
        select
            *,
            if(arrival_date = min(arrival_date) over (), date '0001-01-01', arrival_date) as known_from_date
        from {{ ref("stg_billing__plan_price_versions") }}
    ),

    list_prices as (
        select
            day.feature_date,
            price.plan_id,
            price.market,
            price.currency,
            price.valid_from_date,
            price.price_amount
        from (select distinct feature_date from account_days) as day
        inner join price_versions as price on price.known_from_date <= day.feature_date
        where true
        qualify
            row_number() over (
                partition by
                    day.feature_date, price.plan_id, price.market, price.currency, price.valid_from_date
                order by price.arrival_date desc
            )
            = 1
    ),

    price_changes as (
        select
            *,
            price_amount > lag(price_amount) over (
                partition by feature_date, plan_id, market, currency order by valid_from_date
            ) as is_raise
        from list_prices
    ),

    price_raises as (
        select feature_date, plan_id, market, currency, max(valid_from_date) as price_raise_date
        from price_changes
        where
            is_raise
            and valid_from_date >= date_sub(feature_date, interval {{ var("price_raise_days") }} day)
            and valid_from_date <= date_add(feature_date, interval {{ var("price_raise_days") }} day)
        group by feature_date, plan_id, market, currency
    ),

    -- What was said last by the end of a day, and had arrived by then.
    consents as (
        select
            survivor.resolved_account_id as account_id,
            consent.consent_purpose,
            consent.is_granted,
            consent.occurred_at,
            greatest(
                date(consent.occurred_at), survivor.valid_from_date, {{ known_from("consent") }}
            ) as holds_from_date,
            survivor.valid_to_date as holds_to_date,
            survivor.account_id as raw_account_id
        from {{ ref("stg_identity__consents") }} as consent
        inner join survivors as survivor on consent.account_id = survivor.account_id
        cross join {{ ref("int_first_arrival") }} as first_arrival
    ),

    standing_consents as (
        select day.feature_date, day.account_id, consent.consent_purpose, consent.is_granted
        from account_days as day
        inner join
            consents as consent
            on day.account_id = consent.account_id
            and day.feature_date >= consent.holds_from_date
            and day.feature_date < consent.holds_to_date
        where true
        qualify
            row_number() over (
                -- Granted and withdrawn at one instant: the cautious reading.
                partition by day.feature_date, day.account_id, consent.raw_account_id, consent.consent_purpose
                order by consent.occurred_at desc, if(consent.is_granted, 1, 0)
            )
            = 1
    ),

    withdrawals as (
        select
            feature_date,
            account_id,
            logical_or(consent_purpose = 'marketing' and not is_granted) as is_marketing_withdrawn,
            logical_or(consent_purpose = 'personalisation' and not is_granted) as is_personalisation_withdrawn
        from standing_consents
        group by feature_date, account_id
    ),

    deletion_requests as (
        select
            survivor.resolved_account_id as account_id,
            min(
                greatest(date(request.requested_at), survivor.valid_from_date, {{ known_from("request") }})
            ) as requested_date
        from {{ ref("stg_identity__deletion_requests") }} as request
        inner join survivors as survivor on request.account_id = survivor.account_id
        cross join {{ ref("int_first_arrival") }} as first_arrival
        group by survivor.resolved_account_id
    )

select
    day.feature_date,
    day.account_id,
    day.market,
    day.locale,
    day.birth_year_band,
    date(day.created_at) as created_date,
    date_diff(day.feature_date, date(day.created_at), day) as tenure_days,
    cast(coalesce(listening.streams_28d, 0) as int64) as streams_28d,
    cast(coalesce(listening.active_days_28d, 0) as int64) as active_days_28d,
    cast(coalesce(listening.ad_ms_28d, 0) as int64) as ad_ms_28d,
    cast(coalesce(listening.skips_blocked_28d, 0) as int64) as skips_blocked_28d,
    coalesce(past.has_ever_trialled, false) as has_ever_trialled,
    coalesce(past.has_ever_paid, false) as has_ever_paid,
    entitled.account_id is not null as is_entitled,
    coalesce(entitled.is_payer, false) as is_payer,
    coalesce(entitled.is_member, false) as is_member,
    coalesce(entitled.is_paid, false) as is_paid,
    coalesce(entitled.is_in_trial, false) as is_in_trial,
    coalesce(entitled.is_in_grace, false) as is_in_grace,
    coalesce(entitled.is_auto_renew, false) as is_auto_renew,
    coalesce(entitled.has_cancelled, false) as has_cancelled,
    entitled.plan_kind,
    entitled.billing_interval,
    cast(entitled.billing_interval_count as int64) as billing_interval_count,
    entitled.subscription_started_date,
    date_diff(day.feature_date, entitled.subscription_started_date, day) as subscription_tenure_days,
    cast(entitled.seats as int64) as seats,
    cast(entitled.seats_taken as int64) as seats_taken,
    cast(coalesce(entitled.subscription_count, 0) as int64) as subscription_count,
    raised.price_raise_date,
    cast(coalesce(failed.failed_payments_28d, 0) as int64) as failed_payments_28d,
    past.last_ended_date,
    last_end.last_end_reason,
    if(
        entitled.account_id is null, date_diff(day.feature_date, past.last_ended_date, day), null
    ) as days_since_lapse,
    day.is_test_account,
    coalesce(withdrawal.is_marketing_withdrawn, false) as is_marketing_withdrawn,
    coalesce(withdrawal.is_personalisation_withdrawn, false) as is_personalisation_withdrawn,
    coalesce(deletion.requested_date <= day.feature_date, false)
    or coalesce(date(day.deleted_at) <= day.feature_date, false) as is_deletion_requested,
    coalesce(exposure.offer_exposures, []) as offer_exposures
from account_days as day
left join
    {{ ref("int_account_listening") }} as listening
    on day.account_id = listening.account_id
    and day.feature_date = listening.feature_date
    and {{ known_rebuilt_days("listening.feature_date") }}
left join past on day.account_id = past.account_id and day.feature_date = past.feature_date
left join
    last_ends as last_end on day.account_id = last_end.account_id and day.feature_date = last_end.feature_date
left join
    entitlements as entitled
    on day.account_id = entitled.account_id
    and day.feature_date = entitled.feature_date
left join
    price_raises as raised
    on day.feature_date = raised.feature_date
    and entitled.plan_id = raised.plan_id
    and day.market = raised.market
    and entitled.currency = raised.currency
left join
    failed_payments as failed on day.account_id = failed.account_id and day.feature_date = failed.feature_date
left join
    withdrawals as withdrawal
    on day.account_id = withdrawal.account_id
    and day.feature_date = withdrawal.feature_date
left join deletion_requests as deletion on day.account_id = deletion.account_id
left join
    {{ ref("int_offer_exposures") }} as exposure
    on day.account_id = exposure.account_id
    and day.feature_date = exposure.feature_date
    and {{ known_rebuilt_days("exposure.feature_date") }}
