{{
    config(
        partition_by={"field": "payment_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id", "subscription_id"],
        meta={
            "published": "days",
            "restates_days": 0,
            "measures": ["amount_usd_amount", "net_usd_amount"],
        },
    )
}}

select
    payment_date,
    payment_id,
    account_id,
    subscription_id,
    provider,
    market,
    plan_id,
    plan_kind,
    acquisition_offer_id,
    payment_kind,
    payment_status,
    refunded_payment_id,
    currency,
    payment_amount as amount,
    is_counted,
    not_counted_reason,
    {%- for amount in ["counted", "vat", "fee", "net"] %}
        {{ from_cents(amount ~ "_cents") }} as {{ amount }}_amount,
    {%- endfor %}
    {{ from_cents("counted_usd_cents") }} as amount_usd_amount,
    {{ from_cents("vat_usd_cents") }} as vat_usd_amount,
    {{ from_cents("fee_usd_cents") }} as fee_usd_amount,
    {{ from_cents("net_usd_cents") }} as net_usd_amount,
    occurred_at,
    source
from {{ ref("int_payments") }}
where {{ rebuilt_days("payment_date") }}
