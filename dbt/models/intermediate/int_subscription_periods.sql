{{ config(cluster_by=["subscription_id"]) }}

-- The latest version of each life that was known on the as-of day.
with
    versions as (
        {{
            history_rows(
                "int_subscription_versions",
                "known_date",
                checkpoint_day(),
                columns="known_date, " ~ life_columns(),
            )
        }}
    ),

    current_lives as (
        select {{ life_columns() }}
        from versions
        where true
        qualify rank() over (partition by subscription_id order by known_date desc) = 1
    )

-- Of a life that nothing has given a state yet, or no longer gives one, there is nothing to tell.
select *
from current_lives
where state is not null
