{#
  Place of a type among the events of one instant that the state before them allows in any order. Which of an
  opening and an end comes first, and whether a stop or what takes it back, that state decides: see
  order_in_instant. A renewal pays for what a failed payment has left open, and for the plan that was changed to
  when it names that plan.
#}
{% macro event_rank(event_type) -%}
    case
        {{ event_type }}
        {%- for name in [
            "trial_started",
            "started",
            "reactivated",
            "trial_converted",
            "grace_started",
            "billing_retry_started",
            "renewed",
            "plan_changed",
            "renewed_as_changed",
            "price_changed",
            "auto_renew_off",
            "auto_renew_on",
            "recovered",
            "billing_retry_started_again",
            "paused",
            "resumed",
            "paused_again",
            "refunded",
            "refund_reversed",
            "revoked",
            "expired",
        ] %}
            when '{{ name }}' then {{ loop.index }}
        {%- endfor %}
    end
{%- endmacro %}

{# Whose turn it is: openings and ends of one instant alternate. #}
{% macro turn_kind(event_type, entered_state) -%}
    case
        when {{ event_type }} in ('expired', 'revoked')
        then 'end'
        when
            {{ event_type }} in ('trial_started', 'started', 'reactivated', 'refund_reversed')
            and {{ entered_state }} is not null
        then 'opening'
        else 'other'
    end
{%- endmacro %}

{#
  Order of the events of one instant after a state that entitled or did not. Openings and ends take turns,
  beginning with what that state allows: what was running ends and is taken up again, what was not is opened and
  ends. Everything else belongs to what was running, or else to what is opened first. What is not running cannot
  stop: it is resumed, or its payment recovered, before it stops again.
#}
{% macro order_in_instant(was_entitled) -%}
    case
        when openings = 0 or ends = 0
        then 0
        when turn_kind = 'opening'
        then 2 * turn - if({{ was_entitled }}, 0, 1)
        when turn_kind = 'end'
        then 2 * turn - if({{ was_entitled }}, 1, 0)
        else if({{ was_entitled }}, 0, 1)
    end,
    case
        when event_type in ('billing_retry_started', 'paused') and not ({{ was_entitled }} or openings > 0)
        then {{ event_rank("concat(event_type, '_again')") }}
        else event_rank
    end,
    provider_event_id,
    provider
{%- endmacro %}

{# The state that an event enters; null: it leaves the state as it is. #}
{% macro entered_state(event_type) -%}
    case
        when {{ event_type }} = 'trial_started'
        then 'trial'
        when
            {{ event_type }}
            in ('trial_converted', 'started', 'renewed', 'recovered', 'resumed', 'reactivated')
        then 'active'
        when {{ event_type }} = 'grace_started'
        then 'grace'
        when {{ event_type }} = 'billing_retry_started'
        then 'billing_retry'
        when {{ event_type }} = 'paused'
        then 'paused'
        when {{ event_type }} in ('expired', 'revoked')
        then 'ended'
        -- A refund that is taken back restores what is left of the paid period.
        when {{ event_type }} = 'refund_reversed' and period_end_at > occurred_at
        then 'active'
    end
{%- endmacro %}

{# The end of what is paid until somebody says otherwise. #}
{% macro until_further_notice() -%} timestamp '9999-12-31' {%- endmacro %}

{#
  Until when an event says that it is paid for, null where it does not say: an export leaves the end empty while
  a period is open.
#}
{% macro paid_until() -%}
    coalesce(
        period_end_at,
        trial_ends_at,
        if(provider = 'periods' and period_start_at is not null, {{ until_further_notice() }}, null)
    )
{%- endmacro %}

{# Whether a state entitles. #}
{% macro is_entitled(state) -%} {{ state }} in ('trial', 'active', 'grace') {%- endmacro %}

{# Why an entitlement ended; null where none did. See the column's description for the enumeration. #}
{% macro end_reason(event_type, reason, state_before, state, was_auto_renew) -%}
    case
        when {{ is_entitled(state) }} or coalesce(not {{ is_entitled(state_before) }}, true)
        then null
        when {{ state }} = 'paused'
        then 'paused'
        when {{ event_type }} = 'revoked' or {{ reason }} in ('admin', 'refund', 'fraud')
        then 'admin'
        when {{ reason }} = 'payment_failure' or {{ state }} = 'billing_retry'
        then 'involuntary'
        when {{ reason }} = 'voluntary'
        then 'voluntary'
        when coalesce({{ reason }}, 'missing_at_source') != 'missing_at_source'
        then 'other'
        when {{ state_before }} = 'grace'
        then 'involuntary'
        when not {{ was_auto_renew }}
        then 'voluntary'
        else 'other'
    end
{%- endmacro %}
