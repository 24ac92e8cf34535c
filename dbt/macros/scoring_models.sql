-- fmt: off
{# Made by `segue models compile` from scoring/models/*.yml and scoring/events.py; edit those. #}

{% macro declared_models() -%}
    {%- set declared -%}{% raw %}
[
    {"name": "churn_risk", "event": "churned", "within_days": 30, "population": "(is_payer and is_paid)", "features": ["market", "birth_year_band", "tenure_days", "plan_kind", "billing_interval", "billing_interval_count", "subscription_tenure_days", "subscription_count", "seats_taken", "streams_28d", "active_days_28d", "is_in_grace", "is_auto_renew", "has_cancelled", "failed_payments_28d", "price_raise_date"], "days": 90, "holdout_days": 14, "every": 7, "negative_buckets": 10000, "experiment": null, "control": null, "treated": null},
    {"name": "trial_offer_uplift", "event": "trial_started", "within_days": 14, "population": "(not is_entitled and not has_ever_trialled and not has_ever_paid)", "features": ["market", "birth_year_band", "tenure_days", "streams_28d", "active_days_28d", "ad_ms_28d", "skips_blocked_28d"], "days": 84, "holdout_days": 28, "every": 7, "negative_buckets": 10000, "experiment": "trial-length-2026", "control": "control", "treated": ["thirty_days"]},
    {"name": "trial_propensity", "event": "trial_started", "within_days": 14, "population": "(not is_entitled and not has_ever_trialled and not has_ever_paid)", "features": ["tenure_days", "streams_28d", "active_days_28d", "ad_ms_28d", "skips_blocked_28d"], "days": 84, "holdout_days": 14, "every": 7, "negative_buckets": 10000, "experiment": null, "control": null, "treated": null}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_models", fromjson(declared))) }}
{%- endmacro %}

{% macro declared_events() -%}
    {%- set declared -%}{% raw %}
[
    {"name": "trial_started", "mart": "fct_trial", "account": "account_id", "partition": "trial_date", "day": "trial_date", "at": "trial_started_at", "condition": "true", "reach_days": 0, "settles_days": 0},
    {"name": "trial_converted", "mart": "fct_trial", "account": "account_id", "partition": "trial_date", "day": "date(converted_at)", "at": "converted_at", "condition": "is_converted", "reach_days": 90, "settles_days": 14},
    {"name": "subscribed", "mart": "fct_subscriber_daily", "account": "account_id", "partition": "snapshot_date", "day": "snapshot_date", "at": null, "condition": "movement in ('new', 'reactivation')", "reach_days": 0, "settles_days": 0},
    {"name": "churned", "mart": "fct_churn", "account": "account_id", "partition": "churn_date", "day": "churn_date", "at": null, "condition": "true", "reach_days": 0, "settles_days": 0}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_events", fromjson(declared))) }}
{%- endmacro %}
