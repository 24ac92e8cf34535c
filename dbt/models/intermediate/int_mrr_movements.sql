-- What moved the recurring revenue: account × day × cell, for accounts whose revenue or cell changed.
{{
    config(
        partition_by={"field": "snapshot_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    closings as (
        select *
        from {{ ref("int_subscription_closings") }}
        where snapshot_date between {{ start_day() }} and {{ end_day() }}
    ),

    -- The before side of a cell counts down, the after side counts up.
    sides as (
        select
            snapshot_date,
            account_id,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            mrr_cents - mrr_cents_before as mrr_cents,
            change_usd_cents as mrr_usd_cents,
            fx_usd_cents
        from closings
        where is_same_cell
        union all
        select
            snapshot_date,
            account_id,
            subscription_id,
            market_before,
            plan_kind_before,
            provider_before,
            currency_before,
            - mrr_cents_before,
            - mrr_usd_cents_before,
            0
        from closings
        where was_active and not is_same_cell
        union all
        select
            snapshot_date,
            account_id,
            subscription_id,
            market,
            plan_kind,
            provider,
            currency,
            mrr_cents,
            mrr_usd_cents,
            0
        from closings
        where is_active and not is_same_cell
    ),

    cells as (
        select
            snapshot_date,
            account_id,
            market,
            plan_kind,
            provider,
            currency,
            cast(sum(mrr_cents) as int64) as mrr_cents,
            cast(sum(mrr_usd_cents) as int64) as mrr_usd_cents,
            cast(sum(fx_usd_cents) as int64) as fx_usd_cents
        from sides
        group by snapshot_date, account_id, market, plan_kind, provider, currency
    ),

    accounts as (
        select snapshot_date, account_id, logical_or(was_paid) as was_paid, logical_or(is_paid) as is_paid
        from closings
        group by snapshot_date, account_id
    ),

    totals as (
        select snapshot_date, account_id, sum(mrr_usd_cents) as mrr_usd_cents
        from cells
        group by snapshot_date, account_id
    ),

    -- The first payment of whoever the account is on the day, over all its subscriptions.
    holders as (
        select
            coalesce(account.resolved_account_id, period.account_id) as account_id,
            coalesce(account.valid_from_date, date '0001-01-01') as valid_from_date,
            coalesce(account.valid_to_date, date '9999-12-31') as valid_to_date,
            min(period.valid_from_at) as first_paid_at
        from {{ ref("int_subscription_periods") }} as period
        left join {{ ref("int_account_versions") }} as account on period.account_id = account.account_id
        where period.is_paid
        group by 1, 2, 3
    ),

    first_payments as (
        select account.snapshot_date, account.account_id, min(holder.first_paid_at) as first_paid_at
        from accounts as account
        inner join
            holders as holder
            on account.account_id = holder.account_id
            and {{ valid_on("holder", "account.snapshot_date") }}
        where account.is_paid and not account.was_paid
        group by account.snapshot_date, account.account_id
    ),

    classified as (
        select
            account.snapshot_date,
            account.account_id,
            case
                when account.is_paid and not account.was_paid
                then if(first_payment.first_paid_at < timestamp(account.snapshot_date), 'reactivation', 'new')
                when account.was_paid and not account.is_paid
                then 'churn'
                when account.is_paid and total.mrr_usd_cents > 0
                then 'expansion'
                when account.is_paid and total.mrr_usd_cents < 0
                then 'contraction'
                else 'none'
            end as movement
        from accounts as account
        inner join
            totals as total
            on account.snapshot_date = total.snapshot_date
            and account.account_id = total.account_id
        left join
            first_payments as first_payment
            on account.snapshot_date = first_payment.snapshot_date
            and account.account_id = first_payment.account_id
    ),

    -- Of several ends on the way to a churn the latest gives the reason; earlier days' ends are long past.
    endings as (
        select snapshot_date, account_id, end_reason
        from closings
        where was_active and not is_active and end_reason is not null
        qualify
            row_number() over (partition by snapshot_date, account_id order by ended_at desc, subscription_id)
            = 1
    ),

    -- Of several changes the one that did most of what the movement says gives the reason.
    reasons as (
        select
            closing.snapshot_date,
            closing.account_id,
            case
                when closing.change_reason != 'start'
                then closing.change_reason
                when classified.movement = 'expansion'
                then 'second_subscription'
                else 'return'
            end as movement_reason
        from closings as closing
        inner join
            classified
            on closing.snapshot_date = classified.snapshot_date
            and closing.account_id = classified.account_id
        where
            case
                classified.movement
                when 'expansion'
                then closing.change_usd_cents > 0
                when 'contraction'
                then closing.change_usd_cents < 0
                when 'reactivation'
                then closing.is_paid
            end
        qualify
            row_number() over (
                partition by closing.snapshot_date, closing.account_id
                order by abs(closing.change_usd_cents) desc, closing.subscription_id
            )
            = 1
    )

select
    cell.snapshot_date,
    cell.account_id,
    classified.movement,
    -- No event ended it: the account was excluded.
    if(classified.movement = 'churn', coalesce(ending.end_reason, 'admin'), null) as churn_reason,
    reason.movement_reason,
    cell.market,
    cell.plan_kind,
    cell.provider,
    cell.currency,
    cell.mrr_cents,
    cell.mrr_usd_cents,
    cell.fx_usd_cents
from cells as cell
inner join
    classified on cell.snapshot_date = classified.snapshot_date and cell.account_id = classified.account_id
left join
    endings as ending on cell.snapshot_date = ending.snapshot_date and cell.account_id = ending.account_id
left join
    reasons as reason on cell.snapshot_date = reason.snapshot_date and cell.account_id = reason.account_id
where
    classified.movement != 'none'
    or cell.mrr_cents is distinct from 0
    or cell.mrr_usd_cents is distinct from 0
    or cell.fx_usd_cents is distinct from 0
