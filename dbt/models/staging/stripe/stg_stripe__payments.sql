{#-
  Money that moved, or should have. A refund is told by its charge alone (charge.refunded: by how much its sum has
  grown), for refund.created tells the same money under another id. A dispute has the same id in all of its events,
  whichever of them are subscribed to.
-#}
{%- set types = [
    "invoice.paid",
    "invoice.payment_failed",
    "charge.refunded",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
] -%}

with
    notifications as ({{ stripe_notifications("int_notified_payments") }}),

    objects as (
        select
            *,
            starts_with(type, 'invoice.') as is_invoice,
            starts_with(type, 'charge.dispute.') as is_dispute,
            json_value(object, '$.id') as object_id,
            {{ invoiced_subscription("object") }} as invoiced_subscription_id,
            upper(json_value(object, '$.currency')) as currency
        from notifications
        where type in ('{{ types | join("', '") }}')
    ),

    mapped as (
        select
            *,
            case
                when type in ('invoice.paid', 'charge.refunded', 'charge.dispute.funds_withdrawn')
                then 'succeeded'
                when type = 'invoice.payment_failed'
                then 'failed'
                when type in ('refund.failed', 'charge.dispute.funds_reinstated')
                then 'reversed'
                when type = 'charge.dispute.created'
                then 'pending'
                -- An inquiry that is closed without a dispute moved nothing.
                when json_value(object, '$.status') = 'lost'
                then 'succeeded'
                when json_value(object, '$.status') = 'won'
                then 'reversed'
            end as payment_status,
            -- Landing does not hold these to a type: an amount that is none is unknown.
            case
                type
                when 'invoice.paid'
                then safe_cast(json_value(object, '$.amount_paid') as int64)
                when 'invoice.payment_failed'
                then safe_cast(json_value(object, '$.amount_due') as int64)
                when 'charge.refunded'
                then
                    safe_cast(json_value(object, '$.amount_refunded') as int64)
                    - coalesce(safe_cast(json_value(previous, '$.amount_refunded') as int64), 0)
                else safe_cast(json_value(object, '$.amount') as int64)
            end as amount,
            if(
                type = 'charge.refunded', safe_cast(json_value(object, '$.amount') as int64), null
            ) as charged_amount
        from objects
    )

select
    'stripe' as provider,
    case
        when type = 'invoice.paid'
        -- Before 2025-03-31 an invoice named the charge that paid it, which refunds and disputes name too.
        then 'stripe:' || coalesce(json_value(object, '$.charge'), object_id, event_id)
        when is_invoice
        then
            'stripe:' || coalesce(object_id || ':attempt:' || json_value(object, '$.attempt_count'), event_id)
        when type = 'charge.refunded'
        then 'stripe:' || event_id
        else 'stripe:' || coalesce(object_id, event_id) || if(payment_status = 'reversed', ':reversed', '')
    end as payment_id,
    if(
        is_invoice, invoiced_subscription_id, json_value(object, '$.metadata.subscription_id')
    ) as subscription_id,
    {{ stripe_account() }} as account_id,
    if(is_invoice, 'charge', if(is_dispute, 'dispute', 'refund')) as payment_kind,
    payment_status,
    {{ minor_unit_amount("amount", "currency") }} as payment_amount,
    currency,
    {{ minor_unit_amount("charged_amount", "currency") }} as charged_amount,
    case
        when type = 'charge.refunded'
        then 'stripe:' || object_id
        when not is_invoice
        then 'stripe:' || json_value(object, '$.charge')
    end as refunded_payment_id,
    occurred_at,
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
from mapped
where
    payment_status is not null
    -- Paid with nothing: a trial, or what was left of an earlier payment.
    and (amount is null or amount != 0)
    and if(is_invoice, invoiced_subscription_id, json_value(object, '$.metadata.subscription_id')) is not null
