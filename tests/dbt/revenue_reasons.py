"""Subscriptions whose revenue changes for one reason after the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.dbt.conftest import Row, event


def usd(amount: str = "20", plan_id: str = "solo") -> dict[str, Any]:
    return {"plan_id": plan_id, "price_amount": Decimal(amount), "currency": "USD", "interval": "month"}


def lived(sub: str, *happened: tuple[str, str, dict[str, Any]], account: str = "") -> list[Row]:
    return [
        event(sub, f"a-{account or sub}", kind, f"2026-{when} 10:00", **said) for kind, when, said in happened
    ]


def events() -> list[Row]:
    """All of them; the plan ``home`` is for a family, ``solo`` for one person."""
    return [
        *lived(
            "on_and_off",
            ("started", "02-10", usd()),
            ("paused", "03-03", {}),
            ("resumed", "03-05", {}),
            ("billing_retry_started", "03-08", {}),
            ("recovered", "03-10", {}),
            ("expired", "03-12", {"reason": "voluntary"}),
            ("reactivated", "03-14", usd()),
            ("paused", "03-16", {"reason": "payment_failure"}),
        ),
        *lived(
            "changes",
            ("started", "02-10", usd()),
            ("plan_changed", "03-04", usd("30", "home")),
            ("plan_changed", "03-06", usd("300", "home") | {"interval": "year"}),
            ("price_changed", "03-08", {"price_amount": Decimal(360)}),
            ("plan_changed", "03-10", usd("12")),
        ),
        *lived("two", ("started", "02-10", usd())),
        *lived(
            "other",
            ("started", "03-04", usd("5")),
            ("paused", "03-06", {}),
            ("resumed", "03-08", {}),
            ("billing_retry_started", "03-10", {}),
            ("recovered", "03-12", {}),
            ("expired", "03-14", {}),
            account="two",
        ),
    ]  # fmt: skip
