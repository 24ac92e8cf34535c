select
    source,
    entry_id,
    locale,
    content_type,
    content_version,
    is_published and not is_deleted as is_published,
    is_deleted,
    published_at,
    valid_from as valid_from_at,
    valid_until as valid_until_at,
    ingested_at,
    arrival_date
from {{ source("content", "content_entries") }}
where {{ arrived() }}
qualify {{ latest_arrival("source, entry_id, locale, arrival_date") }}
