{#- Say nothing about what is paid or used until when; every other type is mapped below. -#}
{%- set informational_types = [
    "DID_CHANGE_RENEWAL_PREF",
    "DID_CHANGE_RENEWAL_PREF/DOWNGRADE",
    "OFFER_REDEEMED",
    "OFFER_REDEEMED/DOWNGRADE",
    "PRICE_INCREASE/PENDING",
    "PRICE_INCREASE/ACCEPTED",
    "REFUND_DECLINED",
    "CONSUMPTION_REQUEST",
    "RENEWAL_EXTENSION/SUMMARY",
    "RENEWAL_EXTENSION/FAILURE",
    "EXTERNAL_PURCHASE_TOKEN/UNREPORTED",
    "EXTERNAL_PURCHASE_TOKEN/CREATED",
    "EXTERNAL_PURCHASE_TOKEN/ACTIVE_TOKEN_REMINDER",
    "ONE_TIME_CHARGE",
    "RESCIND_CONSENT",
    "TEST",
] -%}

with
    notifications as ({{ app_store_notifications("int_subscription_events") }}),

    -- Who shares a family's subscription does not pay it: seats come with plan_members.
    paid as (
        select
            *,
            json_value(transaction_info, '$.offerType') as offer_type,
            json_value(transaction_info, '$.offerDiscountType') as discount_type,
            cast(json_value(transaction_info, '$.price') as int64) as price,
            timestamp_millis(
                cast(json_value(transaction_info, '$.purchaseDate') as int64)
            ) as period_start_at,
            timestamp_millis(cast(json_value(transaction_info, '$.expiresDate') as int64)) as period_end_at
        from notifications
        where
            type not in ('{{ informational_types | join("', '") }}')
            and json_value(transaction_info, '$.type') = 'Auto-Renewable Subscription'
            and json_value(transaction_info, '$.inAppOwnershipType') = 'PURCHASED'
    ),

    offered as (
        select
            *,
            case
                when discount_type is not null
                then discount_type = 'FREE_TRIAL'
                when price is not null
                then price = 0 and offer_type is not null
                -- Before October 2023 neither is told: introductory offers are free, for all that is known.
                else coalesce(offer_type = '1', false)
            end as is_free_trial
        from paid
    ),

    mapped as (
        select
            *,
            case
                when
                    type in (
                        'SUBSCRIBED/INITIAL_BUY',
                        'SUBSCRIBED/RESUBSCRIBE',
                        'OFFER_REDEEMED/INITIAL_BUY',
                        'OFFER_REDEEMED/RESUBSCRIBE'
                    )
                    and is_free_trial
                then 'trial_started'
                when type in ('SUBSCRIBED/INITIAL_BUY', 'OFFER_REDEEMED/INITIAL_BUY')
                then 'started'
                when type in ('SUBSCRIBED/RESUBSCRIBE', 'OFFER_REDEEMED/RESUBSCRIBE')
                then 'reactivated'
                when type = 'DID_RENEW'
                then 'renewed'
                -- The renewal was put off: what runs goes on until then, and nothing is charged.
                when type = 'RENEWAL_EXTENDED'
                then 'price_changed'
                when type = 'DID_RENEW/BILLING_RECOVERY'
                then 'recovered'
                when type = 'DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_DISABLED'
                then 'auto_renew_off'
                when type = 'DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_ENABLED'
                then 'auto_renew_on'
                when type in ('DID_CHANGE_RENEWAL_PREF/UPGRADE', 'OFFER_REDEEMED/UPGRADE')
                then 'plan_changed'
                when type = 'DID_FAIL_TO_RENEW/GRACE_PERIOD'
                then 'grace_started'
                when type in ('DID_FAIL_TO_RENEW', 'GRACE_PERIOD_EXPIRED')
                then 'billing_retry_started'
                when notification_type = 'EXPIRED'
                then 'expired'
                -- Status 5 is revoked: the refunded transaction was the one that entitled.
                when type = 'REFUND' and status = '5'
                then 'revoked'
                when type = 'REFUND'
                then 'refunded'
                when type = 'REFUND_REVERSED'
                then 'refund_reversed'
                when type = 'REVOKE'
                then 'revoked'
            end as event_type
        from offered
    ),

    -- A refund that ends nothing (status 5 does), or is taken back when its period is over, is of an earlier
    -- transaction: its plan, price and end are no longer those of the subscription.
    timed as (
        select
            *,
            event_type = 'refunded'
            or (event_type = 'refund_reversed' and period_end_at <= occurred_at) as is_of_the_past,
            case
                when discount_type = 'PAY_UP_FRONT'
                then
                    coalesce(
                        {{ duration_interval("json_value(transaction_info, '$.offerPeriod')") }},
                        {{ period_interval("period_start_at", "period_end_at") }}
                    )
                when json_value(transaction_info, '$.billingPlanType') = 'MONTHLY'
                then 'month'
            end as told_interval,
            case
                when discount_type = 'PAY_UP_FRONT'
                then
                    coalesce(
                        {{ duration_count("json_value(transaction_info, '$.offerPeriod')") }},
                        {{ period_interval_count("period_start_at", "period_end_at") }}
                    )
                when json_value(transaction_info, '$.billingPlanType') = 'MONTHLY'
                then 1
            end as told_interval_count
        from mapped
    ),

    events as (
        select
            'app_store' as provider,
            notification_uuid as provider_event_id,
            {%- set own_id %}
            coalesce(
                json_value(transaction_info, '$.previousOriginalTransactionId'),
                json_value(transaction_info, '$.originalTransactionId')
            )
            {%- endset %}
            {{ own_id }} as subscription_id,
            {{ paying_account("app_store", "json_value(transaction_info, '$.appAccountToken')", own_id) }}
            as account_id,
            event_type,
            if(is_of_the_past, null, json_value(transaction_info, '$.productId')) as plan_id,
            case
                when is_of_the_past
                then null
                when is_free_trial
                then {{ from_cents("0") }}
                else {{ of_units("price", "0.001") }}
            end as price_amount,
            if(
                price is null
                and offer_type is not null
                and not is_free_trial
                and not is_of_the_past
                -- What was put off costs what it did.
                and type != 'RENEWAL_EXTENDED',
                true,
                null
            ) as is_price_unknown,
            if(is_of_the_past, null, json_value(transaction_info, '$.currency')) as currency,
            if(is_of_the_past, null, told_interval) as billing_interval,
            if(is_of_the_past, null, told_interval_count) as billing_interval_count,
            if(event_type = 'trial_started', period_end_at, null) as trial_ends_at,
            if(is_of_the_past, null, period_start_at) as period_start_at,
            if(is_of_the_past, null, period_end_at) as period_end_at,
            -- What is left of a commitment will be paid, whether another follows it or not.
            if(
                coalesce(
                    cast(json_value(transaction_info, '$.commitmentInfo.billingPeriodNumber') as int64)
                    < cast(json_value(transaction_info, '$.commitmentInfo.totalBillingPeriods') as int64),
                    false
                ),
                true,
                json_value(renewal_info, '$.autoRenewStatus') = '1'
            ) as is_auto_renew,
            case
                when event_type in ('refunded', 'revoked')
                then if(type = 'REVOKE', 'admin', 'refund')
                when type in ('EXPIRED/VOLUNTARY', 'EXPIRED/PRICE_INCREASE')
                then 'voluntary'
                when type = 'EXPIRED/BILLING_RETRY'
                then 'payment_failure'
                when type = 'EXPIRED/PRODUCT_NOT_FOR_SALE'
                then 'other'
            end as reason,
            case
                when event_type in ('trial_started', 'started', 'reactivated')
                then json_value(transaction_info, '$.offerIdentifier')
            end as offer_id,
            occurred_at,
            ingested_at,
            arrival_date,
            landing_file,
            landing_row
        from timed
    )

    {{ with_billing_interval("events") }}
