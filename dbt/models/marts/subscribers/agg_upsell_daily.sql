-- A day's partition holds what was complete on it: the day's own moves, and what became of those of one
-- horizon ago.
{{
    config(
        partition_by={"field": "measured_date", "data_type": "date", "granularity": "day"},
        cluster_by=["from_plan_kind", "to_plan_kind"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["accounts", "retained_accounts"],
        },
    )
}}

{%- set horizons = [0] + var("upsell_horizon_days") %}

with
    moves as (
        select date_add(move.move_date, interval horizon_days day) as measured_date, horizon_days, move.*
        from {{ ref("int_plan_moves") }} as move
        cross join unnest({{ horizons }}) as horizon_days
        where
            move.move_date between {{ start_day(-(horizons | max)) }} and {{ end_day() }}
            and date_add(move.move_date, interval horizon_days day)
            between {{ start_day() }} and {{ end_day() }}
    ),

    -- Whoever the account has become by the day on which it is looked at.
    measured as (
        select move.*, coalesce(account.resolved_account_id, move.account_id) as measured_account_id
        from moves as move
        left join
            {{ ref("int_account_versions") }} as account
            on move.account_id = account.account_id
            and {{ valid_on("account", "move.measured_date") }}
    ),

    closes as (
        select
            snapshot_date,
            account_id,
            coalesce(plan_kind, 'unknown') as plan_kind,
            {{ yearly_interval("billing_interval", "billing_interval_count") }} as billing_interval,
            {{ yearly_count("billing_interval", "billing_interval_count") }} as billing_interval_count,
            mrr_usd_amount
        from {{ ref("fct_subscription_daily") }}
        where {{ rebuilt_days("snapshot_date") }} and was_active_at_day_end and is_paid
    ),

    standings as (
        select
            move.measured_date,
            move.horizon_days,
            move.account_id,
            count(close.account_id) > 0 as is_paying,
            coalesce(
                logical_or(
                    close.plan_kind = move.to_plan_kind
                    and close.billing_interval is not distinct from move.to_billing_interval
                    and close.billing_interval_count is not distinct from move.to_billing_interval_count
                ),
                false
            ) as is_on_plan,
            coalesce(sum(close.mrr_usd_amount), 0) as mrr_usd_amount
        from measured as move
        left join
            closes as close
            on move.measured_date = close.snapshot_date
            and move.measured_account_id = close.account_id
        group by move.measured_date, move.horizon_days, move.account_id
    ),

    closings_before as (
        select snapshot_date, account_id, sum(mrr_usd_cents_before) as mrr_usd_cents
        from {{ ref("int_subscription_closings") }}
        where snapshot_date between {{ start_day() }} and {{ end_day() }}
        group by snapshot_date, account_id
    ),

    -- All accounts that are the moved one by then.
    holders as (
        select move.measured_date, move.horizon_days, move.account_id, account.account_id as holder_account_id
        from measured as move
        inner join
            {{ ref("int_account_versions") }} as account
            on move.measured_account_id = account.resolved_account_id
            and {{ valid_on("account", "move.measured_date") }}
        where move.horizon_days > 0
        union distinct
        select measured_date, horizon_days, account_id, measured_account_id
        from measured
        where horizon_days > 0
    ),

    payments as (
        select
            holder.measured_date,
            holder.horizon_days,
            holder.account_id,
            payment.payment_id,
            payment.payment_kind,
            payment.refunded_payment_id,
            payment.counted_usd_cents
        from holders as holder
        -- The subscriptions that are its own by then, also those that have ended.
        inner join
            {{ ref("int_subscription_periods") }} as period
            on holder.holder_account_id = period.account_id
            and period.valid_from_at < timestamp(date_add(holder.measured_date, interval 1 day))
            and coalesce(period.valid_to_at, timestamp '9999-12-31')
            >= timestamp(date_add(holder.measured_date, interval 1 day))
        inner join
            {{ ref("int_payments") }} as payment
            on period.subscription_id = payment.subscription_id
            and payment.payment_date >= date_sub(holder.measured_date, interval holder.horizon_days day)
            and payment.payment_date < holder.measured_date
        where
            payment.is_counted
            and payment.payment_date between {{ start_day(-(horizons | max)) }} and {{ end_day() }}
    ),

    own_payments as ({{ own_payments("payments", ["measured_date", "horizon_days", "account_id"]) }}),

    -- A payment without a rate makes the revenue unknown, not smaller.
    revenues as (
        select
            measured_date,
            horizon_days,
            account_id,
            countif(counted_usd_cents is null) > 0 as is_unknown,
            sum(counted_usd_cents) as usd_cents
        from own_payments
        group by measured_date, horizon_days, account_id
    ),

    lines as (
        select
            move.*,
            {{ plan_rank("move.from_plan_kind") }} as from_rank,
            {{ plan_rank("move.to_plan_kind") }} as to_rank,
            standing.is_paying,
            if(
                move.to_plan_kind = 'free' and move.to_billing_interval is null,
                not standing.is_paying,
                standing.is_on_plan
            ) as is_on_plan,
            if(move.horizon_days = 0, coalesce(before.mrr_usd_cents, 0), null) as mrr_before_usd_cents,
            standing.mrr_usd_amount,
            coalesce(revenue.is_unknown, false) as is_revenue_unknown,
            coalesce(revenue.usd_cents, 0) as revenue_usd_cents
        from measured as move
        inner join
            standings as standing
            on move.measured_date = standing.measured_date
            and move.horizon_days = standing.horizon_days
            and move.account_id = standing.account_id
        left join
            closings_before as before
            on move.measured_date = before.snapshot_date
            and move.account_id = before.account_id
        left join
            revenues as revenue
            on move.measured_date = revenue.measured_date
            and move.horizon_days = revenue.horizon_days
            and move.account_id = revenue.account_id
    ),

    described as (
        select
            *,
            case
                when from_billing_interval is null and from_rank = 0
                then 'start'
                when to_billing_interval is null and to_rank = 0
                then 'end'
                when to_rank > from_rank
                then 'upgrade'
                when to_rank < from_rank
                then 'downgrade'
                when
                    {{ rhythm_length("to_billing_interval", "to_billing_interval_count") }}
                    > {{ rhythm_length("from_billing_interval", "from_billing_interval_count") }}
                then 'longer_rhythm'
                when
                    {{ rhythm_length("to_billing_interval", "to_billing_interval_count") }}
                    < {{ rhythm_length("from_billing_interval", "from_billing_interval_count") }}
                then 'shorter_rhythm'
                else 'other'
            end as move
        from lines
    )

select
    measured_date,
    horizon_days,
    move_date,
    move,
    from_plan_kind,
    from_billing_interval,
    from_billing_interval_count,
    to_plan_kind,
    to_billing_interval,
    to_billing_interval_count,
    market,
    offer_id,
    offer_id is not null as is_offer_touched,
    cast(count(*) as int64) as accounts,
    cast(countif(is_paying) as int64) as retained_accounts,
    cast(countif(is_on_plan) as int64) as on_plan_accounts,
    {{ from_cents("sum(mrr_before_usd_cents)") }} as mrr_before_usd_amount,
    cast(sum(mrr_usd_amount) as numeric(38, 9)) as mrr_after_usd_amount,
    {{ from_cents("if(horizon_days = 0 or logical_or(is_revenue_unknown), null, sum(revenue_usd_cents))") }}
    as revenue_usd_amount
from described
group by
    measured_date,
    horizon_days,
    move_date,
    move,
    from_plan_kind,
    from_billing_interval,
    from_billing_interval_count,
    to_plan_kind,
    to_billing_interval,
    to_billing_interval_count,
    market,
    offer_id
