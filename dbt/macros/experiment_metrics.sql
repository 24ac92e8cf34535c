{#
  What the declared metrics ask of the marts. The declarations come from dbt/macros/experiments.sql, which is made
  from experiments/*.yml.
#}
{# The metrics that some experiment is judged by: {id of the experiment: [metric]}; all holdouts are one entry. #}
{% macro used_metrics() -%}
    {%- set metrics = {} -%}
    {%- for metric in declared_metrics() -%} {%- do metrics.update({metric.id: metric}) -%} {%- endfor -%}
    {%- set used = {} -%}
    {%- for each in declared_experiments() + declared_holdouts() -%}
        {%- set judged_by = [] -%}
        {%- for metric in each.metrics -%} {%- do judged_by.append(metrics[metric]) -%} {%- endfor -%}
        {%- do used.update({each.id: judged_by}) -%}
    {%- endfor -%}
    {{ return(used) }}
{%- endmacro %}

{#
  What is measured of an account for a metric: y (its value or numerator), x (the same before the exposure) and d
  (its denominator), each with the part of the mart that it comes from.
#}
{% macro measures_of(mart=none) -%}
    {%- set found = {} -%}
    {%- for metrics in used_metrics().values() -%}
        {%- for metric in metrics -%}
            {%- set y = metric.value or metric.numerator -%}
            {%- for part, source in [
                ("y", y),
                ("x", y if metric.covariate_days else none),
                ("d", metric.denominator),
            ] -%}
                {%- if source and (mart is none or source.mart == mart) -%}
                    {%- do found.update(
                        {
                            metric.id
                            ~ "."
                            ~ part: {"metric": metric, "part": part, "source": source}
                        }
                    ) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The longest window of the metrics of a mart, or of all; with `before`, what their covariates look back as well. #}
{% macro metric_days(mart=none, before=false) -%}
    {%- set days = [0] -%}
    {%- for measure in measures_of(mart).values() -%}
        {%- set back = (measure.metric.covariate_days or 0) if before and measure.part == "x" else 0 -%}
        {%- do days.append(measure.metric.window_days + back) -%}
    {%- endfor -%}
    {{ return(days | max) }}
{%- endmacro %}

{# How far before its first day a run looks at subscribers; movements compare with one day more. #}
{% macro experiment_reach_days() -%}
    {{ return(metric_days("fct_subscriber_daily", before=true) + 1) }}
{%- endmacro %}

{# How far before its first day a run needs rates. #}
{% macro rate_reach_days() -%}
    {{ return([paid_reach_days(), experiment_reach_days() + 1] | max) }}
{%- endmacro %}

{# An account's value of a row of the mart, for each of its measures. #}
{% macro measured_value(mart, measure, row) -%}
    case
        {{ measure }}
        {%- for name, each in measures_of(mart).items() %}
            when '{{ name }}'
            then
                {% if each.source.aggregate == "count" -%} if({{ row }}.account_id is null, 0, 1)
                {%- elif each.source.equals -%}
                    if({{ row }}.{{ each.source.column }} = {{ each.source.equals | tojson }}, 1, 0)
                {%- elif each.source.column in ["is_subscriber", "is_paid", "is_in_trial"] -%}
                    if({{ row }}.{{ each.source.column }}, 1, 0)
                {%- else -%} coalesce({{ row }}.{{ each.source.column }}, 0)
                {%- endif %}
        {%- endfor %}
    end
{%- endmacro %}

{# The sufficient statistics, and what of an account each adds up. #}
{% macro experiment_sums() -%}
    {{
        return(
            {
                "sum_y": "y",
                "sum_yy": "cast(y * y as numeric(38, 9))",
                "sum_x": "x",
                "sum_xx": "cast(x * x as numeric(38, 9))",
                "sum_xy": "cast(x * y as numeric(38, 9))",
                "sum_d": "d",
                "sum_dd": "cast(d * d as numeric(38, 9))",
                "sum_yd": "cast(y * d as numeric(38, 9))",
                "sum_xd": "cast(x * d as numeric(38, 9))",
            }
        )
    }}
{%- endmacro %}
