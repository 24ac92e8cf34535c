{#- Transactions that are paid when the notification comes; every other one tells of a transaction before it. -#}
{%- set charges = [
    "SUBSCRIBED/INITIAL_BUY",
    "SUBSCRIBED/RESUBSCRIBE",
    "OFFER_REDEEMED/INITIAL_BUY",
    "OFFER_REDEEMED/RESUBSCRIBE",
    "OFFER_REDEEMED/UPGRADE",
    "DID_CHANGE_RENEWAL_PREF/UPGRADE",
    "DID_RENEW",
    "DID_RENEW/BILLING_RECOVERY",
] -%}

with
    notifications as ({{ app_store_notifications("int_notified_payments") }}),

    transactions as (
        select
            *,
            json_value(transaction_info, '$.transactionId') as transaction_id,
            coalesce(
                json_value(transaction_info, '$.previousOriginalTransactionId'),
                json_value(transaction_info, '$.originalTransactionId')
            ) as subscription_id,
            safe_cast(json_value(transaction_info, '$.price') as int64) as price,
            -- Thousandths of a percent of the price that were given back.
            coalesce(
                safe_cast(json_value(transaction_info, '$.revocationPercentage') as int64), 100000
            ) as revocation_percentage
        from notifications
        where
            type in ('{{ charges | join("', '") }}', 'REFUND', 'REFUND_REVERSED')
            and json_value(transaction_info, '$.type') = 'Auto-Renewable Subscription'
            -- Who shares a family's subscription does not pay it.
            and json_value(transaction_info, '$.inAppOwnershipType') = 'PURCHASED'
    )

select
    'app_store' as provider,
    'app_store:' || if(
        starts_with(type, 'REFUND'), notification_uuid, coalesce(transaction_id, notification_uuid)
    ) as payment_id,
    subscription_id,
    {{ paying_account("app_store", "json_value(transaction_info, '$.appAccountToken')", "subscription_id") }}
    as account_id,
    if(starts_with(type, 'REFUND'), 'refund', 'charge') as payment_kind,
    if(type = 'REFUND_REVERSED', 'reversed', 'succeeded') as payment_status,
    {{
        of_units(
            "if(type = 'REFUND', "
            ~ half_even_div("(price * revocation_percentage)", "100000")
            ~ ", price)",
            "0.001",
        )
    }} as payment_amount,
    json_value(transaction_info, '$.currency') as currency,
    if(starts_with(type, 'REFUND'), {{ of_units("price", "0.001") }}, null) as charged_amount,
    if(starts_with(type, 'REFUND'), 'app_store:' || transaction_id, null) as refunded_payment_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from transactions
where
    -- Nothing is paid for a free trial, whether its price is told or, before October 2023, not.
    not coalesce(price = 0, false)
    and not (
        price is null
        and coalesce(
            json_value(transaction_info, '$.offerDiscountType') = 'FREE_TRIAL',
            json_value(transaction_info, '$.offerType') = '1',
            false
        )
    )
