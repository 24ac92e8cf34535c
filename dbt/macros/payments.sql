{# How far before a run's first day it has payments: journeys and metrics of experiments look so far back. #}
{% macro paid_reach_days() -%}
    {{ return([var("journey_horizon_days"), metric_days("fct_payment", before=true) + 1] | max) }}
{%- endmacro %}

{# How far payments are read for it: each refund and dispute is held against its charge. #}
{% macro payment_window_days() -%}
    {{ return([paid_reach_days() + var("payment_reach_days"), var("trial_conversion_days")] | max) }}
{%- endmacro %}

{# Names of the columns of a payment that a provider's notification tells. #}
{% macro notified_payment_columns() -%}
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
    ingested_at,
    arrival_date,
    landing_file,
    landing_row
{%- endmacro %}
