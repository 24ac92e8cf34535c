{# Where journeys begin and end: of a run's touches, and of those that a checkpoint tells. #}
{#
  CTEs, the last of which is `told_moments`: of each touch what it would lead to, if it opened a journey (of what was
  shown): the start that would convert it, the instant from which on the next journey may open, and the opening of that
  one. Out of the CTEs `moments` (account_id, offer_id, touched_at, is_shown: whether it opens a journey when none is
  open, is_carried: whether it goes on from the moment before however long ago that was) and `starts`, as of the
  instant `until`.
#}
{% macro moment_ctes(until) -%}
    paced as (
        select
            *,
            not is_carried
            and coalesce(touched_at >= {{ quiet_at("lag(touched_at) over pair") }}, true) as is_after_quiet
        from moments
        window pair as (partition by account_id, offer_id order by touched_at)
    ),

    -- A window without a touch closes whatever is open: what comes after it begins anew.
    chained as (
        select
            *,
            sum(if(is_after_quiet, 1, 0)) over (
                partition by account_id, offer_id order by touched_at rows unbounded preceding
            ) as chain
        from paced
    ),

    chain_ends as (
        select account_id, offer_id, chain, max(touched_at) as last_touched_at
        from chained
        group by account_id, offer_id, chain
    ),

    -- Whatever was shown could open a journey. If it did, a start while it is open would end it.
    possible_openings as (
        select
            shown.account_id,
            shown.offer_id,
            shown.chain,
            shown.touched_at as opened_at,
            min(start.started_at) as converted_at
        from chained as shown
        inner join
            chain_ends as ending
            on shown.account_id = ending.account_id
            and shown.offer_id = ending.offer_id
            and shown.chain = ending.chain
        left join
            starts as start
            on shown.account_id = start.account_id
            and start.started_at >= shown.touched_at
            and start.started_at < {{ quiet_at("ending.last_touched_at") }}
            and start.started_at < {{ too_old_at("shown.touched_at") }}
            and start.started_at < {{ until }}
        where shown.is_shown
        group by shown.account_id, shown.offer_id, shown.chain, shown.touched_at
    ),

    -- A touch at the instant of the start came before it.
    cuts as (
        select
            *,
            coalesce(
                timestamp_add(converted_at, interval 1 microsecond), {{ too_old_at("opened_at") }}
            ) as next_from_at
        from possible_openings
    ),

    -- The first that is shown in the chain from the cut on opens the next.
    successions as (
        select account_id, offer_id, opened_at, next_opened_at
        from
            (
                select
                    account_id,
                    offer_id,
                    opened_at,
                    min(shown_at) over (
                        partition by account_id, offer_id, chain
                        order by happens_at
                        range between current row and unbounded following
                    ) as next_opened_at
                from
                    (
                        select
                            account_id,
                            offer_id,
                            chain,
                            opened_at as happens_at,
                            opened_at as shown_at,
                            cast(null as timestamp) as opened_at
                        from cuts
                        union all
                        select account_id, offer_id, chain, next_from_at, cast(null as timestamp), opened_at
                        from cuts
                    )
            )
        where opened_at is not null and next_opened_at is not null
    ),

    told_moments as (
        select
            moment.account_id,
            moment.offer_id,
            moment.chain,
            moment.touched_at,
            cut.converted_at,
            cut.next_from_at,
            succession.next_opened_at
        from chained as moment
        left join
            cuts as cut
            on moment.account_id = cut.account_id
            and moment.offer_id = cut.offer_id
            and moment.touched_at = cut.opened_at
        left join
            successions as succession
            on moment.account_id = succession.account_id
            and moment.offer_id = succession.offer_id
            and moment.touched_at = succession.opened_at
    )
{%- endmacro %}

{#
  CTEs, the last of which is `journeys`: one row per flight with its beginning, its end and the start that converted
  it, out of the moments that `moment_ctes` tells, as of the instant `until`. This goes into a `with recursive`, of
  which every round reads the moments: where there are many, they are a table.
#}
{% macro journey_ctes(moments, until) -%}
    openings as (
        select account_id, offer_id, min(touched_at) as opened_at
        from {{ moments }}
        where next_from_at is not null
        group by account_id, offer_id, chain
        union all
        select opening.account_id, opening.offer_id, moment.next_opened_at
        from openings as opening
        inner join
            {{ moments }} as moment
            on opening.account_id = moment.account_id
            and opening.offer_id = moment.offer_id
            and opening.opened_at = moment.touched_at
        where moment.next_opened_at is not null
    ),

    -- A moment is of the journey that was opened last, unless it was over by then.
    attributed as (
        select
            moment.account_id,
            moment.offer_id,
            moment.chain,
            moment.touched_at,
            max(opening.opened_at) over (
                partition by moment.account_id, moment.offer_id, moment.chain
                order by moment.touched_at
                rows unbounded preceding
            ) as opened_at
        from {{ moments }} as moment
        left join
            openings as opening
            on moment.account_id = opening.account_id
            and moment.offer_id = opening.offer_id
            and moment.touched_at = opening.opened_at
    ),

    flights as (
        select
            moment.account_id,
            moment.offer_id,
            moment.opened_at,
            cut.converted_at,
            max(moment.touched_at) as last_touch_at
        from attributed as moment
        inner join
            {{ moments }} as cut
            on moment.account_id = cut.account_id
            and moment.offer_id = cut.offer_id
            and moment.opened_at = cut.touched_at
        where moment.touched_at < cut.next_from_at
        group by moment.account_id, moment.offer_id, moment.opened_at, cut.converted_at
    ),

    windows as (
        select *, least({{ quiet_at("last_touch_at") }}, {{ too_old_at("opened_at") }}) as window_ends_at
        from flights
    ),

    journeys as (
        select
            account_id,
            offer_id,
            opened_at,
            last_touch_at,
            window_ends_at,
            converted_at,
            coalesce(converted_at, if(window_ends_at <= {{ until }}, window_ends_at, null)) as ended_at,
            case
                when converted_at is not null
                then 'converted'
                when window_ends_at > {{ until }}
                then null
                when window_ends_at < {{ too_old_at("opened_at") }}
                then 'quiet'
                else 'too_old'
            end as end_reason,
            lead(opened_at) over (partition by account_id, offer_id order by opened_at) as next_opened_at
        from windows
    )
{%- endmacro %}
