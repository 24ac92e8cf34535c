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

{# Names of the columns of a payment as it is told, by whichever source. #}
{% macro told_payment_columns() -%}
    {{
        return(
            [
                "provider",
                "payment_id",
                "subscription_id",
                "account_id",
                "payment_kind",
                "payment_status",
                "payment_amount",
                "currency",
                "charged_amount",
                "refunded_payment_id",
                "occurred_at",
                "arrival_date",
            ]
        )
    }}
{%- endmacro %}

{# The same of one that a provider's notification tells. #}
{% macro notified_payment_columns() -%}
    {{ (told_payment_columns() + ["ingested_at", "landing_file", "landing_row"]) | join(", ") }}
{%- endmacro %}

{#
  Of payments that a period of something counts, those that are its own: what is given back of a charge from before the
  period was never of it. `payments` is a CTE, `key` its columns that say of what the period is.
#}
{% macro own_payments(payments, key) -%}
    select payment.*
    from {{ payments }} as payment
    left join
        {{ payments }} as charge
        on {% for column in key -%} payment.{{ column }} = charge.{{ column }} and {% endfor -%}
        payment.refunded_payment_id = charge.payment_id and charge.payment_kind = 'charge'
    where
        payment.payment_kind = 'charge'
        or payment.refunded_payment_id is null
        or charge.payment_id is not null
{%- endmacro %}
