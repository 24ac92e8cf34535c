{{
    config(
        materialized="table",
        partition_by={"field": "known_date", "data_type": "date", "granularity": "day"},
        cluster_by=["subscription_id"],
        contract={"enforced": true},
        meta={
            "published": "arrivals",
            "partitions": "since_checkpoint",
            "feeds_until_day": [
                "subscription_events",
                "google_play_notifications",
                "app_store_notifications",
                "stripe_events",
                "plans",
            ],
        },
    )
}}

-- The lives that arrivals of a day touched are written down anew as known on that day, and all of them on the
-- first of the month.
select * except (is_touched_by_arrival, is_checkpoint, is_run_start, is_skipped_checkpoint)
from {{ ref("int_subscription_lives") }}
where
    known_date between date '{{ versions_from_day() }}' and {{ as_of_day() }}
    and (is_touched_by_arrival or is_checkpoint)
