select
    source as content_source,
    entry_id,
    locale,
    content_type,
    content_version,
    is_published,
    published_at,
    valid_from_at,
    valid_until_at,
    `fields` as content_fields,
    is_deleted,
    ingested_at,
    arrival_date
from {{ source("content", "content_entries") }}
where {{ arrived_ever() }}
qualify {{ latest_arrival("source, entry_id, locale, arrival_date") }}
