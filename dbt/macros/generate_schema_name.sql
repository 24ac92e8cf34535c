{#
  Everything of a run lives in one dataset: the profile's for whoever works by hand, else the audit dataset of the
  run. dbt settles a node's dataset when it parses, so a run that reuses a parsed project says where by moving its
  nodes (see DbtManifest.placed), never by a variable.
#}
{% macro generate_schema_name(custom_schema_name, node) -%} {{ target.schema }} {%- endmacro %}
