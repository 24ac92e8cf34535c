{#
  How far before a run's first day it has payments: what journeys and trials have become is restated so far back,
  moves between plans and metrics of experiments look back at it.
#}
{% macro paid_reach_days() -%}
    {{
        return(
            [
                var("journey_horizon_days"),
                var("trial_conversion_days"),
                var("upsell_horizon_days") | max,
                metric_days("fct_payment", before=true) + 1,
            ]
            | max
        )
    }}
{%- endmacro %}

{# How far payments are read for it: each refund and dispute is held against its charge. #}
{% macro payment_window_days() -%} {{ return(paid_reach_days() + var("payment_reach_days")) }} {%- endmacro %}

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
