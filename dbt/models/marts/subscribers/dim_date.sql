{{ config(materialized="table", meta={"published": "whole"}) }}

select
    date_day,
    date_trunc(date_day, week(monday)) as week_start_date,
    date_trunc(date_day, month) as month_start_date,
    date_trunc(date_day, quarter) as quarter_start_date,
    date_trunc(date_day, year) as year_start_date,
    cast(extract(dayofweek from date_day) as int64) as day_of_week,
    date_day = last_day(date_day, month) as is_month_end
from
    unnest(
        generate_date_array(
            {{ day_literal(var("history_start_date")) }}, date_add({{ as_of_day() }}, interval 366 day)
        )
    ) as date_day
