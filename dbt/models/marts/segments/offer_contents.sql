{{
    config(
        partition_by={"field": "feature_date", "data_type": "date", "granularity": "day"},
        meta={"published": "days", "restates_days": 0, "as_known_then": true},
    )
}}

with
    versions as (
        select
            entry.*,
            {{ known_from("entry") }} as known_from_date,
            {{ until_next("entry.arrival_date", "entry.content_source, entry.entry_id, entry.locale") }}
            as known_to_date
        from {{ ref("stg_content__entries") }} as entry
        cross join {{ ref("int_first_arrival") }} as first_arrival
    )

select
    feature_date,
    version.entry_id,
    version.locale,
    version.content_source as source,
    version.content_version,
    version.is_published,
    version.valid_from_at,
    version.valid_until_at
from versions as version
cross join
    unnest(
        generate_date_array(
            greatest(version.known_from_date, {{ known_start_day() }}),
            least(date_sub(version.known_to_date, interval 1 day), {{ end_day() }})
        )
    ) as feature_date
where not version.is_deleted
-- Two systems with one entry of one name: what one of them publishes counts.
qualify
    row_number() over (
        partition by feature_date, version.entry_id, version.locale
        order by version.is_published desc, version.ingested_at desc, version.content_source
    )
    = 1
