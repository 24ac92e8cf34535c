-- fmt: off
{# Made by `segue experiments compile` from experiments/*.yml and experiments/metrics/*.yml; edit those. #}

{% macro declared_experiments() -%}
    {%- set declared -%}{% raw %}
[
    {"id": "annual-discount-2026", "version": 2, "rule": "annual_switch", "surface": null, "salt": "annual-discount-2026", "control": "control", "variants": [{"name": "control", "first_bucket": 0, "last_bucket": 1999}, {"name": "two_months", "first_bucket": 2000, "last_bucket": 5999}, {"name": "three_months", "first_bucket": 6000, "last_bucket": 9999}], "metrics": ["paid_annually_30d", "mrr_60d", "churned_60d"], "start": "2026-09-01", "end": "2026-11-30"},
    {"id": "trial-length-2026", "version": 2, "rule": "trial_for_engaged_free", "surface": null, "salt": "trial-length-2026", "control": "control", "variants": [{"name": "control", "first_bucket": 0, "last_bucket": 999}, {"name": "thirty_days", "first_bucket": 1000, "last_bucket": 9999}], "metrics": ["paid_60d", "mrr_60d", "churned_60d"], "start": "2026-09-01", "end": "2026-12-01"},
    {"id": "upgrade-wording-2026", "version": 1, "rule": null, "surface": "home", "salt": "upgrade-wording-2026", "control": "control", "variants": [{"name": "control", "first_bucket": 0, "last_bucket": 4999}, {"name": "price_first", "first_bucket": 5000, "last_bucket": 9999}], "metrics": ["conversions_per_journey_30d", "churned_60d"], "start": "2026-09-15", "end": "2026-11-30"}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_experiments", fromjson(declared))) }}
{%- endmacro %}

{% macro declared_metrics() -%}
    {%- set declared -%}{% raw %}
[
    {"id": "churned_60d", "version": 1, "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "at": null, "column": "movement", "equals": "churn", "aggregate": "any"}, "numerator": null, "denominator": null, "window_days": 60, "worse": "higher", "cap": null, "covariate_days": 28},
    {"id": "conversions_per_journey_30d", "version": 1, "value": null, "numerator": {"mart": "fct_offer_journey", "day": null, "at": "converted_at", "column": null, "equals": null, "aggregate": "count"}, "denominator": {"mart": "fct_offer_journey", "day": null, "at": "opened_at", "column": null, "equals": null, "aggregate": "count"}, "window_days": 30, "worse": "lower", "cap": null, "covariate_days": null},
    {"id": "mrr_60d", "version": 1, "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "at": null, "column": "mrr_usd_amount", "equals": null, "aggregate": "last"}, "numerator": null, "denominator": null, "window_days": 60, "worse": "lower", "cap": 100.0, "covariate_days": 28},
    {"id": "net_revenue_60d", "version": 1, "value": {"mart": "fct_payment", "day": null, "at": "occurred_at", "column": "net_usd_amount", "equals": null, "aggregate": "sum"}, "numerator": null, "denominator": null, "window_days": 60, "worse": "lower", "cap": 200.0, "covariate_days": 28},
    {"id": "paid_60d", "version": 1, "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "at": null, "column": "is_paid", "equals": null, "aggregate": "any"}, "numerator": null, "denominator": null, "window_days": 60, "worse": "lower", "cap": null, "covariate_days": 28},
    {"id": "paid_annually_30d", "version": 1, "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "at": null, "column": "billing_interval", "equals": "year", "aggregate": "any"}, "numerator": null, "denominator": null, "window_days": 30, "worse": "lower", "cap": null, "covariate_days": 28},
    {"id": "subscribed_14d", "version": 1, "value": {"mart": "fct_subscriber_daily", "day": "snapshot_date", "at": null, "column": "is_subscriber", "equals": null, "aggregate": "any"}, "numerator": null, "denominator": null, "window_days": 14, "worse": "lower", "cap": null, "covariate_days": null}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_metrics", fromjson(declared))) }}
{%- endmacro %}

{% macro declared_holdouts() -%}
    {%- set declared -%}{% raw %}
[
    {"id": "holdouts", "version": 2, "metrics": ["net_revenue_60d", "paid_60d", "mrr_60d", "churned_60d"], "start": "2026-09-01", "end": "2027-07-01"}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_holdouts", fromjson(declared))) }}
{%- endmacro %}

{% macro metric_facts() -%}
    {%- set declared -%}{% raw %}
[
    {"mart": "fct_subscriber_daily", "relation": "int_experiment_subscriber_days", "partition": "snapshot_date", "cents": {}, "reach": null},
    {"mart": "fct_payment", "relation": "int_payments", "partition": "payment_date", "cents": {"amount_usd_amount": "counted_usd_cents", "net_usd_amount": "net_usd_cents"}, "reach": null},
    {"mart": "fct_offer_journey", "relation": "fct_offer_journey", "partition": "journey_date", "cents": {}, "reach": 45}
]
    {% endraw %}{%- endset -%}
    {{ return(var("metric_facts", fromjson(declared))) }}
{%- endmacro %}
