{{ config(materialized="view") }}

select min(arrival_date) as first_arrival_date
from {{ ref("stg_identity__accounts") }}
