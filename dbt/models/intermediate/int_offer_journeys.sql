{{ config(cluster_by=["account_id"], group="offers") }}

{#- Of a run that begins before the cut the checkpoint says nothing. #}
{%- set states_from = checkpoint_from(is_cut_read()) %}

with recursive
    states as (
        {{
            history_rows(
                "int_offer_journey_states",
                "known_date",
                states_from,
                last=checkpoint_day(),
                columns=journey_state_columns() | join(", "),
            )
        }}
    ),

    {{ moment_cte(ref("int_offer_touches")) }},

    {{ start_ctes(ref("int_subscription_periods"), ref("int_account_versions"), journeys_since()) }},

    {{ journey_ctes("timestamp(" ~ as_of_day(1) ~ ")") }},

    {{ last_touch_ctes(ref("int_offer_touches"), touch_details()) }},

    numbered as (
        select
            journey.*,
            {{ last_touch_rule(journeys_since()) }},
            last_touch.last_touch_decision_id,
            last_touch.last_touch_generation,
            last_touch.last_touch_content_version,
            coalesce(state.journeys, 0)
            - if(state.opened_at is null, 0, 1)
            + row_number() over (
                partition by journey.account_id, journey.offer_id order by journey.opened_at
            ) as journey_number
        from journeys as journey
        left join
            states as state on journey.account_id = state.account_id and journey.offer_id = state.offer_id
        left join
            last_touches as last_touch
            on journey.account_id = last_touch.account_id
            and journey.offer_id = last_touch.offer_id
            and journey.opened_at = last_touch.opened_at
    )

-- A start converts all that is open. Of those it has one last touch and one first touch.
select
    journey.account_id,
    journey.offer_id,
    journey.journey_number,
    journey.opened_at,
    journey.last_touch_at,
    {%- for column in touch_details() %} journey.last_touch_{{ column }}, {%- endfor %}
    journey.window_ends_at,
    journey.next_opened_at,
    journey.ended_at,
    journey.end_reason,
    journey.converted_at,
    start.subscription_id as converted_subscription_id,
    start.conversion_type,
    {{ is_last_touch_credit("journey") }} as is_last_touch_conversion,
    journey.converted_at is not null
    and row_number() over (
        partition by journey.account_id, journey.converted_at order by journey.opened_at, journey.offer_id
    )
    = 1 as is_first_touch_conversion
from numbered as journey
left join starts as start on journey.account_id = start.account_id and journey.converted_at = start.started_at
