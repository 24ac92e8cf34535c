-- Accounts that pay for another plan, or in another rhythm, at a day's close than at the one before. Only
-- lives that change on the days that are looked at are read: those of the run, and those whose horizons end
-- on them.
{{
    config(
        partition_by={"field": "move_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

{%- set horizons = [0] + var("upsell_horizon_days") %}

with
    move_days as (
        {%- for horizon_days in horizons %}
            select move_date
            from
                unnest(
                    generate_date_array({{ start_day(-horizon_days) }}, {{ end_day(-horizon_days) }})
                ) as move_date
                {{ "union distinct" if not loop.last }}
        {%- endfor %}
    ),

    periods as (
        select
            subscription_id,
            account_id,
            plan_id,
            is_paid,
            billing_interval,
            billing_interval_count,
            offer_id,
            valid_from_at,
            coalesce(valid_to_at, timestamp '9999-12-31') as ends_at,
            subscription_started_at
        from {{ ref("int_subscription_periods") }}
        where is_entitled
    ),

    changes as (
        select day.move_date, period.account_id, period.valid_from_at as changed_at
        from periods as period
        inner join move_days as day on date(period.valid_from_at) = day.move_date
        union all
        select day.move_date, period.account_id, period.ends_at
        from periods as period
        inner join move_days as day on date(period.ends_at) = day.move_date
        -- Who is merged, excluded or readmitted changes without an event.
        union all
        select day.move_date, account.account_id, timestamp(day.move_date)
        from {{ ref("int_account_versions") }} as account
        inner join move_days as day on account.valid_from_date = day.move_date
    ),

    touched as (
        select
            change.move_date,
            coalesce(account.resolved_account_id, change.account_id) as account_id,
            max(change.changed_at) as changed_at
        from changes as change
        left join
            {{ ref("int_account_versions") }} as account
            on change.account_id = account.account_id
            and {{ valid_on("account", "change.move_date") }}
        group by 1, 2
    ),

    -- All accounts that are one on the day.
    holders as (
        select touched.move_date, touched.account_id, account.account_id as holder_account_id
        from touched
        inner join
            {{ ref("int_account_versions") }} as account
            on touched.account_id = account.resolved_account_id
            and {{ valid_on("account", "touched.move_date") }}
        union distinct
        select move_date, account_id, account_id
        from touched
    ),

    sides as (
        select
            holder.move_date,
            holder.account_id,
            coalesce(account.resolved_market, 'ZZ') as market,
            period.* except (account_id),
            period.valid_from_at < timestamp(holder.move_date)
            and period.ends_at >= timestamp(holder.move_date)
            and not coalesce(account_before.is_resolved_test_account, false) as is_before,
            period.valid_from_at < timestamp(date_add(holder.move_date, interval 1 day))
            and period.ends_at >= timestamp(date_add(holder.move_date, interval 1 day))
            and not coalesce(account.is_resolved_test_account, false) as is_after
        from holders as holder
        inner join
            periods as period
            on holder.holder_account_id = period.account_id
            and period.valid_from_at < timestamp(date_add(holder.move_date, interval 1 day))
            and period.ends_at >= timestamp(holder.move_date)
        left join
            {{ ref("int_account_versions") }} as account
            on period.account_id = account.account_id
            and {{ valid_on("account", "holder.move_date") }}
        left join
            {{ ref("int_account_versions") }} as account_before
            on period.account_id = account_before.account_id
            and {{ valid_on("account_before", "date_sub(holder.move_date, interval 1 day)") }}
    ),

    -- A subscription that was handed over belongs to its holder of now at both closes.
    subscriptions as (
        select
            move_date,
            subscription_id,
            coalesce(max(if(is_after, account_id, null)), max(if(is_before, account_id, null))) as account_id,
            coalesce(max(if(is_after, market, null)), max(if(is_before, market, null))) as market,
            date(min(subscription_started_at)) as started_date,
            {%- for side in ["before", "after"] %}
                logical_or(is_{{ side }} and is_paid) as is_paid_{{ side }},
                max(if(is_{{ side }}, plan_id, null)) as plan_id_{{ side }},
                max(if(is_{{ side }}, billing_interval, null)) as billing_interval_{{ side }},
                max(if(is_{{ side }}, billing_interval_count, null)) as billing_interval_count_{{ side }},
            {%- endfor %}
            -- What the event named that made it what it is at the close.
            max(if(is_after and valid_from_at >= timestamp(move_date), offer_id, null)) as named_offer_id
        from sides
        where is_before or is_after
        group by move_date, subscription_id
    ),

    {%- for side in ["before", "after"] %}
        -- With several that are paid the oldest speaks for the account, as in fct_subscriber_daily.
        plans_{{ side }} as (
            select
                subscription.move_date,
                subscription.account_id,
                subscription.market,
                coalesce(plan.plan_kind, 'unknown') as plan_kind,
                coalesce(subscription.billing_interval_{{ side }}, plan.billing_interval) as billing_interval,
                coalesce(
                    subscription.billing_interval_count_{{ side }}, plan.billing_interval_count
                ) as billing_interval_count,
                subscription.named_offer_id
            from subscriptions as subscription
            left join
                {{ ref("stg_billing__plans") }} as plan on subscription.plan_id_{{ side }} = plan.plan_id
            where subscription.is_paid_{{ side }}
            qualify
                row_number() over (
                    partition by subscription.move_date, subscription.account_id
                    order by subscription.started_date, subscription.subscription_id
                )
                = 1
        ),
    {%- endfor %}

    moves as (
        select
            coalesce(after.move_date, before.move_date) as move_date,
            coalesce(after.account_id, before.account_id) as account_id,
            coalesce(after.market, before.market) as market,
            after.named_offer_id,
            {%- for side, prefix in [("before", "from"), ("after", "to")] %}
                coalesce({{ side }}.plan_kind, 'free') as {{ prefix }}_plan_kind,
                {{ yearly_interval(side ~ ".billing_interval", side ~ ".billing_interval_count") }}
                as {{ prefix }}_billing_interval,
                {{ yearly_count(side ~ ".billing_interval", side ~ ".billing_interval_count") }}
                as {{ prefix }}_billing_interval_count{{ "," if not loop.last }}
            {%- endfor %}
        from plans_after as after
        full outer join
            plans_before as before
            on after.move_date = before.move_date
            and after.account_id = before.account_id
    ),

    changed as (
        select move.*, touched.changed_at
        from moves as move
        inner join touched on move.move_date = touched.move_date and move.account_id = touched.account_id
        where
            move.from_plan_kind != move.to_plan_kind
            or move.from_billing_interval is distinct from move.to_billing_interval
            or move.from_billing_interval_count is distinct from move.to_billing_interval_count
    ),

    -- The offer that was shown last within a window before the change, and had arrived a window after it.
    last_shown as (
        select move.move_date, move.account_id, impression.offer_id
        from changed as move
        inner join
            holders as holder on move.move_date = holder.move_date and move.account_id = holder.account_id
        inner join
            {{ ref("stg_merchandising__impressions_before_moves") }} as impression
            on holder.holder_account_id = impression.account_id
            and impression.occurred_at <= move.changed_at
            and impression.occurred_at
            > timestamp_sub(move.changed_at, interval {{ var("attribution_days") }} day)
            and impression.arrival_date
            <= date_add(move.move_date, interval {{ var("attribution_days") }} day)
        where true
        qualify
            row_number() over (
                partition by move.move_date, move.account_id
                order by impression.occurred_at desc, impression.offer_id
            )
            = 1
    )

select
    move.move_date,
    move.account_id,
    move.market,
    move.from_plan_kind,
    move.from_billing_interval,
    move.from_billing_interval_count,
    move.to_plan_kind,
    move.to_billing_interval,
    move.to_billing_interval_count,
    coalesce(move.named_offer_id, last_shown.offer_id) as offer_id
from changed as move
left join last_shown on move.move_date = last_shown.move_date and move.account_id = last_shown.account_id
