{{ config(journey_checkpoint()) }}

with
    before as ({{ rows_before_checkpoint("int_offer_journey_states", journey_state_columns()) }}),

    -- The one that was open before is told again.
    told as (
        select
            account_id,
            offer_id,
            count(*) as journeys,
            max(if(ended_at is null, opened_at, null)) as opened_at,
            max(if(ended_at is null, last_touch_at, null)) as last_touch_at,
            max(if(ended_at is null, last_touch_rule_id, null)) as last_touch_rule_id,
            max(if(ended_at is null, last_touch_rule_version, null)) as last_touch_rule_version
        from {{ ref("int_checkpoint_journeys") }}
        group by account_id, offer_id
    )

select
    date '{{ checkpoint_day() }}' as known_date,
    coalesce(told.account_id, before.account_id) as account_id,
    coalesce(told.offer_id, before.offer_id) as offer_id,
    cast(
        coalesce(before.journeys, 0)
        - if(before.opened_at is null, 0, 1)
        + coalesce(told.journeys, 0) as int64
    ) as journeys,
    told.opened_at,
    told.last_touch_at,
    told.last_touch_rule_id,
    told.last_touch_rule_version
from before
full outer join told on before.account_id = told.account_id and before.offer_id = told.offer_id
