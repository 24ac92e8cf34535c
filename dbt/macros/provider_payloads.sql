{# Whether a JSON value is an object or an array: neither absent nor null. #}
{% macro is_given(json) -%} coalesce(json_type({{ json }}) in ('object', 'array'), false) {%- endmacro %}

{# TIMESTAMP of protobuf's JSON (RFC 3339, up to nine decimals, of which a TIMESTAMP has six). #}
{% macro protobuf_timestamp(text) -%}
    timestamp(regexp_replace({{ text }}, r'(\.\d{6})\d+', r'\1'))
{%- endmacro %}

{# Google's Money: units and billionths, both left out when zero. #}
{% macro money_amount(money) -%}
    (
        cast(coalesce(json_value({{ money }}, '$.units'), '0') as numeric(38, 9))
        + {{ of_units("coalesce(json_value(" ~ money ~ ", '$.nanos'), '0')", "0.000000001") }}
    )
{%- endmacro %}

{#
  The amount of a whole number (INT64 or its text) of units that are each `unit` of the currency; a product,
  because a quotient of decimals is not exact in every engine.
#}
{% macro of_units(number, unit) -%}
    cast(cast({{ number }} as numeric(38, 9)) * cast('{{ unit }}' as numeric(38, 9)) as numeric(38, 9))
{%- endmacro %}

{#
  The amount of INT64 in the currency's smallest unit (https://docs.stripe.com/currencies): yen have none,
  dinars have a thousand. UGX and ISK have two decimals for Stripe.
#}
{% macro minor_unit_amount(amount, currency) -%}
    case
        when
            {{ currency }} in (
                'BIF',
                'CLP',
                'DJF',
                'GNF',
                'JPY',
                'KMF',
                'KRW',
                'MGA',
                'PYG',
                'RWF',
                'VND',
                'VUV',
                'XAF',
                'XOF',
                'XPF'
            )
        then cast({{ amount }} as numeric(38, 9))
        when {{ currency }} in ('BHD', 'JOD', 'KWD', 'OMR', 'TND')
        then {{ of_units(amount, "0.001") }}
        else {{ of_units(amount, "0.01") }}
    end
{%- endmacro %}

{#
  Who pays, of a notification with the column `given_account_id`: whom the receiver names, else whom the payload
  does, else the provider's own id of the payer, which stg_identity__provider_accounts leads to an account.
#}
{% macro paying_account(provider, told, provider_id) -%}
    coalesce(given_account_id, {{ told }}, '{{ provider }}:' || {{ provider_id }})
{%- endmacro %}

{#
  The store seldom says how often a plan is paid: the catalogue does, as it was known when the event arrived.
  `events` is a CTE with all columns of a canonical event, its rhythm null where the store does not tell it.
#}
{% macro with_billing_interval(events) -%}
    select
        event.provider,
        event.provider_event_id,
        event.subscription_id,
        event.account_id,
        event.event_type,
        event.plan_id,
        event.price_amount,
        event.is_price_unknown,
        event.currency,
        coalesce(event.billing_interval, plan.billing_interval) as billing_interval,
        if(
            event.billing_interval is null, plan.billing_interval_count, event.billing_interval_count
        ) as billing_interval_count,
        event.trial_ends_at,
        event.period_start_at,
        event.period_end_at,
        event.is_auto_renew,
        event.reason,
        event.offer_id,
        event.occurred_at,
        event.ingested_at,
        event.arrival_date,
        event.landing_file,
        event.landing_row
    from {{ events }} as event
    left join
        {{ ref("stg_billing__plan_versions") }} as plan
        on event.plan_id = plan.plan_id
        and event.arrival_date >= plan.known_from_date
        and event.arrival_date < plan.known_until_date
    where event.event_type is not null
{%- endmacro %}

{#
  Notifications of a provider, opened, that a history table which is built from them has to read. `opened` are columns
  by name, out of the payload and what else came with it.
#}
{% macro opened_notifications(provider, table, id, opened, history_table, condition) -%}
    select
        {{ id }},
        account_id as given_account_id,
        {% for name, value in opened.items() -%} {{ value }} as {{ name }}, {% endfor -%}
        occurred_at,
        ingested_at,
        arrival_date,
        landing_file,
        landing_row
    from {{ source(provider, table) }}
    where {{ arrived_from(history_from(history_table)) }} and {{ condition }}
{%- endmacro %}

{# Stripe's live events. #}
{% macro stripe_notifications(history_table) -%}
    {{
        opened_notifications(
            "stripe",
            "stripe_events",
            "event_id",
            {
                "type": "json_value(payload, '$.type')",
                "object": "json_query(payload, '$.data.object')",
                "previous": "json_query(payload, '$.data.previous_attributes')",
            },
            history_table,
            "json_value(payload, '$.livemode') = 'true'",
        )
    }}
{%- endmacro %}

{# The subscription that an invoice bills, in the layouts since 2025-03-31 and before. #}
{% macro invoiced_subscription(object) -%}
    coalesce(
        json_value({{ object }}, '$.parent.subscription_details.subscription'),
        json_value({{ object }}, '$.subscription')
    )
{%- endmacro %}

{# Who pays, of Stripe's `object`: an invoice has the metadata of its subscription, anything else its own. #}
{% macro stripe_account() -%}
    {%- set told %}
    if(
        is_invoice,
        coalesce(
            json_value(object, '$.parent.subscription_details.metadata.account_id'),
            json_value(object, '$.subscription_details.metadata.account_id')
        ),
        json_value(object, '$.metadata.account_id')
    )
    {%- endset %}
    {{- paying_account("stripe", told, "json_value(object, '$.customer')") -}}
{%- endmacro %}

{# The App Store's notifications of production. #}
{% macro app_store_notifications(history_table) -%}
    {{
        opened_notifications(
            "app_store",
            "app_store_notifications",
            "notification_uuid",
            {
                "notification_type": "json_value(payload, '$.notificationType')",
                "type": "json_value(payload, '$.notificationType') || coalesce('/' || json_value(payload, '$.subtype'), '')",
                "status": "json_value(payload, '$.data.status')",
                "transaction_info": "json_query(payload, '$.data.transactionInfo')",
                "renewal_info": "json_query(payload, '$.data.renewalInfo')",
            },
            history_table,
            "json_value(payload, '$.data.environment') = 'Production'",
        )
    }}
{%- endmacro %}

{# Google Play's notifications with the purchases that the receiver fetched; licence testers pay nothing. #}
{% macro google_play_notifications(history_table) -%}
    {{
        opened_notifications(
            "google_play",
            "google_play_notifications",
            "message_id",
            {
                "type": "cast(json_value(payload, '$.subscriptionNotification.notificationType') as int64)",
                "is_voided": "coalesce(json_value(payload, '$.voidedPurchaseNotification.productType') = '1', false)",
                "purchase_token": "coalesce(json_value(payload, '$.subscriptionNotification.purchaseToken'), "
                ~ "json_value(payload, '$.voidedPurchaseNotification.purchaseToken'))",
                "purchase": "purchase",
                "items": "json_query_array(purchase, '$.lineItems')",
                "ordered_items": "json_query_array(latest_order, '$.lineItems')",
                "ended_by": "json_query(purchase, '$.canceledStateContext')",
            },
            history_table,
            "not " ~ is_given("json_query(purchase, '$.testPurchase')"),
        )
    }}
{%- endmacro %}
