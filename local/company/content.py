"""What the company's content system says about its offers, with what goes wrong there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from local.company.catalogue import MARKETS
from local.company.columns import instants
from local.company.spec import CompanySpec

OFFERS = (
    "trial-30-days", "trial-convert", "winback-3-months", "winback-6-months", "student-verify", "duo-upgrade",
    "family-upgrade", "annual-switch", "price-hold", "payment-nudge", "stay-discount",
)  # fmt: skip
"""Entries that exist; ``update-card-return`` was never written."""
UNPUBLISHED = "student-verify"
EXPIRED = "annual-switch"
LOCALES = tuple(dict.fromkeys(market.locale for market in MARKETS))
UNTRANSLATED = ("duo-upgrade", "hi-IN")
"""Readers of this locale get the entry in the fallback locale."""


def content_table(spec: CompanySpec) -> pa.Table:
    """Rows of ``content_entries``: every entry in every locale, pulled on the first morning."""
    entries = [(offer, locale) for offer in OFFERS for locale in LOCALES if (offer, locale) != UNTRANSLATED]
    morning = np.full(len(entries), spec.start_us + 600_000_000)
    published = [offer != UNPUBLISHED for offer, _ in entries]
    expired = np.array([offer == EXPIRED for offer, _ in entries])
    return pa.table(
        {
            "source": ["directus"] * len(entries),
            "entry_id": [offer for offer, _ in entries],
            "locale": [locale for _, locale in entries],
            "content_type": ["offer"] * len(entries),
            "content_version": pa.array([1] * len(entries), pa.int64()),
            "is_published": published,
            "published_at": instants(morning, np.array(published)),
            "valid_from_at": instants(morning, np.zeros(len(entries), dtype=bool)),
            "valid_until_at": instants(morning, expired),
            "fields": ["{}"] * len(entries),
            "is_deleted": [False] * len(entries),
            "ingested_at": instants(morning),
        }
    )
