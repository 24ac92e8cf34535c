{{
    config(
        partition_by={"field": "touch_date", "data_type": "date", "granularity": "day"},
        cluster_by=["touch", "surface"],
        meta={"published": "days", "restates_days": 1, "measures": ["touches", "orphans"]},
    )
}}

with
    -- What a click answers is looked for in the time of a journey before it, and a day after it.
    clicks as (
        select
            click.click_id,
            click.surface,
            click.occurred_at,
            impression.occurred_at as shown_at,
            case
                when impression.impression_id is null
                then 'missing'
                when not impression.is_shown
                then 'not_shown'
                else {{ answer_link("click.occurred_at", "impression.occurred_at") }}
            end as link
        from {{ ref("stg_merchandising__offer_clicks") }} as click
        left join
            {{ ref("stg_merchandising__offer_impressions") }} as impression
            on click.impression_id = impression.impression_id
            and click.occurred_at < {{ too_old_at("impression.occurred_at") }}
            and click.occurred_at >= timestamp_sub(impression.occurred_at, interval 1 day)
    ),

    -- A click by a clock that is behind happened with its impression.
    asking_clicks as (
        select click_id, if(link = 'linked', greatest(occurred_at, shown_at), occurred_at) as clicked_at
        from clicks
    ),

    checkouts as (
        select
            checkout.surface,
            checkout.occurred_at,
            click.clicked_at,
            case
                when click.click_id is null
                then 'missing'
                else {{ answer_link("checkout.occurred_at", "click.clicked_at") }}
            end as link
        from {{ ref("stg_merchandising__checkouts") }} as checkout
        left join
            asking_clicks as click
            on checkout.click_id = click.click_id
            and checkout.occurred_at < {{ too_old_at("click.clicked_at") }}
            and checkout.occurred_at >= timestamp_sub(click.clicked_at, interval 1 day)
    ),

    touches as (
        select
            'click' as touch,
            date(occurred_at) as touch_date,
            surface,
            link,
            occurred_at < shown_at as is_before
        from clicks
        union all
        select 'checkout', date(occurred_at), surface, link, occurred_at < clicked_at
        from checkouts
    )

select
    touch_date,
    touch,
    surface,
    cast(count(*) as int64) as touches,
    cast(countif(link = 'linked' and is_before) as int64) as early_touches,
    cast(countif(link != 'linked') as int64) as orphans
    {%- for reason in ["missing", "not_shown", "too_early", "too_late"] %}
        , cast(countif(link = '{{ reason }}') as int64) as {{ reason }}_orphans
    {%- endfor %}
from touches
where {{ rebuilt_days("touch_date", 1) }}
group by touch_date, touch, surface
