{#
  Money is computed in INT64 cents: NUMERIC division is exact to nine places in BigQuery but not in every
  engine that speaks its dialect, and a tie must not depend on the engine.
#}
{#
  Quotient of two INT64, rounded half to even; n must not be negative, d must be positive: what is added to n
  before it is cut off is half of d, or just less than it where a tie would leave an even quotient. The
  parentheses matter: a dialect that writes div() and mod() as operators would bind them to their neighbours.
#}
{% macro half_even_div(n, d) -%}
    div(
        ({{ n }} + (div(({{ d }} - 1), 2)) + if((mod({{ d }}, 2)) = 0, (mod((div({{ n }}, {{ d }})), 2)), 0)),
        {{ d }}
    )
{%- endmacro %}

{# INT64 cents of an amount, which has at most four decimals by contract (most currencies two); half to even. #}
{% macro to_cents(amount) -%}
    {{ half_even_div("cast(round(" ~ amount ~ " * 10000) as int64)", "100") }}
{%- endmacro %}

{# The amount of INT64 cents. #}
{% macro from_cents(cents) -%}
    cast(cast({{ cents }} as numeric(38, 9)) / 100 as numeric(38, 9))
{%- endmacro %}

{#
  Cents in US dollars of cents in another currency, rounded half to even; a rate has at most twelve decimals by
  contract. An INT64 does not hold cents times trillionths: what is left of millionths over two dollars' cents
  is rounded with the millionths of millionths, and whole pairs of cents, which change no tie, are added.
#}
{% macro usd_cents(cents, usd_rate) -%}
    {%- set trillionths = "cast(round(" ~ usd_rate ~ " * 1000000000000) as int64)" -%}
    {%- set millionths = "(" ~ cents ~ " * (div(" ~ trillionths ~ ", 1000000)))" -%}
    (
        2 * (div({{ millionths }}, 2000000))
        + {{
            half_even_div(
                "((mod("
                ~ millionths
                ~ ", 2000000)) * 1000000 + "
                ~ cents
                ~ " * (mod("
                ~ trillionths
                ~ ", 1000000)))",
                "1000000000000",
            )
        }}
    )
{%- endmacro %}

{#
  Cents a month of cents per rhythm, which is every `interval_count` billing intervals, rounded once: a year has
  12 months, 52 weeks or 365 days.
#}
{% macro month_cents(cents, billing_interval, interval_count) -%}
    case
        {{ billing_interval }}
        when 'month'
        then {{ half_even_div(cents, interval_count) }}
        when 'year'
        then {{ half_even_div(cents, "(12 * " ~ interval_count ~ ")") }}
        when 'week'
        then {{ half_even_div("(" ~ cents ~ " * 52)", "(12 * " ~ interval_count ~ ")") }}
        when 'day'
        then {{ half_even_div("(" ~ cents ~ " * 365)", "(12 * " ~ interval_count ~ ")") }}
    end
{%- endmacro %}

{# How many billing intervals a raw row pays for: one where it does not say, nothing without an interval. #}
{% macro told_interval_count(billing_interval, interval_count) -%}
    if({{ billing_interval }} is null, null, coalesce({{ interval_count }}, 1))
{%- endmacro %}

{# Whether two rhythms are one: 12 months are a year. #}
{% macro is_same_rhythm(interval, count, other_interval, other_count) -%}
    if({{ interval }} = 'year', 'month', {{ interval }})
    = if({{ other_interval }} = 'year', 'month', {{ other_interval }})
    and if({{ interval }} = 'year', 12, 1) * {{ count }}
    = if({{ other_interval }} = 'year', 12, 1) * {{ other_count }}
{%- endmacro %}

{#
  Join condition: the row of int_list_prices_daily that says what a subscription pays whose events tell no
  price. A list price is for the plan's own rhythm and for no other, and for nobody of whom it is known that
  another price is paid.
#}
{% macro is_list_price_of(
    price,
    day,
    plan_id,
    market,
    told_price,
    is_price_unknown,
    told_currency,
    interval,
    interval_count
) -%}
    {{ told_price }} is null
    and not coalesce({{ is_price_unknown }}, false)
    and {{ day }} = {{ price }}.price_date
    and {{ plan_id }} = {{ price }}.plan_id
    and {{ market }} = {{ price }}.market
    and {{ told_currency }} is not distinct from {{ price }}.told_currency
    and (
        {{ interval }} is null
        or {{
            is_same_rhythm(
                interval, interval_count, price ~ ".billing_interval", price ~ ".billing_interval_count"
            )
        }}
    )
{%- endmacro %}
