{#
  Who was exposed to which experiment. Experiments are those of experiments/*.yml, and the standing ones: what a
  holdout keeps from accounts is compared with what the others were served.
#}
{# Every experiment, with what all of them have; of the holdouts the rules say the salts, a declaration the term. #}
{% macro all_experiments() -%}
    {%- set found = declared_experiments() | list -%}
    {%- for term in declared_holdouts() -%}
        {%- for holdout in standing_holdouts() -%}
            {%- set variants = [
                {"name": "held_out", "first_bucket": 0, "last_bucket": holdout.buckets - 1},
                {"name": "served", "first_bucket": holdout.buckets, "last_bucket": 9999},
            ] -%}
            {%- do found.append(
                {
                    "id": holdout.id,
                    "version": term.version,
                    "rule": holdout.rule,
                    "surface": none,
                    "salt": holdout.salt,
                    "control": "held_out",
                    "variants": variants,
                    "metrics": term.metrics,
                    "start": term.start,
                    "end": term.end,
                }
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#
  Those of which a run builds exposures: they had begun by its last day, and a unit that they exposed may still be
  restated.
#}
{% macro live_experiments() -%}
    {%- set live = [] -%}
    {%- set oldest = moved_day(run_day("start_date"), -var("experiment_window_days")) -%}
    {%- for each in all_experiments() -%}
        {%- if each.start <= run_day("end_date") and each.end >= oldest -%}
            {%- do live.append(each) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(live) }}
{%- endmacro %}

{# First day of the live experiments; without any, a day that the run does not know. #}
{% macro first_experiment_day() -%}
    {%- set days = live_experiments() | map(attribute="start") | list -%}
    {%- do days.append(moved_day(run_day("as_of_date"), 1)) -%}
    {{ return(latest_of(days | min, var("history_start_date"))) }}
{%- endmacro %}

{# The live experiments as rows: experiment_id, experiment_version, rule_id, salt, control, start_date, end_date. #}
{% macro experiment_rows() -%}
    unnest(
        array<
            struct<
                experiment_id string,
                experiment_version int64,
                rule_id string,
                salt string,
                control string,
                start_date date,
                end_date date
            >
        >[
            {%- for each in live_experiments() %}
                (
                    '{{ each.id }}',
                    {{ each.version }},
                    {{ "'" ~ each.rule ~ "'" if each.rule else "null" }},
                    '{{ each.salt }}',
                    '{{ each.control }}',
                    date '{{ each.start }}',
                    date '{{ each.end }}'
                ){{ "," if not loop.last }}
            {%- endfor %}
        ]
    )
{%- endmacro %}

{# Their arms as rows: experiment_id, variant and the buckets it has, both inclusive. #}
{% macro experiment_variant_rows() -%}
    unnest(
        array<struct<experiment_id string, variant string, first_bucket int64, last_bucket int64>>[
            {%- for each in live_experiments() %}
                {%- set is_last = loop.last %}
                {%- for variant in each.variants %}
                    (
                        '{{ each.id }}',
                        '{{ variant.name }}',
                        {{ variant.first_bucket }},
                        {{ variant.last_bucket }}
                    ){{ "," if not (loop.last and is_last) }}
                {%- endfor %}
            {%- endfor %}
        ]
    )
{%- endmacro %}

{#
  What was decided by experiments on days from the given one on: on the run's days as it builds them, before
  and after them as published. What an account was decided to get is what it was served then, whatever the rules
  say now. A run of an older day knows what later days have decided, as it knows their arrivals.
#}
{% macro experiment_decisions(first_day) -%}
    {%- set built_from = var("known_start_date", none) or run_day("start_date") -%}
    {%- set columns = "decision_date, experiment_id, account_id, variant, is_held_back, rule_id, offer_id, market" -%}
    select {{ columns }}
    from {{ ref("fct_experiment_decision") }}
    where decision_date between date '{{ latest_of(first_day, built_from) }}' and {{ end_day() }}
    {%- if not execute or "fct_experiment_decision" in var("published_marts") %}
        union all
        select {{ columns }}
        from {{ source("published", "fct_experiment_decision") }}
        where
            decision_date >= date '{{ first_day }}'
            and decision_date <= {{ as_of_day() }}
            and (decision_date < date '{{ built_from }}' or decision_date > {{ end_day() }})
    {%- endif -%}
{%- endmacro %}
