{#
  Generic tests that look at the run's partitions only. dbt's own tests scan the whole table, which costs
  the same every day however little changed.
#}
{% test unique_in_range(model, columns, date_column, restates_days=0) %}
    select {{ columns | join(", ") }}, count(*) as duplicates
    from {{ model }}
    where {{ rebuilt_days(date_column, restates_days) }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}

{% test not_null_in_range(model, columns, date_column, restates_days=0) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where
        {{ rebuilt_days(date_column, restates_days) }}
        and ({% for column in columns %}{{ column }} is null{{ " or " if not loop.last }}{% endfor %})
{% endtest %}

{# Null is no value: not_null_in_range says where one is needed. #}
{% test values_in_range(model, column_name, values, date_column, restates_days=0) %}
    select {{ column_name }}, count(*) as unexpected
    from {{ model }}
    where
        {{ rebuilt_days(date_column, restates_days) }}
        and {{ column_name }}
        not in ({%- for value in values %}'{{ value }}'{{ ", " if not loop.last }}{% endfor -%})
    group by {{ column_name }}
{% endtest %}

{# Of the version log a run builds the partitions from `versions_from_date` on. #}
{% test unique_in_versions(model, columns) %}
    select {{ columns | join(", ") }}, count(*) as duplicates
    from {{ model }}
    where known_date between date '{{ versions_from_day() }}' and {{ as_of_day() }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
