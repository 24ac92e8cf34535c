{{ config(cluster_by=["account_id"], group="offers") }}

{%- set details = [
    "surface",
    "decision_id",
    "rule_id",
    "rule_version",
    "generation",
    "content_version",
    "experiment_id",
    "variant",
] %}

with
    {{
        touch_ctes(
            ref("stg_merchandising__offer_impressions"),
            ref("stg_merchandising__offer_clicks"),
            ref("int_account_versions"),
            "timestamp(" ~ as_of_day(1) ~ ")",
            details,
        )
    }}

select
    account_id,
    offer_id,
    market,
    touched_at,
    click_id,
    is_early,
    impression_id,
    shown_at,
    {{ details | join(",\n    ") }}
from touches
where touched_at >= {{ journeys_since() }}
