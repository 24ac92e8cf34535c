{#- Say nothing about what is paid or used until when; every other type is mapped below. -#}
{%- set informational_types = [
    8,
    11,
    18,
    20,
    22,
] -%}

with
    notifications as (
        select
            message_id,
            cast(json_value(payload, '$.subscriptionNotification.notificationType') as int64) as type,
            coalesce(
                json_value(payload, '$.voidedPurchaseNotification.productType') = '1', false
            ) as is_voided,
            coalesce(
                json_value(payload, '$.subscriptionNotification.purchaseToken'),
                json_value(payload, '$.voidedPurchaseNotification.purchaseToken')
            ) as purchase_token,
            purchase,
            json_query(purchase, '$.lineItems[0]') as item,
            json_query(purchase, '$.canceledStateContext') as ended_by,
            occurred_at,
            ingested_at,
            arrival_date,
            landing_file,
            landing_row
        from {{ source("google_play", "google_play_notifications") }}
        -- Licence testers pay nothing.
        where
            {{ arrived_from(history_from("int_subscription_events")) }}
            and not {{ is_given("json_query(purchase, '$.testPurchase')") }}
    ),

    purchases as (
        select
            *,
            coalesce(
                json_value(purchase, '$.externalAccountIdentifiers.obfuscatedExternalAccountId'),
                json_value(
                    purchase,
                    '$.outOfAppPurchaseContext.expiredExternalAccountIdentifiers.obfuscatedExternalAccountId'
                )
            ) as account_id,
            coalesce(
                json_value(purchase, '$.externalAccountIdentifiers.obfuscatedExternalProfileId'),
                json_value(
                    purchase,
                    '$.outOfAppPurchaseContext.expiredExternalAccountIdentifiers.obfuscatedExternalProfileId'
                )
            ) as profile_id,
            {{ is_given("json_query(purchase, '$.outOfAppPurchaseContext')") }} as is_return,
            json_value(purchase, '$.linkedPurchaseToken') is not null as is_linked,
            {{ is_given("json_query(item, '$.offerPhase.freeTrial')") }} as is_free_trial,
            {{ is_given("json_query(ended_by, '$.replacementCancellation')") }} as is_replaced,
            json_query(item, '$.autoRenewingPlan.priceChangeDetails') as price_change,
            json_query(item, '$.autoRenewingPlan.recurringPrice') as recurring_price
        from notifications
        where is_voided or type not in ({{ informational_types | join(", ") }})
    ),

    mapped as (
        select
            *,
            case
                when is_voided
                then 'refunded'
                -- A new token goes on with the subscription, whose profile says which it is; what becomes
                -- of the
                -- old token is no news of it.
                when profile_id is not null and is_replaced and type in (3, 12, 13)
                then null
                when profile_id is not null and is_linked and type = 4
                then 'plan_changed'
                when is_free_trial and type = 4
                then 'trial_started'
                when is_return and type = 4
                then 'reactivated'
                when type = 4
                then 'started'
                when type = 1
                then 'recovered'
                -- 9: the renewal was put off, and the paid period with it.
                when type in (2, 9)
                then 'renewed'
                when type = 3
                then 'auto_renew_off'
                when type = 5
                then 'billing_retry_started'
                when type = 6
                then 'grace_started'
                when type = 7
                then 'auto_renew_on'
                when type = 10
                then 'paused'
                when type = 12
                then 'revoked'
                when type = 13
                then 'expired'
                when type = 17
                then 'plan_changed'
                -- An announced price is not yet paid.
                when type = 19 and json_value(price_change, '$.priceChangeState') = 'APPLIED'
                then 'price_changed'
            end as event_type
        from purchases
    ),

    events as (
        select
            'google_play' as provider,
            message_id as provider_event_id,
            coalesce(profile_id, purchase_token) as subscription_id,
            account_id,
            event_type,
            json_value(item, '$.productId') as plan_id,
            case
                when is_free_trial
                then {{ from_cents("0") }}
                when event_type = 'price_changed'
                then {{ money_amount("json_query(price_change, '$.newPrice')") }}
                when {{ is_given("recurring_price") }}
                then {{ money_amount("recurring_price") }}
            end as price_amount,
            json_value(recurring_price, '$.currencyCode') as currency,
            case
                when event_type = 'trial_started'
                then {{ protobuf_timestamp("json_value(item, '$.expiryTime')") }}
            end as trial_ends_at,
            {{ protobuf_timestamp("json_value(purchase, '$.startTime')") }} as period_start_at,
            {{ protobuf_timestamp("json_value(item, '$.expiryTime')") }} as period_end_at,
            -- False is left out by protobuf's JSON; a prepaid plan has no such object at all.
            coalesce(
                json_value(item, '$.autoRenewingPlan.autoRenewEnabled') = 'true', false
            ) as is_auto_renew,
            case
                when event_type = 'refunded'
                then 'refund'
                when event_type = 'revoked'
                then 'admin'
                when event_type in ('auto_renew_off', 'expired')
                then
                    case
                        when {{ is_given("json_query(ended_by, '$.userInitiatedCancellation')") }}
                        then 'voluntary'
                        when {{ is_given("json_query(ended_by, '$.systemInitiatedCancellation')") }}
                        then 'payment_failure'
                        when {{ is_given("json_query(ended_by, '$.developerInitiatedCancellation')") }}
                        then 'admin'
                        when is_replaced
                        then 'other'
                    end
            end as reason,
            case
                when event_type in ('trial_started', 'started', 'reactivated')
                then json_value(item, '$.offerDetails.offerId')
            end as offer_id,
            occurred_at,
            ingested_at,
            arrival_date,
            landing_file,
            landing_row
        from mapped
    )

    {{ with_billing_interval("events") }}
