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
    notifications as (
        select
            notification_uuid,
            json_value(payload, '$.notificationType') as notification_type,
            json_value(payload, '$.notificationType')
            || coalesce('/' || json_value(payload, '$.subtype'), '') as type,
            json_value(payload, '$.data.status') as status,
            json_query(payload, '$.data.transactionInfo') as transaction_info,
            json_query(payload, '$.data.renewalInfo') as renewal_info,
            occurred_at,
            ingested_at,
            arrival_date,
            landing_file,
            landing_row
        from {{ source("app_store", "app_store_notifications") }}
        where
            {{ arrived_from(history_from("int_subscription_events")) }}
            and json_value(payload, '$.data.environment') = 'Production'
    ),

    -- Who shares a family's subscription does not pay it: seats come with plan_members.
    paid as (
        select *, json_value(transaction_info, '$.offerDiscountType') = 'FREE_TRIAL' as is_free_trial
        from notifications
        where
            type not in ('{{ informational_types | join("', '") }}')
            and json_value(transaction_info, '$.type') = 'Auto-Renewable Subscription'
            and json_value(transaction_info, '$.inAppOwnershipType') = 'PURCHASED'
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
                -- Extended: the paid period ends later.
                when type in ('DID_RENEW', 'RENEWAL_EXTENDED')
                then 'renewed'
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
        from paid
    ),

    events as (
        select
            'app_store' as provider,
            notification_uuid as provider_event_id,
            json_value(transaction_info, '$.originalTransactionId') as subscription_id,
            json_value(transaction_info, '$.appAccountToken') as account_id,
            event_type,
            json_value(transaction_info, '$.productId') as plan_id,
            {{ of_units("json_value(transaction_info, '$.price')", "0.001") }} as price_amount,
            json_value(transaction_info, '$.currency') as currency,
            case
                when event_type = 'trial_started'
                then timestamp_millis(cast(json_value(transaction_info, '$.expiresDate') as int64))
            end as trial_ends_at,
            timestamp_millis(
                cast(json_value(transaction_info, '$.purchaseDate') as int64)
            ) as period_start_at,
            timestamp_millis(cast(json_value(transaction_info, '$.expiresDate') as int64)) as period_end_at,
            json_value(renewal_info, '$.autoRenewStatus') = '1' as is_auto_renew,
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
        from mapped
    )

    {{ with_billing_interval("events") }}
