{{
    config(
        partition_by={"field": "metric_date", "data_type": "date", "granularity": "day"},
        cluster_by=["experiment_id", "metric"],
        meta={"published": "days", "restates_days": 0, "measures": ["units"]},
    )
}}
-- What metrics may be made of, whichever are declared:
{% for each in metric_facts() -%}
-- depends_on: {{ ref(each.relation) }}
{% endfor -%}
{%- set facts = (
    metric_facts()
    | selectattr("mart", "in", measures_of().values() | map(attribute="source.mart") | list)
    | list
) %}

with
    units as (select * from {{ ref("int_experiment_units") }}),

    -- What is measured of an account for a metric: y, x before the exposure, and a ratio's d.
    measures as (
        select
            measure.name,
            measure.metric,
            measure.part,
            measure.mart,
            measure.is_any,
            measure.is_last,
            cast(measure.cap as numeric(38, 9)) as cap
        from
            unnest(
                array<
                    struct<
                        name string,
                        metric string,
                        part string,
                        mart string,
                        is_any bool,
                        is_last bool,
                        cap float64
                    >
                >[
                    {%- for name, measure in measures_of().items() %}
                        (
                            '{{ name }}',
                            '{{ measure.metric.id }}',
                            '{{ measure.part }}',
                            '{{ measure.source.mart }}',
                            {{ (measure.source.aggregate == "any") | string | lower }},
                            {{ (measure.source.aggregate == "last") | string | lower }},
                            {{ "null" if measure.part == "d" else (measure.metric.cap or "null") }}
                        ){{ "," if not loop.last }}
                    {%- endfor %}
                ]
            ) as measure
    ),

    -- From what to what: to the instant, or by days; the exposure's own day lies on both sides of it.
    measured as (
        select
            unit.*,
            measure.name,
            measure.part,
            measure.mart,
            measure.is_any,
            measure.cap,
            case
                when measure.part = 'x'
                then date_sub(unit.exposure_date, interval if(measure.is_last, 1, unit.covariate_days) day)
                when measure.is_last
                then unit.metric_date
                else date_add(unit.exposure_date, interval 1 day)
            end as from_date,
            if(measure.part = 'x', date_sub(unit.exposure_date, interval 1 day), unit.metric_date) as to_date,
            if(
                measure.part = 'x',
                timestamp_sub(unit.exposed_at, interval unit.covariate_days day),
                unit.exposed_at
            ) as from_at,
            if(
                measure.part = 'x',
                unit.exposed_at,
                timestamp_add(unit.exposed_at, interval unit.window_days day)
            ) as until_at
        from units as unit
        inner join measures as measure on unit.metric = measure.metric
    ),
    {% for each in facts %}
        {%- set of_mart = measures_of(each.mart) %}
        {%- set instants = of_mart.values() | map(attribute="source.at") | select | unique | list %}
        {%- set columns = of_mart.values() | map(attribute="source.column") | select | unique | list %}

        rows_of_{{ each.mart }} as (
            select
                account_id,
                {{ each.partition }}
                {%- for column in instants + columns %}
                    ,
                    {{ from_cents(each.cents[column]) ~ " as " ~ column if column in each.cents else column }}
                {%- endfor %}
            from {{ ref(each.relation) }}
            where
                {{ each.partition }}
                between {{ start_day(-metric_days(each.mart, before=true) - 1) }} and {{ end_day() }}
        ),

        of_{{ each.mart }} as (
            select
                unit.experiment_id,
                unit.variant,
                unit.metric,
                unit.metric_date,
                unit.account_id,
                unit.part,
                unit.cap,
                unit.is_any,
                {{ measured_value(each.mart, "unit.name", "fact") }} as amount
            from measured as unit
            left join
                rows_of_{{ each.mart }} as fact on unit.holder_account_id = fact.account_id
                {%- if instants %}
                    -- What began before the exposure is no outcome, however it ends.
                    and fact.{{ each.partition }} >= date(unit.from_at)
                    and case
                        unit.name
                        {%- for name, measure in of_mart.items() %}
                            when '{{ name }}'
                            then
                                fact.{{ measure.source.at }} >= unit.from_at
                                and fact.{{ measure.source.at }} < unit.until_at
                        {%- endfor %}
                    end
                {%- else %} and fact.{{ each.partition }} between unit.from_date and unit.to_date
                {%- endif %}
            where unit.mart = '{{ each.mart }}'
        ),
    {% endfor %}
    amounts as (
        select
            experiment_id,
            variant,
            metric,
            metric_date,
            account_id,
            part,
            cap,
            cast(if(is_any, max(amount), sum(amount)) as numeric(38, 9)) as amount
        from
            (
                {%- for each in facts %}
                    select *
                    from of_{{ each.mart }}
                    {%- if not loop.last %}
                        union all
                    {%- endif %}
                {%- endfor %}
            )
        group by experiment_id, variant, metric, metric_date, account_id, part, cap, is_any
    ),

    -- Four decimals, so that products have eight and every sum is exact, in whatever order it is made.
    capped as (
        select *, cast(round(if(cap is null, amount, least(amount, cap)), 4) as numeric(38, 9)) as value
        from amounts
    ),

    accounts as (
        select
            experiment_id,
            variant,
            metric,
            metric_date,
            account_id,
            max(if(part = 'y', value, null)) as y,
            max(if(part = 'x', value, null)) as x,
            max(if(part = 'd', value, null)) as d
        from capped
        group by experiment_id, variant, metric, metric_date, account_id
    ),

    sums as (
        select
            experiment_id,
            variant,
            metric,
            metric_date,
            count(*) as units
            {%- for name, product in experiment_sums().items() %}
                , sum({{ product }}) as {{ name }}
            {%- endfor %}
        from accounts
        group by experiment_id, variant, metric, metric_date
    ),

    exposures as (
        select
            experiment_id,
            variant,
            exposure_date,
            exposure_source,
            is_variant_mismatch,
            exclusion_reason,
            date(excluded_at) as exclusion_date,
            coalesce(date(excluded_at) > exposure_date, true) as was_counted
        from {{ ref("int_experiment_exposures") }}
    ),

    -- Who came, on the day of the exposure, and who was left out, on the day on which that was known; y says
    -- of the first whether another variant was logged, of the others whether they had been counted.
    comings as (
        select
            experiment_id,
            variant,
            'exposures' as metric,
            exposure_date as metric_date,
            is_variant_mismatch as is_y
        from exposures
        where was_counted
        union all
        select experiment_id, variant, 'exposures_by_decision', exposure_date, false
        from exposures
        where was_counted and exposure_source = 'decision'
        union all
        select experiment_id, variant, concat('excluded_', exclusion_reason), exclusion_date, was_counted
        from exposures
        where exclusion_reason is not null
    ),

    exposed as (
        select
            experiment_id,
            variant,
            metric,
            metric_date,
            count(*) as units,
            cast(countif(is_y) as numeric(38, 9)) as sum_y
        from comings
        where {{ rebuilt_days("metric_date") }}
        group by experiment_id, variant, metric, metric_date
    )

select
    experiment_id,
    variant,
    metric,
    metric_date,
    cast(units as int64) as units
    {%- for name in experiment_sums() %}, cast({{ name }} as numeric(38, 9)) as {{ name }} {%- endfor %}
from sums
union all
select
    experiment_id,
    variant,
    metric,
    metric_date,
    cast(units as int64),
    sum_y,
    sum_y
    {%- for name in (experiment_sums() | list)[2:] %}, cast(null as numeric(38, 9)) {%- endfor %}
from exposed
