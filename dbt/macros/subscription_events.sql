{# Events of one instant have an order of their own: openings come first, ends last. #}
{% macro event_rank(event_type) -%}
    case
        {{ event_type }}
        {%- for name in [
            "trial_started",
            "started",
            "reactivated",
            "trial_converted",
            "renewed",
            "plan_changed",
            "price_changed",
            "auto_renew_off",
            "auto_renew_on",
            "billing_retry_started",
            "grace_started",
            "recovered",
            "paused",
            "resumed",
            "refunded",
            "refund_reversed",
            "revoked",
            "expired",
        ] %}
            when '{{ name }}' then {{ loop.index }}
        {%- endfor %}
    end
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

{# Whether a state entitles, and whether it is one that was paid for. #}
{% macro is_entitled(state) -%} {{ state }} in ('trial', 'active', 'grace') {%- endmacro %}

{% macro is_paid(state) -%} {{ state }} in ('active', 'grace') {%- endmacro %}

{# Condition of a QUALIFY: the last event of an instant, which decides. #}
{% macro decides_instant(more_keys=none) -%}
    row_number() over (
        partition by subscription_id, {{ more_keys ~ "," if more_keys }} occurred_at
        order by event_rank desc, provider_event_id desc, provider desc
    )
    = 1
{%- endmacro %}

{# Why an entitlement ended; null where none did. See the column's description for the enumeration. #}
{% macro end_reason(event_type, reason, state_before, state, was_auto_renew) -%}
    case
        when {{ is_entitled(state) }} or coalesce(not {{ is_entitled(state_before) }}, true)
        then null
        when {{ event_type }} = 'revoked' or {{ reason }} in ('admin', 'refund', 'fraud')
        then 'admin'
        when {{ reason }} = 'payment_failure' or {{ state }} = 'billing_retry'
        then 'involuntary'
        when {{ reason }} = 'voluntary' or {{ state }} = 'paused'
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
