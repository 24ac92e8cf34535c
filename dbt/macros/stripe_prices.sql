{# Of a subscription's items: usage is billed after its period, and is no price. #}
{% macro is_metered(item) -%}
    coalesce(json_value({{ item }}, '$.price.recurring.usage_type') = 'metered', false)
{%- endmacro %}

{# Whether a subscription has no price of its own at all. #}
{% macro is_usage_only(object) -%}
    coalesce(json_value({{ object }}, '$.items.has_more') != 'true', true)
    and (
        select count(*) > 0 and logical_and({{ is_metered("item") }})
        from unnest(json_query_array({{ object }}, '$.items.data')) as item
    )
{%- endmacro %}

{#
  The base item, which is the plan: of those with a price of their own the oldest that the catalogue lists as a plan
  (`plan_ids`, null when there is none), else the oldest. Add-ons come later, or are left when the base is replaced.
#}
{% macro base_item(object, plan_ids) -%}
    (
        select item
        from unnest(json_query_array({{ object }}, '$.items.data')) as item
        with
        offset as place
        order by
            if({{ is_metered("item") }}, 1, 0),
            if(json_value(item, '$.price.product') in unnest({{ plan_ids }}), 0, 1),
            cast(coalesce(json_value(item, '$.created'), '0') as int64),
            place
        limit 1
    )
{%- endmacro %}

{#
  INT64 in the currency's smallest unit that an item costs: fractions of it are rounded after the quantity
  (https://docs.stripe.com/billing/subscriptions/decimal-amounts). Null where tiers or packages decide.
#}
{% macro item_amount(item) -%}
    case
        when {{ is_given("json_query(" ~ item ~ ", '$.price.transform_quantity')") }}
        then null
        when json_value({{ item }}, '$.price.unit_amount') is not null
        then
            cast(json_value({{ item }}, '$.price.unit_amount') as int64)
            * cast(coalesce(json_value({{ item }}, '$.quantity'), '1') as int64)
        else
            cast(
                round(
                    cast(json_value({{ item }}, '$.price.unit_amount_decimal') as numeric(38, 9))
                    * cast(coalesce(json_value({{ item }}, '$.quantity'), '1') as numeric(38, 9))
                ) as int64
            )
    end
{%- endmacro %}

{#
  What all items cost together, before discounts; null where one of them does not say it, is not here, or says it in
  another currency than is paid (a price may have several, and tells its own).
#}
{% macro items_amount(object) -%}
    if(
        json_value({{ object }}, '$.items.has_more') = 'true',
        null,
        (
            select
                if(
                    count(*) = count(
                        if(
                            coalesce(
                                json_value(item, '$.price.currency')
                                != json_value({{ object }}, '$.currency'),
                                false
                            ),
                            null,
                            {{ item_amount("item") }}
                        )
                    ),
                    cast(sum({{ item_amount("item") }}) as int64),
                    null
                )
            from unnest(json_query_array({{ object }}, '$.items.data')) as item
            where not {{ is_metered("item") }}
        )
    )
{%- endmacro %}

{# Number of discounts on the subscription and its items; a customer's own is on neither. #}
{% macro discount_count(object) -%}
    greatest(
        coalesce(array_length(json_query_array({{ object }}, '$.discounts')), 0) + coalesce(
            (
                select cast(sum(coalesce(array_length(json_query_array(item, '$.discounts')), 0)) as int64)
                from unnest(json_query_array({{ object }}, '$.items.data')) as item
            ),
            0
        ),
        if({{ is_given("json_query(" ~ object ~ ", '$.discount')") }}, 1, 0)
    )
{%- endmacro %}

{#
  The coupon of a subscription's discount where it is told and not only named: `discount` before 2025-03-31, else an
  expanded element of `discounts`, since 2025-09-30 below `source`.
#}
{% macro told_coupon(object) -%}
    coalesce(
        json_query({{ object }}, '$.discounts[0].source.coupon'),
        json_query({{ object }}, '$.discounts[0].coupon'),
        json_query({{ object }}, '$.discount.coupon')
    )
{%- endmacro %}

{#
  INT64 after the only discount; null where there are more, where one is only named, or where it is for some
  products. What a percentage takes off is rounded to the smallest unit.
#}
{% macro discounted_amount(amount, discounts, coupon, currency) -%}
    case
        when {{ discounts }} = 0
        then {{ amount }}
        when {{ discounts }} > 1 or {{ is_given("json_query(" ~ coupon ~ ", '$.applies_to')") }}
        then null
        when json_value({{ coupon }}, '$.percent_off') is not null
        then
            {{ amount }} - cast(
                round(
                    cast({{ amount }} as numeric(38, 9))
                    * safe_cast(json_value({{ coupon }}, '$.percent_off') as numeric(38, 9))
                    / 100
                ) as int64
            )
        when upper(json_value({{ coupon }}, '$.currency')) = {{ currency }}
        then greatest({{ amount }} - safe_cast(json_value({{ coupon }}, '$.amount_off') as int64), 0)
    end
{%- endmacro %}

{#
  Whether an invoice's line pays a period of a subscription's item: neither a pending invoice item nor the
  settlement of a change. Since 2025-03-31 the line's parent says it, before its type.
#}
{% macro pays_a_period(line) -%}
    if(
        {{ is_given("json_query(" ~ line ~ ", '$.parent')") }},
        {{ is_given("json_query(" ~ line ~ ", '$.parent.subscription_item_details')") }}
        and coalesce(json_value({{ line }}, '$.parent.subscription_item_details.proration') != 'true', true),
        coalesce(json_value({{ line }}, '$.type') = 'subscription', false)
        and coalesce(json_value({{ line }}, '$.proration') != 'true', true)
    )
{%- endmacro %}

{#
  Whether a line that pays a period bills what was used. Its price says it in the layout before 2025-03-31; else usage
  is billed when its period is over, and nothing of it when the subscription begins.
#}
{% macro bills_usage(line, invoice) -%}
    (
        coalesce(
            json_value({{ line }}, '$.price.recurring.usage_type'),
            json_value({{ line }}, '$.plan.usage_type'),
            ''
        )
        = 'metered'
        or coalesce(
            cast(json_value({{ line }}, '$.period.end') as int64)
            <= safe_cast(json_value({{ invoice }}, '$.created') as int64),
            false
        )
        or coalesce(
            json_value({{ line }}, '$.quantity') = '0'
            and json_value({{ invoice }}, '$.billing_reason') != 'subscription_cycle',
            false
        )
    )
{%- endmacro %}

{# The plan of an invoice's line, in the layouts since 2025-03-31 and before. #}
{% macro line_product(line) -%}
    coalesce(
        json_value({{ line }}, '$.pricing.price_details.product'),
        json_value({{ line }}, '$.price.product'),
        json_value({{ line }}, '$.plan.product')
    )
{%- endmacro %}

{# What the lines that pay a subscription's newest period have in common: usage is billed after its own. #}
{% macro of_paying_lines(expression, lines, since, more="") -%}
    (
        select {{ expression }}
        from unnest({{ lines }}) as line {{ more }}
        where {{ pays_a_period("line") }} and cast(json_value(line, '$.period.end') as int64) > {{ since }}
    )
{%- endmacro %}
