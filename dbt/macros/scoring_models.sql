-- fmt: off
{# Made by `segue models compile` from scoring/models/*.yml and scoring/events.py; edit those. #}

{% macro declared_models() -%}
    {%- set declared -%}{% raw %}
[
    {"name": "churn_risk", "event": "churned", "within_days": 30, "population": "(is_payer and is_paid)", "days": 90, "holdout_days": 14, "every": 7, "negative_buckets": 10000, "most_examples": 1000000, "experiment": null, "control": null, "treated": null},
    {"name": "trial_offer_uplift", "event": "trial_started", "within_days": 14, "population": "(not is_entitled and not has_ever_trialled and not has_ever_paid and tenure_days >= 7 and streams_28d >= 200 and (skips_blocked_28d >= 20 or ad_ms_28d >= 600000))", "days": 84, "holdout_days": 28, "every": 7, "negative_buckets": 10000, "most_examples": 1000000, "experiment": "trial-length-2026", "control": "control", "treated": ["thirty_days"]},
    {"name": "trial_propensity", "event": "trial_started", "within_days": 14, "population": "(not is_entitled and not has_ever_trialled and not has_ever_paid)", "days": 84, "holdout_days": 14, "every": 7, "negative_buckets": 10000, "most_examples": 1000000, "experiment": null, "control": null, "treated": null}
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

{% macro declared_features() -%}
    {%- set declared -%}{% raw %}
[
    {"name": "market"},
    {"name": "locale"},
    {"name": "birth_year_band"},
    {"name": "created_date"},
    {"name": "tenure_days"},
    {"name": "streams_28d"},
    {"name": "active_days_28d"},
    {"name": "ad_ms_28d"},
    {"name": "skips_blocked_28d"},
    {"name": "has_ever_trialled"},
    {"name": "has_ever_paid"},
    {"name": "is_entitled"},
    {"name": "is_payer"},
    {"name": "is_member"},
    {"name": "is_paid"},
    {"name": "is_in_trial"},
    {"name": "is_in_grace"},
    {"name": "is_auto_renew"},
    {"name": "has_cancelled"},
    {"name": "plan_kind"},
    {"name": "billing_interval"},
    {"name": "billing_interval_count"},
    {"name": "subscription_started_date"},
    {"name": "subscription_tenure_days"},
    {"name": "seats"},
    {"name": "seats_taken"},
    {"name": "subscription_count"},
    {"name": "price_raise_date"},
    {"name": "failed_payments_28d"},
    {"name": "last_ended_date"},
    {"name": "last_end_reason"},
    {"name": "days_since_lapse"}
]
    {% endraw %}{%- endset -%}
    {{ return(var("declared_features", fromjson(declared))) }}
{%- endmacro %}
