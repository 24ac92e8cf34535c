{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        cluster_by=["account_id"],
    )
}}

with
    scored as (
        select
            account.resolved_account_id as account_id,
            score.model_name,
            date(score.scored_at) as scored_date,
            score.scored_at,
            score.arrival_date,
            score.is_own,
            -- Whole ten-thousandths: a score decides an order, which must not depend on how an engine rounds.
            cast(round(score.score * 10000) as int64) as score_points,
            {{ counts_from("date(score.scored_at)", "score") }} as known_from_date
        from {{ ref("stg_scoring__scores") }} as score
        inner join
            {{ ref("int_account_versions") }} as account
            on score.account_id = account.account_id
            and {{ valid_on("account", "date(score.scored_at)") }}
        cross join {{ ref("int_first_arrival") }} as first_arrival
    ),

    -- Who is not in the next scoring of the platform's has left the model's population.
    -- One of nobody is a row without an account.
    scorings as (
        select
            model_name,
            scored_date,
            lead(scored_date) over (partition by model_name order by scored_date) as next_scored_date
        from
            (
                select distinct model_name, date(scored_at) as scored_date
                from {{ ref("stg_scoring__scores") }}
                where is_own
            )
    ),

    score_days as (
        select feature_date, scored.*
        from scored
        left join
            scorings as scoring
            on scored.is_own
            and scored.model_name = scoring.model_name
            and scored.scored_date = scoring.scored_date
        cross join
            unnest(
                generate_date_array(
                    greatest(scored.known_from_date, {{ known_start_day() }}),
                    least(
                        date_add(scored.scored_date, interval {{ var("score_days") - 1 }} day),
                        coalesce(date_sub(scoring.next_scored_date, interval 1 day), {{ end_day() }}),
                        {{ end_day() }}
                    )
                )
            ) as feature_date
    ),

    newest as (
        select *
        from score_days
        where true
        qualify
            row_number() over (
                partition by feature_date, account_id, model_name
                -- A score that is delivered again is corrected from then on.
                order by scored_at desc, arrival_date desc, score_points desc
            )
            = 1
    )

select
    feature_date,
    account_id,
    array_agg(
        struct(model_name as model, score_points as score_points, scored_date as scored_date)
        order by model_name
    ) as model_scores
from newest
group by feature_date, account_id
