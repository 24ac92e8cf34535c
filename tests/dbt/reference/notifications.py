"""Events of Stripe that tell a payment and nothing of its subscription, as they land."""

from __future__ import annotations

import json
from typing import Any

from tests.dbt.reference.company import Payment

Row = dict[str, Any]


def stripe_event(payment: Payment) -> Row:
    """The landed row: a one-off invoice that is paid, or a dispute that is opened or closed."""
    amount = int(payment.amount * (1 if payment.currency == "JPY" else 100))
    ids = {"subscription_id": payment.subscription_id, "account_id": payment.account_id}
    if payment.kind == "charge":
        kind = "invoice.paid"
        content: Row = {
            "id": f"in_{payment.payment_id}",
            "charge": payment.payment_id,
            "amount_paid": amount,
            "billing_reason": "manual",
            "parent": {
                "subscription_details": {"subscription": payment.subscription_id, "metadata": ids},
            },
        }
    else:
        kind = "charge.dispute.created" if payment.status == "pending" else "charge.dispute.closed"
        content = {
            "id": payment.payment_id,
            "charge": payment.refunded_payment_id,
            "amount": amount,
            "metadata": ids,
            "status": {"succeeded": "lost", "reversed": "won"}.get(payment.status, "needs_response"),
        }
    content["currency"] = payment.currency.lower()
    event = {"type": kind, "livemode": True, "data": {"object": content}}
    return {
        "event_id": f"{payment.shown_id}:{payment.status}",
        "payload": json.dumps(event),
        "occurred_at": payment.occurred_at,
        "ingested_at": payment.ingested_at,
        "arrival_date": payment.ingested_at.date(),
        "landing_row": payment.landing_row,
    }
