{#
  Which days a model learns from, as known at the as-of day: the newest feature day is the last whose outcome is
  settled and has been heard of. It and those before it are held back to judge by; then come the days whose outcomes
  happen on the held-back days, which are not used; the days before these are learned from.
#}
{# The events that the models predict: {name: event}; parsed, all of them, so that dbt knows every mart. #}
{% macro predicted_events() -%}
    {%- set wanted = declared_models() | map(attribute="event") | list -%}
    {%- set found = {} -%}
    {%- for event in declared_events() if not execute or event.name in wanted -%}
        {%- do found.update({event.name: event}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The same with its days: {newest, held_back_from, learned_to, learned_from}, ISO dates. #}
{% macro training_days(model) -%}
    {%- set settles = predicted_events()[model.event].settles_days + var("unheard_days") -%}
    {%- set newest = moved_day(run_day("as_of_date"), -model.within_days - settles) -%}
    {%- set learned_to = moved_day(newest, -model.holdout_days - model.within_days) -%}
    {{
        return(
            {
                "newest": newest,
                "held_back_from": moved_day(newest, 1 - model.holdout_days),
                "learned_to": learned_to,
                "learned_from": moved_day(learned_to, 1 - model.days),
            }
        )
    }}
{%- endmacro %}

{# First feature day of all models, ISO date. #}
{% macro first_training_day() -%}
    {%- set days = [] -%}
    {%- for model in declared_models() -%}
        {%- do days.append(training_days(model).learned_from) -%}
    {%- endfor -%}
    {{ return(days | min) }}
{%- endmacro %}

{#
  The feature days of all models as date literals, newest first: BigQuery reads these partitions and no others.
  Whoever is a unit of an experiment comes by on any day.
#}
{% macro training_day_literals() -%}
    {%- set found = {} -%}
    {%- for model in declared_models() -%}
        {%- set days = training_days(model) -%}
        {%- set apart = 1 if model.experiment else model.every -%}
        {%- set whole = model.days + model.within_days + model.holdout_days -%}
        {%- for back in range(0, whole, apart) -%}
            {%- set day = moved_day(days.newest, -back) -%}
            {%- if day >= days.held_back_from or day <= days.learned_to -%}
                {%- do found.update({day: true}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for day in found | sort(reverse=true) -%} date '{{ day }}'{{ ", " if not loop.last }} {%- endfor -%}
{%- endmacro %}

{# The arms of the trials that uplifts are learned from: [{model, variant, is_treated}]. #}
{% macro declared_arms() -%}
    {%- set found = [] -%}
    {%- for model in declared_models() if model.experiment -%}
        {%- do found.append({"model": model.name, "variant": model.control, "is_treated": "false"}) -%}
        {%- for variant in model.treated -%}
            {%- do found.append({"model": model.name, "variant": variant, "is_treated": "true"}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# A text literal, or null. #}
{% macro text_or_null(value) -%} {{ "null" if value is none else "'" ~ value ~ "'" }} {%- endmacro %}
