{#- Say nothing about what is paid or used until when; every other type is mapped below. -#}
{%- set informational_types = [
    8,
    11,
    18,
    20,
    22,
] -%}

with
    notifications as ({{ google_play_notifications("int_subscription_events") }}),

    -- Items that have ended stay listed. Of a purchase that has ended as a whole, what it was at its end
    -- counts; ends that belong together may be moments apart.
    dated as (
        select
            *,
            least(
                occurred_at,
                coalesce(
                    timestamp_sub(
                        (select max({{ item_expiry("item") }}) from unnest(items) as item), interval 1 hour
                    ),
                    occurred_at
                )
            ) as in_force_at
        from notifications
        where is_voided or type not in ({{ informational_types | join(", ") }})
    ),

    -- The subscription itself is the first item in force; add-ons, and what will replace it, follow.
    based as (
        select
            *,
            coalesce(
                (
                    select item
                    from unnest(items) as item
                    with
                    offset as position
                    where {{ item_expiry("item") }} > in_force_at
                    order by position
                    limit 1
                ),
                items[safe_offset(0)]
            ) as base
        from dated
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
            ) as told_account_id,
            coalesce(
                json_value(purchase, '$.externalAccountIdentifiers.obfuscatedExternalProfileId'),
                json_value(
                    purchase,
                    '$.outOfAppPurchaseContext.expiredExternalAccountIdentifiers.obfuscatedExternalProfileId'
                )
            ) as profile_id,
            json_value(base, '$.productId') as product_id,
            json_value(base, '$.offerDetails.basePlanId') as base_plan_id,
            {{ item_phase("base") }} as phase,
            {{ protobuf_timestamp("json_value(purchase, '$.startTime')") }} as started_at,
            {{ item_expiry("base") }} as expires_at,
            {{ is_given("json_query(purchase, '$.outOfAppPurchaseContext')") }} as is_return,
            json_value(purchase, '$.linkedPurchaseToken') is not null as is_linked,
            {{ is_given("json_query(ended_by, '$.replacementCancellation')") }} as is_replaced,
            {{ is_given("json_query(base, '$.offerPhase.prorationPeriod')") }} as is_prorated,
            {{ is_given("json_query(base, '$.prepaidPlan')") }} as is_prepaid,
            {{ is_given("json_query(base, '$.autoRenewingPlan.installmentDetails')") }} as is_installment,
            array(
                select item
                from unnest(items) as item
                where
                    {{ item_expiry("item") }} > in_force_at
                    -- Of an end that nobody tells nothing says that it has passed.
                    or json_value(base, '$.expiryTime') is null
            ) as current_items
        from based
    ),

    priced as (
        select
            *,
            (
                select if(countif(amount is null) > 0, null, sum(amount))
                from
                    (
                        select {{ item_price("item", "type = 19") }} as amount
                        from unnest(current_items) as item
                    )
            ) as recurring_price,
            (
                select if(countif(amount is null) > 0, null, sum(amount))
                from (select {{ ordered_price("item") }} as amount from unnest(ordered_items) as item)
            ) as ordered_price,
            json_query(ordered_items[safe_offset(0)], '$.subscriptionDetails') as ordered_term,
            (
                select logical_or(coalesce({{ item_phase("item") }} = 'INTRODUCTORY', false))
                from unnest(current_items) as item
            )
            -- Purchases of before the phases were told: an offer, and nobody knows which.
            or coalesce(
                type = 4 and phase is null and json_value(base, '$.offerDetails.offerId') is not null, false
            ) as is_by_offer,
            (
                select logical_and(coalesce({{ item_phase("item") }} = 'FREE_TRIAL', false))
                from unnest(current_items) as item
            ) as is_free_trial,
            (
                select
                    logical_or(
                        coalesce(
                            json_value(item, '$.autoRenewingPlan.priceChangeDetails.priceChangeState')
                            = 'APPLIED',
                            false
                        )
                    )
                from unnest(current_items) as item
            ) as is_price_applied,
            -- False is left out by protobuf's JSON; a prepaid plan has no such object at all. What is
            -- committed to will be paid; what replaces the subscription at its end renews it.
            (
                select
                    logical_or(
                        coalesce(json_value(item, '$.autoRenewingPlan.autoRenewEnabled') = 'true', false)
                    )
                from unnest(items) as item
                where coalesce({{ item_expiry("item") }} > in_force_at, true)
            )
            or coalesce(
                cast(
                    json_value(
                        base, '$.autoRenewingPlan.installmentDetails.remainingCommittedPaymentsCount'
                    ) as int64
                )
                > 0,
                false
            ) as is_auto_renew
        from purchases
    ),

    mapped as (
        select
            *,
            case
                when is_voided
                then 'refunded'
                -- A new token goes on with the subscription, whose profile says which it is; what
                -- becomes of the old token is no news of it.
                when profile_id is not null and is_replaced and type in (3, 12, 13)
                then null
                when profile_id is not null and is_linked and type = 4
                then
                    case
                        -- A top-up, which is paid for.
                        when is_prepaid
                        then 'renewed'
                        -- Signed up again before the end; a replacement says what it replaces, and one that
                        -- waits for the end of the period replaces nothing yet.
                        when
                            json_value(base, '$.itemReplacement.productId') is null
                            or {{ is_given("json_query(base, '$.deferredItemReplacement')") }}
                            or (
                                json_value(base, '$.itemReplacement.productId') = product_id
                                and json_value(base, '$.itemReplacement.basePlanId')
                                is not distinct from base_plan_id
                            )
                        then 'auto_renew_on'
                        else 'plan_changed'
                    end
                when is_free_trial and type = 4
                then 'trial_started'
                when is_return and type = 4
                then 'reactivated'
                when type = 4
                then 'started'
                when type = 1
                then 'recovered'
                when type = 2
                then 'renewed'
                -- The renewal was put off: what runs goes on until then, a trial too, and nothing is charged.
                when type = 9
                then 'price_changed'
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
                when type = 19 and is_price_applied
                then 'price_changed'
            end as event_type
        from priced
    ),

    -- The catalogue as it was known on the arrival day. It lists a plan as `product:base plan`; a product
    -- that is listed alone has one base plan, or had when the list was made.
    plans as (select * from {{ ref("stg_billing__plan_versions") }}),

    products_by_base_plan as (
        select split(plan_id, ':')[offset(0)] as product_id, min(known_from_date) as known_from_date
        from plans
        where strpos(plan_id, ':') > 0
        group by 1
    ),

    catalogued as (
        select
            event.*,
            coalesce(
                if(
                    listed.plan_id is not null
                    or (product.plan_id is null and by_base_plan.product_id is not null),
                    concat(event.product_id, ':', event.base_plan_id),
                    null
                ),
                event.product_id
            ) as plan_id,
            {{ protobuf_timestamp("json_value(event.ordered_term, '$.servicePeriodStartTime')") }}
            as ordered_from_at,
            {{ protobuf_timestamp("json_value(event.ordered_term, '$.servicePeriodEndTime')") }}
            as ordered_until_at,
            listed.plan_id is null and event.base_plan_id is not null as is_listed_alone,
            coalesce(listed.billing_interval, product.billing_interval) as listed_interval,
            coalesce(listed.billing_interval_count, product.billing_interval_count) as listed_interval_count,
            -- Where the period began that the purchase ends with; of some it is known that it has begun.
            case
                when event.type = 2 or (event.type in (4, 17) and event.is_linked)
                then event.occurred_at
                when event.type = 4
                then event.started_at
            end as term_starts_at
        from mapped as event
        left join
            plans as listed
            on concat(event.product_id, ':', event.base_plan_id) = listed.plan_id
            and event.arrival_date >= listed.known_from_date
            and event.arrival_date < listed.known_until_date
        left join
            plans as product
            on event.product_id = product.plan_id
            and event.arrival_date >= product.known_from_date
            and event.arrival_date < product.known_until_date
        left join
            products_by_base_plan as by_base_plan
            on event.product_id = by_base_plan.product_id
            and event.arrival_date >= by_base_plan.known_from_date
        where event.event_type is not null
    ),

    compared as (
        select
            *,
            timestamp_diff(expires_at, term_starts_at, hour) as term_hours,
            timestamp_diff(ordered_until_at, ordered_from_at, hour) as ordered_hours,
            {{ rhythm_hours("listed_interval", "listed_interval_count") }} as listed_hours
        from catalogued
    ),

    -- Of a product that is listed alone, the rhythm is the list's unless the paid period shows another: a
    -- base plan that nobody listed. What pays nothing leaves the rhythm as it was.
    paced as (
        select
            *,
            case
                when is_installment
                then 'installments'
                -- Some offers are paid once for several periods.
                when
                    is_by_offer
                    and ordered_price is not null
                    and (
                        ordered_hours * 10 > listed_hours * 11 + 240
                        or ordered_hours * 10 < listed_hours * 9 - 240
                    )
                then 'ordered'
                when not is_listed_alone or listed_interval is null
                then 'listed'
                when not coalesce(type in (2, 4, 17), false)
                then 'unsaid'
                when is_prorated or coalesce(phase, 'BASE') != 'BASE' or term_hours is null
                then 'listed'
                when
                    term_hours * 10 > listed_hours * 11 + 240
                    or (not (type in (4, 17) and is_linked) and term_hours * 10 < listed_hours * 9 - 240)
                then 'shown'
                when
                    not (type in (4, 17) and is_linked)
                    and {{ shows_four_weeks_or_month("listed_hours", "term_starts_at", "expires_at") }}
                then 'shown'
                else 'listed'
            end as rhythm_source
        from compared
    )

select
    'google_play' as provider,
    message_id as provider_event_id,
    coalesce(profile_id, purchase_token) as subscription_id,
    {{ paying_account("google_play", "told_account_id", "coalesce(profile_id, purchase_token)") }}
    as account_id,
    event_type,
    plan_id,
    cast(if(is_by_offer, ordered_price, recurring_price) as numeric(38, 9)) as price_amount,
    -- What was put off costs what it did.
    if(is_by_offer and ordered_price is null and type is distinct from 9, true, null) as is_price_unknown,
    json_value(base, '$.autoRenewingPlan.recurringPrice.currencyCode') as currency,
    case
        rhythm_source
        when 'installments'
        then 'month'
        when 'ordered'
        then {{ period_interval("ordered_from_at", "ordered_until_at") }}
        when 'shown'
        then {{ period_interval("term_starts_at", "expires_at") }}
        when 'listed'
        then listed_interval
    end as billing_interval,
    case
        rhythm_source
        when 'installments'
        then 1
        when 'ordered'
        then {{ period_interval_count("ordered_from_at", "ordered_until_at") }}
        when 'shown'
        then {{ period_interval_count("term_starts_at", "expires_at") }}
        when 'listed'
        then listed_interval_count
    end as billing_interval_count,
    if(event_type = 'trial_started', expires_at, null) as trial_ends_at,
    started_at as period_start_at,
    expires_at as period_end_at,
    is_auto_renew,
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
    if(
        event_type in ('trial_started', 'started', 'reactivated'),
        json_value(base, '$.offerDetails.offerId'),
        null
    ) as offer_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from paced
