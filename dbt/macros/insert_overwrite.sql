{#
  dbt's own insert_overwrite is `merge … on false`. Deleting whole partitions is free on BigQuery and needs
  no join, and one transaction makes delete and insert visible together. The deleted partitions are the run's
  days, not the days found in the new rows: a day that lost its last row must become empty.
#}
{% macro bigquery__get_insert_overwrite_merge_sql(
    target, source, dest_columns, predicates, include_sql_header
) -%}
    {%- set columns = get_quoted_csv(dest_columns | map(attribute="name")) -%}
    {%- set partition_column = config.require("partition_by")["field"] -%}
    {%- set restates_days = config.get("meta", {}).get("restates_days", 0) -%}
    begin transaction
    ;

    delete from {{ target }} as dbt_internal_dest
    where {{ rebuilt_days("dbt_internal_dest." ~ partition_column, restates_days) }}
    ;

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ source }};

    commit transaction
{%- endmacro %}
