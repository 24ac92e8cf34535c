{# Sum of cents in US dollars, unknown as soon as one of them is: it must not look smaller. #}
{% macro known_sum(cents) -%} if(countif({{ cents }} is null) > 0, null, sum({{ cents }})) {%- endmacro %}

{#
  Cash of counted rows of int_payments, a column of cents for each line, in currency and in US dollars: gross −
  refunds − disputes − VAT − fee = net.
#}
{% macro cash_lines() -%}
    {%- for currency in ["", "_usd"] %}
        {%- for line, kind in [("gross", "charge"), ("refunds", "refund"), ("disputes", "dispute")] %}
            if(
                payment_kind = '{{ kind }}',
                {{ "" if kind == "charge" else "-" }}counted{{ currency }}_cents,
                0
            ) as {{ line }}{{ currency }}_cents,
        {%- endfor %}
        vat{{ currency }}_cents,
        fee{{ currency }}_cents,
        net{{ currency }}_cents,
    {%- endfor %}
    if(counted_usd_cents is null, 1, 0) as is_without_rate
{%- endmacro %}

{# Names of the lines of cash. #}
{% macro cash_names() -%} {{ return(["gross", "refunds", "disputes", "vat", "fee", "net"]) }} {%- endmacro %}
