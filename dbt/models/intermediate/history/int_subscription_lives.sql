{{
    config(
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
    )
}}

{%- set instant = "partition by subscription_id, known_date, occurred_at" %}
{%- set life = "partition by subscription_id, known_date order by occurred_at" %}
{%- set told = life ~ ", " ~ order_in_instant("true") %}
{#- A price that is paid and told by nobody takes the place of the one before, until another is told. -#}
{%- set price_unknown_so_far -%}
    coalesce(
        last_value(
            case when price_amount is not null then false when is_price_unknown then true end ignore nulls
        ) over so_far,
        false
    )
{%- endset %}

with
    {{ heard_event_ctes() }},

    typed as (
        select
            known_date,
            subscription_id,
            account_id,
            provider,
            provider_event_id,
            event_type,
            {{
                event_rank(
                    "if(event_type = 'renewed' and sum(if(event_type = 'plan_changed', 1, 0)) over ("
                    ~ instant
                    ~ ", plan_id) > 0, 'renewed_as_changed', event_type)"
                )
            }} as event_rank,
            {{ entered_state("event_type") }} as entered_state,
            {{ turn_kind("event_type", entered_state("event_type")) }} as turn_kind,
            if(provider_event_id = 'synthetic_expiry', 'synthetic_expiry', 'original') as origin,
            plan_id,
            price_amount,
            is_price_unknown,
            currency,
            billing_interval,
            billing_interval_count,
            is_auto_renew,
            {{ paid_until() }} as paid_until_at,
            reason,
            offer_id,
            period_start_at,
            occurred_at
        from delivered
    ),

    -- Of what else happened at the same time an event's place depends.
    together as (
        select
            * except (is_auto_renew),
            sum(if(turn_kind = 'opening', 1, 0)) over instant as openings,
            sum(if(turn_kind = 'end', 1, 0)) over instant as ends,
            sum(if(event_type in ('trial_started', 'started'), 1, 0)) over instant as starts,
            row_number() over (
                {{ instant }}, turn_kind order by event_rank, provider_event_id, provider
            ) as turn,
            -- Switched to and fro it is as it was before.
            case
                when
                    event_type = 'auto_renew_on'
                    and sum(if(event_type = 'auto_renew_off', 1, 0)) over instant
                    >= sum(if(event_type = 'auto_renew_on', 1, 0)) over instant
                then null
                when
                    event_type = 'auto_renew_off'
                    and sum(if(event_type = 'auto_renew_on', 1, 0)) over instant
                    >= sum(if(event_type = 'auto_renew_off', 1, 0)) over instant
                then null
                else is_auto_renew
            end as is_auto_renew
        from typed
        window instant as ({{ instant }})
    ),

    -- The start is missing at the source when the first thing heard of a life is something else. Without a
    -- start at that instant the life was running.
    missing_starts as (
        select *
        from together
        where true
        qualify row_number() over ({{ life }}, {{ order_in_instant("starts = 0") }}) = 1
    ),

    with_starts as (
        select *
        from together
        union all
        select
            * replace (
                'synthetic_start' as provider_event_id,
                'started' as event_type,
                {{ event_rank("'started'") }} as event_rank,
                'active' as entered_state,
                'opening' as turn_kind,
                'synthetic_start' as origin,
                'missing_at_source' as reason,
                period_start_at as occurred_at,
                1 as openings,
                0 as ends,
                1 as starts,
                1 as turn,
                cast(null as bool) as is_auto_renew
            )
        from missing_starts
        where event_type not in ('trial_started', 'started', 'reactivated') and period_start_at < occurred_at
    ),

    -- Stripe calls a subscription active from the end of its trial on, an hour or more before it is charged
    -- for the first time.
    -- Where that charge fails, nothing was paid, though it was called converted.
    first_charges as (
        select
            *,
            case
                when
                    event_type = 'trial_converted'
                    and next_failure_at
                    <= timestamp_add(occurred_at, interval {{ var("first_charge_days") }} day)
                    and (next_payment_at is null or next_payment_at > next_failure_at)
                then 'uncharged'
                when entered_state in ('trial', 'active')
                then entered_state
            end as earning_state
        from
            (
                select
                    *,
                    min(
                        if(event_type in ('grace_started', 'billing_retry_started'), occurred_at, null)
                    ) over from_now_on as next_failure_at,
                    min(
                        if(
                            event_type in ('renewed', 'recovered', 'started', 'reactivated'),
                            occurred_at,
                            null
                        )
                    ) over from_now_on as next_payment_at
                from with_starts
                window
                    from_now_on as (
                        partition by subscription_id, known_date
                        order by occurred_at desc
                        range between unbounded preceding and current row
                    )
            )
    ),

    -- What an event does not say stays as it was. Terms follow each other as in a running life; what state an
    -- instant leads to, and which of its events decides, depends on whether it was running.
    carried as (
        select
            known_date,
            subscription_id,
            provider,
            provider_event_id,
            event_type,
            origin,
            reason,
            offer_id,
            occurred_at,
            starts,
            ends,
            last_value(entered_state ignore nulls) over if_entitled as state_if_entitled,
            last_value(entered_state ignore nulls) over if_not as state_if_not,
            last_value(
                struct(
                    provider as provider,
                    provider_event_id as provider_event_id,
                    event_type as event_type,
                    origin as origin,
                    reason as reason,
                    offer_id as offer_id
                )
            ) over if_not as decided_if_not,
            -- A start while the subscription is entitled means that two feeds claim one period.
            max(if(event_type in ('trial_started', 'started'), turn - ends, 0)) over (
                {{ instant }}
            ) as starts_too_many,
            last_value(account_id ignore nulls) over so_far as account_id,
            last_value(plan_id ignore nulls) over so_far as plan_id,
            if(
                {{ price_unknown_so_far }}, null, last_value(price_amount ignore nulls) over so_far
            ) as price_amount,
            {{ price_unknown_so_far }} as is_price_unknown,
            last_value(currency ignore nulls) over so_far as currency,
            last_value(billing_interval ignore nulls) over so_far as billing_interval,
            -- Told with every interval, so that the two always belong together.
            last_value(billing_interval_count ignore nulls) over so_far as billing_interval_count,
            last_value(is_auto_renew ignore nulls) over so_far as is_auto_renew,
            last_value(paid_until_at ignore nulls) over so_far as paid_until_at,
            last_value(earning_state ignore nulls) over so_far as last_earning_state,
            lead(occurred_at) over ({{ told }}) is not distinct from occurred_at as is_followed
        from first_charges
        window
            so_far as ({{ told }} rows between unbounded preceding and current row),
            if_entitled as (
                {{ instant }}
                order by {{ order_in_instant("true") }}
                rows between unbounded preceding and unbounded following
            ),
            if_not as (
                {{ instant }}
                order by {{ order_in_instant("false") }}
                rows between unbounded preceding and unbounded following
            )
    ),

    instants as (select * except (is_followed) from carried where not is_followed),

    expected as (
        select
            *,
            timestamp_add(
                greatest(nullif(paid_until_at, {{ until_further_notice() }}), occurred_at),
                interval if(
                    not is_auto_renew and heard_state in ('trial', 'active'),
                    0,
                    {{ var("renewal_tolerance_days") }}
                ) day
            ) as expected_end_at,
            lead(occurred_at) over ({{ life }}) as next_at,
            lead(ends) over ({{ life }}) as next_ends
        from
            (
                select *, last_value(state_if_entitled ignore nulls) over so_far as heard_state
                from instants
                window so_far as ({{ life }} rows between unbounded preceding and current row)
            )
    ),

    -- The end is missing at the source when a paid period passes and nothing follows it.
    with_ends as (
        select *, 0 as is_expiry
        from instants
        union all
        select
            * except (heard_state, expected_end_at, next_at, next_ends) replace (
                'synthetic_expiry' as provider_event_id,
                'expired' as event_type,
                'synthetic_expiry' as origin,
                'missing_at_source' as reason,
                cast(null as string) as offer_id,
                expected_end_at as occurred_at,
                'ended' as state_if_entitled,
                cast(null as string) as state_if_not,
                0 as starts_too_many
            ),
            1
        from expected
        where
            {{ is_entitled("heard_state") }}
            and expected_end_at is not null
            and (next_at is null or next_at > expected_end_at)
            -- An end that comes a little late is the end.
            and not coalesce(
                next_ends > 0 and next_at <= timestamp_add(expected_end_at, interval 24 hour), false
            )
    ),

    -- An instant entitles, or ends what entitles, whatever was before it, or leaves that as it was.
    preceded as (
        select
            *,
            coalesce(
                last_value(
                    case
                        when not {{ is_entitled("state_if_entitled") }}
                        then false
                        when {{ is_entitled("state_if_not") }}
                        then true
                    end ignore nulls
                ) over ({{ life }}, is_expiry rows between unbounded preceding and 1 preceding),
                first_value(if(state_if_entitled is not null, starts = 0, null) ignore nulls) over (
                    {{ life }}, is_expiry rows between unbounded preceding and current row
                ),
                false
            ) as was_entitled
        from with_ends
    ),

    lived as (
        select
            * except (provider, provider_event_id, event_type, origin, reason, offer_id),
            if(was_entitled, provider, decided_if_not.provider) as provider,
            if(was_entitled, provider_event_id, decided_if_not.provider_event_id) as provider_event_id,
            if(was_entitled, event_type, decided_if_not.event_type) as event_type,
            if(was_entitled, origin, decided_if_not.origin) as origin,
            if(was_entitled, reason, decided_if_not.reason) as reason,
            if(was_entitled, offer_id, decided_if_not.offer_id) as offer_id,
            starts_too_many > if(was_entitled, 0, 1) as is_conflict,
            last_value(if(was_entitled, state_if_entitled, state_if_not) ignore nulls) over (
                {{ life }}, is_expiry rows between unbounded preceding and current row
            ) as state
        from preceded
    ),

    -- An assumed end of what has ended already says nothing; at the instant of an event it has the last word.
    decided as (
        select
            *,
            max(if(is_conflict, 1, 0)) over ({{ instant }}) = 1 as is_conflicting_opening,
            -- What was never paid for is not paid in grace either: its first charge has failed.
            (state = 'active' and coalesce(last_earning_state, 'active') != 'uncharged')
            or (state = 'grace' and coalesce(last_earning_state, 'active') = 'active') as is_paid
        from lived
        where is_expiry = 0 or was_entitled
        qualify row_number() over ({{ instant }} order by is_expiry desc) = 1
    ),

    {{ period_ctes(life) }}

select
    period.known_date,
    period.subscription_id,
    touched.is_touched_by_arrival,
    touched.is_checkpoint,
    touched.is_run_start,
    touched.is_skipped_checkpoint,
    account_id,
    provider,
    provider_event_id,
    event_type,
    origin,
    state,
    coalesce({{ is_entitled("state") }}, false) as is_entitled,
    plan_id,
    price_amount,
    is_price_unknown,
    currency,
    billing_interval,
    billing_interval_count,
    is_auto_renew,
    reason,
    {{ end_reason("event_type", "reason", "state_before", "state", "was_auto_renew") }} as end_reason,
    offer_id,
    occurred_at as valid_from_at,
    valid_to_at,
    is_conflicting_opening,
    min(if({{ is_entitled("state") }}, occurred_at, null)) over (
        partition by period.subscription_id, period.known_date
    ) as subscription_started_at,
    min(if(is_paid, occurred_at, null)) over (
        partition by period.subscription_id, period.known_date
    ) as first_paid_at,
    coalesce(is_paid, false) as is_paid,
    if(not is_auto_renew, last_switched_off_at, null) as cancelled_at,
    ends.period_ends
from periods as period
inner join
    period_ends as ends
    on period.known_date = ends.known_date
    and period.subscription_id = ends.subscription_id
    and period.period_number = ends.period_number
inner join
    touched on period.subscription_id = touched.subscription_id and period.known_date = touched.known_date
