{#-
  Say nothing that another event does not say about the subscription: a failed payment is told by the
  subscription's new status, a first invoice by its creation. Every other type is mapped below.
-#}
{%- set informational_types = [
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.upcoming",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
    "charge.captured",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.succeeded",
    "charge.updated",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
] -%}

with
    notifications as (
        select
            event_id,
            json_value(payload, '$.type') as type,
            json_query(payload, '$.data.object') as object,
            json_query(payload, '$.data.previous_attributes') as previous,
            occurred_at,
            ingested_at,
            arrival_date,
            landing_file,
            landing_row
        from {{ source("stripe", "stripe_events") }}
        where
            {{ arrived_from(history_from("int_subscription_events")) }}
            and json_value(payload, '$.livemode') = 'true'
    ),

    objects as (
        select
            *,
            type like 'customer.subscription.%' as is_subscription,
            json_value(object, '$.status') as status,
            json_value(previous, '$.status') as status_before,
            json_query(object, '$.items.data[0]') as item,
            json_query(previous, '$.items.data[0]') as item_before,
            {{ is_given("json_query(object, '$.pause_collection')") }} as is_paused,
            {{ is_given("json_query(previous, '$.pause_collection')") }} as has_been_paused,
            json_value(object, '$.cancel_at_period_end') = 'true'
            or json_value(object, '$.cancel_at') is not null as is_ending,
            -- What did not change is not among the previous attributes; null is there, and no SQL null.
            coalesce(
                json_value(previous, '$.cancel_at_period_end'), json_value(object, '$.cancel_at_period_end')
            )
            = 'true'
            or if(
                json_query(previous, '$.cancel_at') is null,
                json_value(object, '$.cancel_at'),
                json_value(previous, '$.cancel_at')
            )
            is not null as was_ending,
            (
                select line
                from unnest(json_query_array(object, '$.lines.data')) as line
                with
                offset as place
                where
                    coalesce(json_value(line, '$.parent.subscription_item_details.proration') != 'true', true)
                order by place
                limit 1
            ) as line
        from notifications
        where type not in ('{{ informational_types | join("', '") }}')
    ),

    mapped as (
        select
            *,
            case
                when type = 'customer.subscription.created'
                then case status when 'trialing' then 'trial_started' when 'active' then 'started' end
                when type = 'customer.subscription.paused'
                then 'paused'
                when type = 'customer.subscription.resumed'
                then 'resumed'
                when type = 'customer.subscription.deleted'
                then
                    if(
                        json_value(object, '$.cancellation_details.reason') = 'payment_disputed',
                        'revoked',
                        'expired'
                    )
                when type = 'customer.subscription.updated' and status_before != status
                then
                    case
                        when status = 'trialing' and status_before = 'incomplete'
                        then 'trial_started'
                        when status = 'active' and status_before = 'incomplete'
                        then 'started'
                        when status = 'active' and status_before = 'trialing'
                        then 'trial_converted'
                        when status = 'active' and status_before in ('past_due', 'unpaid')
                        then 'recovered'
                        when status = 'past_due'
                        then 'grace_started'
                        when status = 'unpaid'
                        then 'billing_retry_started'
                    end
                when type = 'customer.subscription.updated' and is_paused
                then if(json_query(previous, '$.pause_collection') is null or has_been_paused, null, 'paused')
                when type = 'customer.subscription.updated' and has_been_paused
                then 'resumed'
                when
                    type = 'customer.subscription.updated'
                    and (
                        json_value(item_before, '$.price.product') != json_value(item, '$.price.product')
                        or json_value(item_before, '$.price.currency') != json_value(item, '$.price.currency')
                        or json_value(item_before, '$.price.recurring.interval')
                        != json_value(item, '$.price.recurring.interval')
                        or json_value(item_before, '$.price.recurring.interval_count')
                        != json_value(item, '$.price.recurring.interval_count')
                    )
                then 'plan_changed'
                when
                    type = 'customer.subscription.updated'
                    and (
                        json_value(item_before, '$.price.unit_amount')
                        != json_value(item, '$.price.unit_amount')
                        or json_value(item_before, '$.quantity') != json_value(item, '$.quantity')
                    )
                then 'price_changed'
                when type = 'customer.subscription.updated' and is_ending != was_ending
                then if(is_ending, 'auto_renew_off', 'auto_renew_on')
                when type = 'invoice.paid' and json_value(object, '$.billing_reason') = 'subscription_cycle'
                then 'renewed'
                when type in ('charge.refunded', 'charge.dispute.funds_withdrawn')
                then 'refunded'
                when type in ('charge.dispute.funds_reinstated', 'refund.failed')
                then 'refund_reversed'
            end as event_type,
            upper(
                coalesce(
                    json_value(item, '$.price.currency'),
                    if(type = 'invoice.paid', json_value(object, '$.currency'), null)
                )
            ) as currency,
            -- In the currency's smallest unit, after discounts where they are known.
            case
                when is_subscription and status = 'trialing'
                then 0
                when is_subscription
                then
                    cast(json_value(item, '$.price.unit_amount') as int64)
                    * cast(coalesce(json_value(item, '$.quantity'), '1') as int64)
                when type = 'invoice.paid'
                then
                    cast(json_value(line, '$.amount') as int64) - coalesce(
                        (
                            select sum(cast(json_value(discount, '$.amount') as int64))
                            from unnest(json_query_array(line, '$.discount_amounts')) as discount
                        ),
                        0
                    )
            end as amount
        from objects
    )

select
    'stripe' as provider,
    event_id as provider_event_id,
    case
        when is_subscription
        then json_value(object, '$.id')
        when type = 'invoice.paid'
        then json_value(object, '$.parent.subscription_details.subscription')
        else json_value(object, '$.metadata.subscription_id')
    end as subscription_id,
    if(
        type = 'invoice.paid',
        json_value(object, '$.parent.subscription_details.metadata.account_id'),
        json_value(object, '$.metadata.account_id')
    ) as account_id,
    event_type,
    coalesce(
        json_value(item, '$.price.product'), json_value(line, '$.pricing.price_details.product')
    ) as plan_id,
    {{ minor_unit_amount("amount", "currency") }} as price_amount,
    currency,
    json_value(item, '$.price.recurring.interval') as billing_interval,
    {{
        told_interval_count(
            "json_value(item, '$.price.recurring.interval')",
            "cast(json_value(item, '$.price.recurring.interval_count') as int64)",
        )
    }} as billing_interval_count,
    if(
        event_type = 'trial_started',
        timestamp_seconds(cast(json_value(object, '$.trial_end') as int64)),
        null
    ) as trial_ends_at,
    timestamp_seconds(
        cast(
            coalesce(
                json_value(item, '$.current_period_start'),
                json_value(object, '$.current_period_start'),
                json_value(line, '$.period.start')
            ) as int64
        )
    ) as period_start_at,
    timestamp_seconds(
        cast(
            coalesce(
                json_value(item, '$.current_period_end'),
                json_value(object, '$.current_period_end'),
                json_value(line, '$.period.end')
            ) as int64
        )
    ) as period_end_at,
    case
        when type = 'customer.subscription.deleted' then false when is_subscription then not is_ending
    end as is_auto_renew,
    case
        when type = 'charge.refunded'
        then 'refund'
        when type = 'charge.dispute.funds_withdrawn'
        then 'fraud'
        when type = 'customer.subscription.deleted'
        then
            case
                json_value(object, '$.cancellation_details.reason')
                when 'cancellation_requested'
                then 'voluntary'
                when 'payment_failed'
                then 'payment_failure'
                when 'payment_disputed'
                then 'fraud'
            end
    end as reason,
    if(
        event_type in ('trial_started', 'started'), json_value(object, '$.metadata.offer_id'), null
    ) as offer_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from mapped
where event_type is not null
