{#
  A table under contract is created with its columns first and filled second. BigQuery would take both in one
  `create table (columns) as select`, which not every engine that speaks its dialect does. The audit
  dataset has no readers: nobody sees the table between the two statements.

  The declared columns are the contract: a missing column or one of another type fails the insert. dbt's own
  check beforehand would have the warehouse analyse each model's query once more.
#}
{% macro bigquery__create_table_as(temporary, relation, compiled_code, language="sql") -%}
    {%- if not config.get("contract").enforced -%}
        {{ return(dbt.bigquery__create_table_as(temporary, relation, compiled_code, language)) }}
    {%- endif -%}
    create or replace table {{ relation }} {{ get_table_columns_and_constraints() }}
    {{ partition_by(adapter.parse_partition_by(config.get("partition_by", none))) }}
    {{ cluster_by(config.get("cluster_by", none)) }}
    {{ bigquery_table_options(config, model, temporary) }}
    ;

    insert into {{ relation }} ({{ model["columns"].keys() | join(", ") }})
    {{ get_select_subquery(compiled_code) }}
    ;
{%- endmacro %}
