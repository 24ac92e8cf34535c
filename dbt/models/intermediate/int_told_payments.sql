{{
    config(
        partition_by={"field": "payment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

with
    notified as (
        {{
            history_rows(
                "int_notified_payments",
                "arrival_date",
                first_arrival_day(payment_window_days()),
                columns=notified_payment_columns(),
            )
        }}
    ),

    notified_once as (
        select * from notified where true qualify {{ first_arrival("payment_id, payment_status") }}
    ),

    told as (
        select
            'payments' as source,
            cast(null as string) as provider,
            payment_id,
            subscription_id,
            cast(null as string) as account_id,
            payment_kind,
            payment_status,
            payment_amount,
            currency,
            cast(null as numeric(38, 9)) as charged_amount,
            refunded_payment_id,
            occurred_at,
            arrival_date
        from {{ ref("stg_billing__payments") }}
        union all
        select
            provider,
            provider,
            payment_id,
            subscription_id,
            account_id,
            payment_kind,
            payment_status,
            payment_amount,
            currency,
            charged_amount,
            refunded_payment_id,
            occurred_at,
            arrival_date
        from notified_once
    )

select date(occurred_at) as payment_date, *
from told
where
    occurred_at >= timestamp({{ start_day(-payment_window_days()) }})
    and occurred_at < timestamp({{ as_of_day(1) }})
