{#
  Line items of Google's SubscriptionPurchaseV2
  (https://developers.google.com/android-publisher/api-ref/rest/v3/purchases.subscriptionsv2#SubscriptionPurchaseLineItem).
#}
{# The phase that an item is in: BASE, FREE_TRIAL or INTRODUCTORY; null where the purchase does not say. #}
{% macro item_phase(item) -%}
    case
        when {{ is_given("json_query(" ~ item ~ ", '$.offerPhase.freeTrial')") }}
        then 'FREE_TRIAL'
        when {{ is_given("json_query(" ~ item ~ ", '$.offerPhase.introductoryPrice')") }}
        then 'INTRODUCTORY'
        when {{ is_given("json_query(" ~ item ~ ", '$.offerPhase.basePrice')") }}
        then 'BASE'
        -- A change of plan cut the phase that it interrupted, or stretched it.
        when {{ is_given("json_query(" ~ item ~ ", '$.offerPhase.prorationPeriod')") }}
        then coalesce(json_value({{ item }}, '$.offerPhase.prorationPeriod.originalOfferPhaseType'), 'BASE')
    end
{%- endmacro %}

{# When an item ends: null while it has not begun. #}
{% macro item_expiry(item) -%}
    {{ protobuf_timestamp("json_value(" ~ item ~ ", '$.expiryTime')") }}
{%- endmacro %}

{#
  What an item costs each time; null where nobody tells. A recurring price knows no offers: "does not take
  into account discounts".
#}
{% macro item_price(item, is_price_change) -%}
    case
        when {{ item_phase(item) }} = 'FREE_TRIAL'
        then cast(0 as numeric(38, 9))
        when
            {{ is_price_change }}
            and json_value({{ item }}, '$.autoRenewingPlan.priceChangeDetails.priceChangeState') = 'APPLIED'
        then {{ money_amount("json_query(" ~ item ~ ", '$.autoRenewingPlan.priceChangeDetails.newPrice')") }}
        when {{ is_given("json_query(" ~ item ~ ", '$.autoRenewingPlan.recurringPrice')") }}
        then {{ money_amount("json_query(" ~ item ~ ", '$.autoRenewingPlan.recurringPrice')") }}
    end
{%- endmacro %}

{# What an item of an order (https://developers.google.com/android-publisher/api-ref/rest/v3/orders) cost. #}
{% macro ordered_price(item) -%}
    case
        when {{ is_given("json_query(" ~ item ~ ", '$.listingPrice')") }}
        then {{ money_amount("json_query(" ~ item ~ ", '$.listingPrice')") }}
    end
{%- endmacro %}
