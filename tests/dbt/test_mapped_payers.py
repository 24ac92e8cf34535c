"""A purchase that names nobody is of the provider's customer, until the map says whose that is."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from segue.settings import Settings
from tests.dbt.conftest import Warehouse, account, at, plan

SUBSCRIPTION = {
    "id": "sub_1", "customer": "cus_1", "status": "active", "metadata": {}, "cancel_at_period_end": False,
    "items": {"data": [{
        "quantity": 1, "current_period_start": 1772359200, "current_period_end": 1775037600,
        "price": {"id": "p1", "product": "solo", "currency": "usd", "unit_amount": 999,
                  "recurring": {"interval": "month", "interval_count": 1}},
    }]},
}  # fmt: skip


def test_the_map_speaks_for_the_days_before_it_came_and_as_known_then_it_does_not(
    dbt_world: Callable[..., Settings],
) -> None:
    warehouse = Warehouse(dbt_world("mapped", dbt_threads=2))
    created = {"type": "customer.subscription.created", "livemode": True, "data": {"object": SUBSCRIPTION}}
    began = at("2026-03-01 10:00")
    warehouse.land("accounts", [account("a7", "GB")])
    warehouse.land("plans", [plan("solo", "individual", "month")])
    warehouse.land(
        "fx_rates",
        [
            {
                "day": began.date(),
                "currency": "USD",
                "usd_rate": Decimal(1),
                "ingested_at": at("2026-03-01 01:00"),
            }
        ],
    )
    warehouse.land(
        "stripe_events",
        [{"event_id": "e1", "occurred_at": began, "ingested_at": began, "payload": json.dumps(created)}],
    )
    warehouse.land(
        "provider_accounts",
        [
            {"provider": "stripe", "customer_id": "cus_1", "account_id": "a7",
             "ingested_at": at("2026-03-02 04:00")}
        ],
    )  # fmt: skip

    def held(known_on: str) -> list[tuple[str, str]]:
        dataset = warehouse.build("2026-03-01", "2026-03-01", known_on, select=["+fct_subscription_daily"])
        return [
            (row.account_id, row.market)
            for row in warehouse.query(f"select account_id, market from {dataset}.fct_subscription_daily")
        ]

    assert held("2026-03-02") == [("a7", "GB")]
    assert held("2026-03-01") == [("stripe:cus_1", "ZZ")]
