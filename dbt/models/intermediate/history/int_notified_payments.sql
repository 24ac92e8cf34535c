{{
    config(
        materialized="table",
        partition_by={"field": "arrival_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "feeds_of_day": ["app_store_notifications", "stripe_events"],
        },
    )
}}

with
    payments as (
        select {{ notified_payment_columns() }}
        from {{ ref("stg_app_store__payments") }}
        union all
        select {{ notified_payment_columns() }}
        from {{ ref("stg_stripe__payments") }}
    )

select *
from payments
where true
-- Delivered twice on one day. A later redelivery has a partition of its own and is found by the readers.
qualify {{ first_arrival("arrival_date, payment_id, payment_status") }}
