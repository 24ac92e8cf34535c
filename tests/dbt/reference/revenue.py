"""Cash by day, and the way from a month's cash to the recurring revenue of its close."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from tests.dbt.reference.company import Window
from tests.dbt.reference.days import Cell, Prices, SubscriptionDay, days_between
from tests.dbt.reference.money import ZERO, Rhythm, cents, in_usd
from tests.dbt.reference.payments import Cash, Paid

Row = dict[str, object]

LINES = ("gross", "refunds", "disputes", "vat", "fee", "net")
BRIDGE = ("prepaid", "grace", "not_charged", "price", "left")
COUNTS = {"charge": "charges", "refund": "refunds", "dispute": "disputes"}


@dataclass
class Part:
    """What one subscription adds to a cell on a day; an amount that is not known makes the cell's unknown."""

    day: date
    cell: Cell
    counts: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, Decimal | None] = field(default_factory=dict)

    def add(self, name: str, amount: Decimal | None) -> None:
        """Add to an amount."""
        known = self.amounts.get(name, ZERO)
        self.amounts[name] = None if known is None or amount is None else known + amount

    def add_payment(self, each: Paid) -> None:
        """Add the lines of a payment that counts."""
        name = COUNTS[each.payment.kind]
        self.counts[name] = self.counts.get(name, 0) + 1
        if each.cash_usd.amount is None:
            self.counts["payments_without_rate"] = self.counts.get("payments_without_rate", 0) + 1
        for ending, cash in (("amount", each.cash), ("usd_amount", each.cash_usd)):
            for line, amount in _lines(each.payment.kind, cash).items():
                self.add(f"{line}_{ending}", amount)


def _lines(kind: str, cash: Cash) -> dict[str, Decimal | None]:
    back = None if cash.amount is None else -cash.amount
    own = {"gross": cash.amount} if kind == "charge" else {f"{kind}s": back}
    return dict.fromkeys(LINES[:3], ZERO) | own | {"vat": cash.vat, "fee": cash.fee, "net": cash.net}


def daily_parts(payments: Iterable[Paid], days: Iterable[SubscriptionDay], window: Window) -> list[Part]:
    """What makes up ``agg_revenue_daily``."""
    parts = []
    for each in payments:
        if each.is_counted and window.start <= each.day <= window.end:
            part = Part(each.day, each.cell)
            part.add_payment(each)
            parts.append(part)
    for row in _closes(days, window):
        part = Part(row.day, row.cell)
        for name, mrr in (("amount", row.mrr), ("usd_amount", row.mrr_usd)):
            part.add(f"mrr_{name}", mrr or ZERO)
            part.add(f"accrued_{name}", _accrued(mrr or ZERO, row.day))
        parts.append(part)
    return parts


def _closes(days: Iterable[SubscriptionDay], window: Window) -> list[SubscriptionDay]:
    return [
        row
        for row in days
        if row.was_active_at_end and not row.holder.is_excluded and window.start <= row.day <= window.end
    ]


def _last_of_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _accrued(mrr: Decimal, day: date) -> Decimal:
    """The day's part of a month's revenue: all days of the month together are it."""
    length = _last_of_month(day).day
    return cents(mrr * day.day / length) - cents(mrr * (day.day - 1) / length)


def monthly_parts(
    payments: Iterable[Paid], days: Iterable[SubscriptionDay], prices: Prices, window: Window
) -> list[Part]:
    """What makes up ``agg_revenue_monthly``: a part for each subscription, cell and closing day."""
    counted = [each for each in payments if each.is_counted]
    closes: dict[tuple[date, str], list[SubscriptionDay]] = {}
    for row in _closes(days, window):
        closes.setdefault((row.day, row.life.subscription_id), []).append(row)
    parts = []
    for closing in days_between(window.start, window.end):
        month = [each for each in counted if closing.replace(day=1) <= each.day <= closing]
        held = {(name, row.cell): row for (on, name), rows in closes.items() if on == closing for row in rows}
        charged = {(each.payment.subscription_id, each.cell) for each in month}
        for name, cell in charged | held.keys():
            part = Part(closing, cell)
            for each in month:
                if (each.payment.subscription_id, each.cell) == (name, cell):
                    part.add_payment(each)
            _bridge(part, held.get((name, cell)), prices.usd_rate(cell[3], closing))
            parts.append(part)
    return parts


def _bridge(part: Part, close: SubscriptionDay | None, usd_rate: Decimal | None) -> None:
    gross = part.amounts.get("gross_amount", ZERO) or ZERO
    gross_usd = part.amounts.get("gross_usd_amount", ZERO)
    at_close = in_usd(gross, usd_rate)
    mrr, mrr_usd = (close.mrr or ZERO, close.mrr_usd or ZERO) if close else (ZERO, ZERO)
    if close is None:
        line = "left"
    elif _is_prepaid(close.rhythm):
        line = "prepaid"
    elif gross:
        line = "price"
    else:
        line = "grace" if close.standing.state == "grace" else "not_charged"
    part.add("mrr_amount", mrr)
    part.add("mrr_usd_amount", mrr_usd)
    part.add(f"bridge_{line}_amount", mrr - gross)
    part.add(f"bridge_{line}_usd_amount", None if at_close is None else mrr_usd - at_close)
    is_known = at_close is not None and gross_usd is not None
    part.add("bridge_fx_usd_amount", at_close - gross_usd if is_known else None)  # type: ignore[operator]


def _is_prepaid(rhythm: Rhythm | None) -> bool:
    """Whether one payment is for longer than a month."""
    longest = {"day": 31, "week": 4, "month": 1, "year": 0}
    return rhythm is not None and rhythm[1] > longest[rhythm[0]]


def revenue_rows(parts: Iterable[Part], is_monthly: bool) -> list[Row]:
    """The rows of an aggregate over companies that share no account."""
    cells: dict[tuple[date, Cell], Part] = {}
    for part in parts:
        row = cells.setdefault((part.day, part.cell), Part(part.day, part.cell))
        for name, count in part.counts.items():
            row.counts[name] = row.counts.get(name, 0) + count
        for name, amount in part.amounts.items():
            row.add(name, amount)
    endings = ("amount", "usd_amount")
    names = [f"{line}_{ending}" for line in LINES for ending in endings]
    if is_monthly:
        names += [f"bridge_{line}_{ending}" for line in BRIDGE for ending in endings]
        names += ["bridge_fx_usd_amount", *(f"mrr_{ending}" for ending in endings)]
    else:
        names += [f"{line}_{ending}" for line in ("mrr", "accrued") for ending in endings]
    day_column = "closing_date" if is_monthly else "revenue_date"
    more = ("charges", "refunds", "disputes", "payments_without_rate")
    return [
        {day_column: day}
        | dict(zip(("market", "plan_kind", "provider", "currency"), cell, strict=True))
        | {name: part.counts.get(name, 0) for name in more}
        | {name: part.amounts.get(name, ZERO) for name in names}
        | ({"is_month_end": day == _last_of_month(day)} if is_monthly else {})
        for (day, cell), part in cells.items()
    ]
