{{
    config(
        partition_by={"field": "payment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

{#- What the feed of payments does not tell. #}
{%- set untold = {"provider": "string", "account_id": "string", "charged_amount": "numeric(38, 9)"} %}

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
            {%- for column in told_payment_columns() %}
                {{ "cast(null as " ~ untold[column] ~ ") as " if column in untold }}{{ column }}{{ "," if not loop.last }}
            {%- endfor %}
        from {{ ref("stg_billing__payments") }}
        union all
        select provider as source, {{ told_payment_columns() | join(", ") }}
        from notified_once
    )

select date(occurred_at) as payment_date, *
from told
where
    occurred_at >= timestamp({{ start_day(-payment_window_days()) }})
    and occurred_at < timestamp({{ as_of_day(1) }})
