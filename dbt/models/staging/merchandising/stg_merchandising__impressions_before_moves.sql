-- What was shown before the moves between plans that a run measures: one read a horizon, each of its own
-- days.
{%- for horizon_days in [0] + var("upsell_horizon_days") %}
    select account_id, offer_id, occurred_at, arrival_date
    from {{ source("merchandising", "offer_impressions") }}
    where
        arrival_date
        between date '{{ first_arrival_day(horizon_days + var("attribution_days")) }}' and date '{{
            earliest_of(
                run_day("as_of_date"),
                moved_day(run_day("end_date"), -horizon_days + var("attribution_days")),
            )
        }}'
        and coalesce(is_shown, true)
        {{ "union distinct" if not loop.last }}
{%- endfor %}
