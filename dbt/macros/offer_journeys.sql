{#
  Journeys of offers, out of what was shown, clicked and started. Told twice: of a run's days, and by the
  checkpoints of what came before (journey_checkpoints.sql), which may know of it only what was known in time.
#}
{# How long a journey is open without a touch, and how long at all. #}
{% macro quiet_at(touched_at) -%}
    timestamp_add({{ touched_at }}, interval {{ var("attribution_days") }} day)
{%- endmacro %}

{% macro too_old_at(opened_at) -%}
    timestamp_add({{ opened_at }}, interval {{ var("journey_horizon_days") }} day)
{%- endmacro %}

{#
  How an answer (a click to its impression, a checkout to its click) stands to what it answers, by the clocks of
  the two: linked; too_early, by more than a device's clock is off; too_late, when the attribution window of
  what it answers has passed.
#}
{% macro answer_link(answered_at, asked_at) -%}
    case
        when
            {{ answered_at }}
            < timestamp_sub({{ asked_at }}, interval {{ var("early_touch_minutes") }} minute)
        then 'too_early'
        when {{ answered_at }} >= {{ quiet_at(asked_at) }}
        then 'too_late'
        else 'linked'
    end
{%- endmacro %}

{#
  CTEs, the last of which is `touches`: what was shown to whoever the account was on the day, and the clicks on
  it, each at a time at which it can have happened. `details` are columns of the impressions that a touch carries
  on. Of a checkpoint what is shown counts for accounts that were known when its time was told.
#}
{% macro touch_ctes(impressions, clicks, accounts, until, details=[], is_checkpoint=false) -%}
    shown as (
        select
            impression.impression_id,
            account.resolved_account_id as account_id,
            account.resolved_market as market,
            impression.offer_id,
            impression.occurred_at as shown_at
            {%- for column in details %}, impression.{{ column }} {%- endfor %}
        from {{ impressions }} as impression
        inner join
            {{ accounts }} as account
            on impression.account_id = account.account_id
            and {{ valid_on("account", "date(impression.occurred_at)") }}
        where
            impression.is_shown
            and not account.is_resolved_test_account
            and impression.occurred_at < {{ until }}
            {%- if is_checkpoint %}
                and account.introduced_date <= {{ told_on("date(impression.occurred_at)") }}
            {%- endif %}
    ),

    -- A click without its impression is of no journey. By a clock that is behind, it happens with it.
    clicked as (
        select
            shown.*,
            click.click_id,
            greatest(click.occurred_at, shown.shown_at) as touched_at,
            click.occurred_at < shown.shown_at as is_early
        from {{ clicks }} as click
        inner join shown on click.impression_id = shown.impression_id
        where
            click.occurred_at < {{ until }}
            and {{ answer_link("click.occurred_at", "shown.shown_at") }} = 'linked'
    ),

    touches as (
        select *, cast(null as string) as click_id, shown_at as touched_at, false as is_early
        from shown
        union all
        select *
        from clicked
    )
{%- endmacro %}

{#
  CTE `starts`: what converts, a trial, a start or a return of an account, out of the lives of subscriptions.
  What an account goes on with is none: a change of plan, a renewal, a recovered payment, the end of a pause.
  Of a checkpoint each start is as known (`known_date` of the lives) when its time was told.
#}
{% macro start_ctes(lives, accounts, since, is_checkpoint=false) -%}
    {%- set key = "known_date, subscription_id" if is_checkpoint else "subscription_id" %}
    entries as (
        select
            *,
            lag(state) over life as state_before,
            coalesce(lag(is_entitled) over life, false) as was_entitled
        from {{ lives }}
        window life as (partition by {{ key }} order by valid_from_at)
    ),

    -- Of several at one instant one counts: they would convert the same journeys.
    starts as (
        select
            entry.subscription_id,
            entry.valid_from_at as started_at,
            if(entry.state = 'trial', 'trial', 'paid') as conversion_type,
            coalesce(account.resolved_account_id, entry.account_id) as account_id
        from entries as entry
        left join
            {{ accounts }} as account
            on entry.account_id = account.account_id
            and {{ valid_on("account", "date(entry.valid_from_at)") }}
            {%- if is_checkpoint %}
                and account.introduced_date <= {{ told_on("date(entry.valid_from_at)") }}
            {%- endif %}
        where
            entry.is_entitled
            and not entry.was_entitled
            and entry.valid_from_at >= {{ since }}
            and entry.origin = 'original'
            and (
                coalesce(entry.state_before, 'ended') = 'ended'
                or entry.event_type in ('trial_started', 'started', 'reactivated')
            )
            {%- if is_checkpoint %}
                and entry.known_date
                = least({{ told_on("date(entry.valid_from_at)") }}, date '{{ checkpoint_day() }}')
            {%- endif %}
        qualify
            row_number() over (
                partition by coalesce(account.resolved_account_id, entry.account_id), entry.valid_from_at
                order by entry.subscription_id
            )
            = 1
    )
{%- endmacro %}

{#
  CTE `moments` of touches and of the CTE `states`, which tells the journeys before them: what was open goes on from
  its last touch.
#}
{% macro moment_cte(touches) -%}
    moments as (
        select
            account_id,
            offer_id,
            touched_at,
            logical_or(is_shown) as is_shown,
            logical_or(is_carried) as is_carried
        from
            (
                select account_id, offer_id, touched_at, click_id is null as is_shown, false as is_carried
                from {{ touches }}
                union all
                select account_id, offer_id, opened_at, true, false
                from states
                where opened_at is not null
                union all
                select account_id, offer_id, last_touch_at, false, true
                from states
                where last_touch_at > opened_at
            )
        group by account_id, offer_id, touched_at
    )
{%- endmacro %}

{#
  CTEs, the last of which is `journeys`: one row per flight with its beginning, its end and the start that
  converted it, out of the CTEs `moments` (account_id, offer_id, touched_at, is_shown: whether it opens a journey
  when none is open, is_carried: whether it goes on from the moment before however long ago that was) and
  `starts`, as of the instant `until`. Names of CTEs: this goes into a `with recursive`.
#}
{% macro journey_ctes(until) -%}
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

    openings as (
        select account_id, offer_id, min(opened_at) as opened_at
        from possible_openings
        group by account_id, offer_id, chain
        union all
        select succession.account_id, succession.offer_id, succession.next_opened_at
        from openings as opening
        inner join
            successions as succession
            on opening.account_id = succession.account_id
            and opening.offer_id = succession.offer_id
            and opening.opened_at = succession.opened_at
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
        from chained as moment
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
            cuts as cut
            on moment.account_id = cut.account_id
            and moment.offer_id = cut.offer_id
            and moment.opened_at = cut.opened_at
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
