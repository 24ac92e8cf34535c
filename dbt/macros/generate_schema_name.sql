{# Everything of a run lives in its audit dataset, whatever the profile says. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var("audit_dataset", target.schema) }}
{%- endmacro %}
