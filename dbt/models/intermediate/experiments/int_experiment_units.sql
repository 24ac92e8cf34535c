{{ config(cluster_by=["holder_account_id"]) }}

with
    metrics as (
        select use.declared_id, use.metric, use.window_days, use.covariate_days
        from
            unnest(
                array<struct<declared_id string, metric string, window_days int64, covariate_days int64>>[
                    {%- for experiment, metrics in used_metrics().items() %}
                        {%- set more = not loop.last %}
                        {%- for metric in metrics %}
                            (
                                '{{ experiment }}',
                                '{{ metric.id }}',
                                {{ metric.window_days }},
                                {{ metric.covariate_days or "null" }}
                            ){{ "," if more or not loop.last }}
                        {%- endfor %}
                    {%- endfor %}
                ]
            ) as use
    ),

    exposures as (
        select
            experiment_id,
            -- All holdouts are judged by the same metrics.
            if(starts_with(experiment_id, 'holdout-'), 'holdouts', experiment_id) as declared_id,
            variant,
            account_id,
            exposed_at,
            exposure_date,
            excluded_at
        from {{ ref("int_experiment_exposures") }}
        where exposure_date between {{ start_day(-metric_days()) }} and {{ end_day() }}
    ),

    completed as (
        select
            exposure.*,
            metric.metric,
            metric.window_days,
            metric.covariate_days,
            date_add(exposure.exposure_date, interval metric.window_days day) as metric_date
        from exposures as exposure
        inner join metrics as metric on exposure.declared_id = metric.declared_id
        where
            date_add(exposure.exposure_date, interval metric.window_days day)
            between {{ start_day() }} and {{ end_day() }}
            -- What a day counts depends on no later day.
            and coalesce(
                date(exposure.excluded_at)
                > date_add(exposure.exposure_date, interval metric.window_days day),
                true
            )
    ),

    resolved as (
        select unit.*, coalesce(account.resolved_account_id, unit.account_id) as survivor_id
        from completed as unit
        left join
            {{ ref("int_account_versions") }} as account
            on unit.account_id = account.account_id
            and {{ valid_on("account", "unit.metric_date") }}
    )

select
    unit.experiment_id,
    unit.variant,
    unit.metric,
    unit.metric_date,
    unit.window_days,
    unit.covariate_days,
    unit.account_id,
    unit.exposed_at,
    unit.exposure_date,
    coalesce(holder.account_id, unit.survivor_id) as holder_account_id
from resolved as unit
left join
    {{ ref("int_account_versions") }} as holder
    on unit.survivor_id = holder.resolved_account_id
    and {{ valid_on("holder", "unit.metric_date") }}
