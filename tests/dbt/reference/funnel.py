"""The totals of journeys, counted journey by journey: conversions of a day, and the funnel on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Moment = datetime | None


def _credited(journey: Row, column: str) -> Any:
    return journey[column] if journey["is_last_touch_conversion"] else None


def conversion_totals(journeys: Iterable[Row]) -> list[Row]:
    """Rows of ``agg_conversions_daily``."""
    cells: dict[tuple[Any, ...], list[Row]] = {}
    names = ("journey_date", "offer_id", "surface", "market", "variant", "rule_id")
    for journey in journeys:
        key = tuple(journey[name] for name in names[:-1])
        cells.setdefault((*key, journey["rule_id"] or "none"), []).append(journey)
    found = []
    for cell, theirs in cells.items():
        row = dict(zip(names, cell, strict=True))
        mature = [j for j in theirs if j["is_mature"]]
        closed = [j for j in theirs if j["is_closed"]]
        row["reach"] = len({j["account_id"] for j in theirs})
        row["mature_reach"] = len({j["account_id"] for j in mature})
        for prefix, those in (("", theirs), ("mature_", mature), ("closed_", closed)):
            row |= {prefix + name: value for name, value in _led_to(those).items()}
        found.append(row)
    return found


def _led_to(journeys: list[Row]) -> Row:
    trials = [j for j in journeys if _credited(j, "conversion_type") == "trial"]
    purchases = [j for j in journeys if _credited(j, "conversion_type") == "paid"]
    trials_paid = [j for j in trials if j["paid_at"]]
    paid = [*trials_paid, *purchases]

    def earned(column: str) -> Decimal:
        return sum((_credited(j, column) or Decimal(0) for j in journeys), Decimal(0))

    return {
        "impressions": sum(j["impressions"] for j in journeys),
        "journeys": len(journeys),
        "clicks": sum(j["clicks"] for j in journeys),
        "clicked_journeys": sum(j["clicks"] > 0 for j in journeys),
        "checkouts": sum(j["checkouts"] for j in journeys),
        "checkout_journeys": sum(j["checkouts"] > 0 for j in journeys),
        "conversions": len(trials) + len(purchases),
        "trials": len(trials),
        "trials_paid": len(trials_paid),
        "purchases": len(purchases),
        "paid": len(paid),
        "clicked_paid": sum(j["clicks"] > 0 for j in paid),
        "refunded": sum(j["refunded_at"] is not None for j in paid),
        "charged_back": sum(j["charged_back_at"] is not None for j in paid),
        "revenue_usd_amount": earned("revenue_usd_amount"),
        "refunds_usd_amount": earned("refunds_usd_amount"),
        "chargebacks_usd_amount": earned("chargebacks_usd_amount"),
    }


def _start_after_checkout(journey: Row) -> Moment:
    start, checkout = _credited(journey, "converted_at"), journey["first_checkout_at"]
    return start if start and checkout and checkout.date() <= start.date() else None


def _when(column: str) -> Callable[[Row], Moment]:
    return lambda journey: journey[column]


def _when_credited(column: str, needs: str | None = None) -> Callable[[Row], Moment]:
    return lambda j: _credited(j, column) if needs is None or _credited(j, needs) else None


STAGES: tuple[tuple[str, str | None, Callable[[Row], Moment], str], ...] = (
    ("impression", None, _when("opened_at"), "is_mature"),
    ("click", "impression", _when("first_click_at"), "is_mature"),
    ("checkout", "click", _when("first_checkout_at"), "is_mature"),
    ("checkout_start", "checkout", _start_after_checkout, "is_mature"),
    ("start", "impression", _when_credited("converted_at"), "is_mature"),
    ("trial", "impression", _when_credited("trial_started_at"), "is_mature"),
    ("trial_paid", "trial", _when_credited("paid_at", "trial_started_at"), "is_closed"),
    ("paid", "impression", _when_credited("paid_at"), "is_closed"),
    ("refund", "paid", _when_credited("refunded_at", "paid_at"), "is_closed"),
    ("chargeback", "paid", _when_credited("charged_back_at", "paid_at"), "is_closed"),
)
"""Stage, the stage that it is a part of, when a journey reached it, and when it had time to."""


def funnel(journeys: Iterable[Row]) -> list[Row]:
    """Rows of ``agg_conversion_funnel``."""
    names = ("journey_date", "offer_id", "surface", "market")
    reached = {stage: moment for stage, _, moment, _ in STAGES}
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for journey in journeys:
        cells.setdefault(tuple(journey[name] for name in names), []).append(journey)
    found = []
    for cell, theirs in cells.items():
        for number, (stage, before, moment, settled) in enumerate(STAGES, start=1):
            there = [j for j in theirs if moment(j)]
            origin = [j for j in theirs if before and reached[before](j)]
            if not there and not origin:
                continue
            done, began = ([j for j in those if j[settled]] for those in (there, origin))
            seconds = sorted(
                max(int((_at(moment, j) - _at(reached[before], j)).total_seconds()), 0)
                for j in done
                if before
            )
            found.append(
                dict(zip(names, cell, strict=True))
                | {
                    "stage_number": number,
                    "stage": stage,
                    "from_stage": before,
                    "journeys": len(there),
                    "from_journeys": len(origin) if before else None,
                    "settled_journeys": len(done),
                    "settled_from_journeys": len(began) if before else None,
                    "settled_dropped_journeys": len(began) - len(done) if before else None,
                    "median_seconds": _nearest_rank(seconds, 50),
                    "p90_seconds": _nearest_rank(seconds, 90),
                }
            )
    return found


def _at(moment: Callable[[Row], Moment], journey: Row) -> datetime:
    at = moment(journey)
    assert at is not None
    return at


def _nearest_rank(ordered: list[int], percent: int) -> int | None:
    """The least value that so many percent of all do not exceed."""
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None
