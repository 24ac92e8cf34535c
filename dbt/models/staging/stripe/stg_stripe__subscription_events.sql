{#-
  Say nothing that another event does not say about the subscription: a failed payment is told by the
  subscription's new status. Every other type is mapped below.
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
    notifications as ({{ stripe_notifications("int_subscription_events") }}),

    listed_plans as (
        select day.arrival_date, array_agg(plan.plan_id) as plan_ids
        from (select distinct arrival_date from notifications) as day
        inner join
            {{ ref("stg_billing__plan_versions") }} as plan
            on day.arrival_date >= plan.known_from_date
            and day.arrival_date < plan.known_until_date
        group by day.arrival_date
    ),

    with_catalogue as (
        select notifications.*, listed_plans.plan_ids
        from notifications
        left join listed_plans on notifications.arrival_date = listed_plans.arrival_date
    ),

    objects as (
        select
            * except (plan_ids),
            type like 'customer.subscription.%' as is_subscription,
            type = 'customer.subscription.updated' as is_update,
            type = 'invoice.paid' as is_invoice,
            json_value(object, '$.billing_reason') as billing_reason,
            {{ invoiced_subscription("object") }} as invoiced_subscription_id,
            json_value(object, '$.status') as status,
            json_value(previous, '$.status') as status_before,
            {{ base_item("object", "plan_ids") }} as item,
            {{ base_item("previous", "plan_ids") }} as item_before,
            {{ items_amount("object") }} as list_amount,
            {{ items_amount("previous") }} as list_amount_before,
            {{ is_usage_only("object") }} as is_usage_only,
            {{ discount_count("object") }} as discounts,
            {{ told_coupon("object") }} as coupon,
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
            json_query_array(object, '$.lines.data') as lines,
            (
                select max(cast(json_value(line, '$.period.start') as int64))
                from unnest(json_query_array(object, '$.lines.data')) as line
                where {{ pays_a_period("line") }}
            ) as paid_from,
            coalesce(json_value(object, '$.lines.has_more') != 'true', true)
            and coalesce(
                (
                    select logical_and({{ bills_usage("line", "object") }})
                    from unnest(json_query_array(object, '$.lines.data')) as line
                    where {{ pays_a_period("line") }}
                ),
                false
            ) as is_invoice_of_usage
        from with_catalogue
        where type not in ('{{ informational_types | join("', '") }}')
    ),

    changes as (
        select
            *,
            coalesce(status_before != status, false) as is_new_status,
            is_update
            and coalesce(
                json_value(item_before, '$.price.recurring.interval')
                != json_value(item, '$.price.recurring.interval')
                or coalesce(json_value(item_before, '$.price.recurring.interval_count'), '1')
                != coalesce(json_value(item, '$.price.recurring.interval_count'), '1'),
                false
            )
            and json_value(item_before, '$.price.recurring.interval') is not null as is_new_rhythm,
            is_update
            and coalesce(
                json_value(item_before, '$.price.product') != json_value(item, '$.price.product')
                or json_value(item_before, '$.price.currency') != json_value(item, '$.price.currency'),
                false
            ) as is_new_product,
            is_update
            and coalesce(
                -- Tiers and packages tell no amount: another price may be another amount.
                (
                    list_amount is null
                    and json_value(item_before, '$.price.id') != json_value(item, '$.price.id')
                )
                or json_value(item_before, '$.price.unit_amount') != json_value(item, '$.price.unit_amount')
                or coalesce(json_value(item_before, '$.quantity'), json_value(previous, '$.quantity'))
                != json_value(item, '$.quantity')
                or list_amount_before != list_amount,
                false
            ) as is_new_amount,
            -- Free time that was given, or taken away, in the middle of a trial.
            is_update
            and status = 'trialing'
            and json_query(previous, '$.trial_end') is not null as is_new_trial_end
        from objects
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
                -- What was never paid for had not begun.
                when type = 'customer.subscription.deleted' and status = 'incomplete_expired'
                then null
                when
                    type = 'customer.subscription.deleted'
                    or (is_update and is_new_status and status = 'canceled')
                then
                    if(
                        json_value(object, '$.cancellation_details.reason') = 'payment_disputed',
                        'revoked',
                        'expired'
                    )
                when is_update and is_new_status
                then
                    case
                        when status = 'trialing' and status_before = 'incomplete'
                        then 'trial_started'
                        when status = 'active' and status_before = 'incomplete'
                        then 'started'
                        when status = 'active' and status_before = 'trialing'
                        then 'trial_converted'
                        when status in ('active', 'trialing') and status_before in ('past_due', 'unpaid')
                        then 'recovered'
                        when status in ('active', 'trialing') and status_before = 'paused'
                        then 'resumed'
                        -- Who has paid before and is given time is in no trial: nothing is paid until it
                        -- ends.
                        when status = 'trialing' and status_before = 'active'
                        then 'price_changed'
                        when status = 'past_due'
                        then 'grace_started'
                        when status = 'unpaid'
                        then 'billing_retry_started'
                        when status = 'paused'
                        then 'paused'
                    end
                when is_update and is_paused
                then if(json_query(previous, '$.pause_collection') is null or has_been_paused, null, 'paused')
                when is_update and has_been_paused
                then 'resumed'
                when is_new_product or is_new_rhythm
                then 'plan_changed'
                when is_new_amount or is_new_trial_end
                then 'price_changed'
                when is_update and is_ending != was_ending
                then if(is_ending, 'auto_renew_off', 'auto_renew_on')
                when is_invoice and billing_reason = 'subscription_cycle'
                then 'renewed'
                -- The first invoice, and one that a change begins a new period with, say what is really paid.
                when
                    is_invoice
                    and billing_reason in ('subscription_create', 'subscription_update', 'quote_accept')
                    -- A quote may have sold something else.
                    and invoiced_subscription_id is not null
                    and not is_invoice_of_usage
                    and paid_from is not null
                then 'price_changed'
                when type in ('charge.refunded', 'charge.dispute.funds_withdrawn')
                then 'refunded'
                when type in ('charge.dispute.funds_reinstated', 'refund.failed')
                then 'refund_reversed'
            end as event_type,
            upper(
                if(
                    is_subscription or is_invoice,
                    coalesce(json_value(object, '$.currency'), json_value(item, '$.price.currency')),
                    null
                )
            ) as currency
        from changes
    ),

    priced as (
        select
            *,
            -- In the currency's smallest unit.
            case
                when is_invoice and (is_invoice_of_usage or json_value(object, '$.lines.has_more') = 'true')
                then null
                when is_invoice
                then
                    greatest(
                        {{
                            of_paying_lines(
                                "cast(sum(cast(json_value(line, '$.amount') as int64)) as int64)",
                                "lines",
                                "paid_from",
                            )
                        }} - coalesce(
                            {{
                                of_paying_lines(
                                    "cast(sum(cast(json_value(discount, '$.amount') as int64)) as int64)",
                                    "lines",
                                    "paid_from",
                                    more="cross join unnest(json_query_array(line, '$.discount_amounts')) as discount",
                                )
                            }},
                            0
                        ),
                        0
                    )
                -- A subscription says what it costs when that is what has changed. Any other event of it
                -- knows the list price at best.
                when
                    is_subscription
                    and (
                        event_type in ('trial_started', 'started')
                        or is_new_product
                        or is_new_rhythm
                        or is_new_amount
                        or is_new_trial_end
                        or (
                            is_new_status
                            and (status = 'trialing' or status_before in ('trialing', 'paused'))
                            and event_type not in ('expired', 'revoked')
                        )
                        or type = 'customer.subscription.resumed'
                    )
                then
                    if(
                        status = 'trialing',
                        0,
                        {{ discounted_amount("list_amount", "discounts", "coupon", "currency") }}
                    )
            end as amount
        from mapped
        where event_type is not null
    )

select
    'stripe' as provider,
    event_id as provider_event_id,
    case
        when is_subscription
        then json_value(object, '$.id')
        when is_invoice
        then invoiced_subscription_id
        else json_value(object, '$.metadata.subscription_id')
    end as subscription_id,
    {{ stripe_account() }} as account_id,
    event_type,
    -- Of an invoice for several products nobody can tell the base item.
    coalesce(
        json_value(item, '$.price.product'),
        {{
            of_paying_lines(
                "if(count(distinct "
                ~ line_product("line")
                ~ ") = 1, max("
                ~ line_product("line")
                ~ "), null)",
                "lines",
                "paid_from",
            )
        }}
    ) as plan_id,
    {{ minor_unit_amount("amount", "currency") }} as price_amount,
    -- After a change within a rhythm the old price no longer holds; the renewal brings the new one. A new
    -- rhythm and a beginning are paid for at once, and their invoice may have been heard of before, unless it
    -- is sent by mail. What usage will cost nobody tells.
    if(
        (is_invoice and is_invoice_of_usage)
        or (
            is_subscription
            and amount is null
            and is_usage_only
            and status != 'trialing'
            and event_type not in ('expired', 'revoked')
        )
        or is_subscription
        and amount is null
        and (
            (
                (is_new_product or is_new_amount)
                and not is_new_rhythm
                and event_type not in ('expired', 'revoked')
            )
            or (event_type = 'started' and json_value(object, '$.collection_method') = 'send_invoice')
        ),
        true,
        null
    ) as is_price_unknown,
    currency,
    json_value(item, '$.price.recurring.interval') as billing_interval,
    {{
        told_interval_count(
            "json_value(item, '$.price.recurring.interval')",
            "cast(json_value(item, '$.price.recurring.interval_count') as int64)",
        )
    }} as billing_interval_count,
    if(
        status = 'trialing' and (event_type = 'trial_started' or is_new_trial_end or is_new_status),
        timestamp_seconds(cast(json_value(object, '$.trial_end') as int64)),
        null
    ) as trial_ends_at,
    -- The first invoice may be heard of before the subscription: it is no beginning.
    timestamp_seconds(
        if(
            is_invoice,
            if(event_type = 'renewed', paid_from, null),
            cast(
                coalesce(
                    json_value(item, '$.current_period_start'), json_value(object, '$.current_period_start')
                ) as int64
            )
        )
    ) as period_start_at,
    timestamp_seconds(
        case
            when is_invoice
            then
                if(
                    event_type = 'renewed',
                    {{
                        of_paying_lines(
                            "max(cast(json_value(line, '$.period.end') as int64))", "lines", "paid_from"
                        )
                    }},
                    null
                )
            when status = 'trialing' and json_value(object, '$.trial_end') is not null
            then cast(json_value(object, '$.trial_end') as int64)
            else
                cast(
                    coalesce(
                        json_value(item, '$.current_period_end'), json_value(object, '$.current_period_end')
                    ) as int64
                )
        end
    ) as period_end_at,
    case
        when event_type in ('expired', 'revoked') then false when is_subscription then not is_ending
    end as is_auto_renew,
    case
        when type = 'charge.refunded'
        then 'refund'
        when type = 'charge.dispute.funds_withdrawn'
        then 'fraud'
        when event_type in ('expired', 'revoked')
        then
            case
                json_value(object, '$.cancellation_details.reason')
                when 'cancellation_requested'
                then 'voluntary'
                when 'payment_failed'
                then 'payment_failure'
                when 'payment_disputed'
                then 'fraud'
                else if(json_value(object, '$.cancellation_details.reason') is null, null, 'other')
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
from priced
