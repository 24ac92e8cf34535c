"""Days of ``fct_account_features`` as if they were published: accounts that planted examples are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import numpy as np
from google.cloud.bigquery import SchemaField

from loaders.warehouse.client import warehouse_of
from segue.settings import Settings

ACCOUNTS: Final = 1_500
_COLUMNS: Final = {
    "feature_date": "DATE", "account_id": "STRING", "is_entitled": "BOOL", "is_test_account": "BOOL",
    "is_deletion_requested": "BOOL", "is_personalisation_withdrawn": "BOOL", "streams_28d": "INT64",
    "ad_ms_28d": "INT64", "skips_blocked_28d": "INT64", "tenure_days": "INT64", "market": "STRING",
}  # fmt: skip


def features(day: date, more_streams: int = 0) -> Iterator[dict[str, Any]]:
    """Accounts as ``listeners`` has them, but for so many streams more; every tenth is entitled."""
    random = np.random.default_rng(day.toordinal())
    for account in range(ACCOUNTS):
        yield {
            "feature_date": str(day), "account_id": f"a{account:06}", "is_entitled": account % 10 == 9,
            "is_test_account": False, "is_deletion_requested": False, "is_personalisation_withdrawn": False,
            "streams_28d": int(random.poisson(100)) + more_streams,
            "ad_ms_28d": int(random.integers(0, 1_000_000)), "skips_blocked_28d": int(random.poisson(16)),
            "tenure_days": int(random.integers(0, 2_000)),
            "market": str(random.choice(["DE", "SE", "US"])),
        }  # fmt: skip


def publish_features(settings: Settings, *days: Iterator[dict[str, Any]]) -> None:
    """The rows of some days, in a table of their own mart."""
    warehouse = warehouse_of(settings)
    warehouse.ensure_dataset(settings.marts_dataset)
    table = warehouse.table(settings.marts_dataset, "fct_account_features")
    schema = [SchemaField(name, kind) for name, kind in _COLUMNS.items()]
    warehouse.ensure_table(table, schema, partition_field="feature_date", description="Features.")
    rows = [json.dumps(row) for day in days for row in day]
    warehouse.append_json(table, "\n".join(rows), schema)
