"""What an account is on a day, as payer and as member."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from tests.dbt.reference.accounts import Accounts
from tests.dbt.reference.company import Membership, Window
from tests.dbt.reference.days import DAY, SubscriptionDay, midnight
from tests.dbt.reference.money import ZERO, total
from tests.dbt.reference.movements import Movement

Row = dict[str, object]

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Entitlement:
    row: SubscriptionDay
    market: str
    is_payer: bool
    is_active_at_start: bool
    is_active_at_end: bool

    @property
    def preference(self) -> tuple[bool, bool, bool, int, str, str]:
        """One that lasts, paid, own, and the oldest of those comes first; last, the market decides."""
        return (
            not self.is_active_at_end,
            not self.row.standing.is_paid,
            not self.is_payer,
            -self.row.tenure_days,
            self.row.life.subscription_id,
            self.market,
        )

    @property
    def mrr_usd(self) -> Decimal | None:
        """Money is counted once, with the payer."""
        return self.row.mrr_usd if self.is_payer else ZERO


def subscriber_rows(
    days: Iterable[SubscriptionDay],
    members: Iterable[Membership],
    movements: Iterable[Movement],
    accounts: Accounts,
    window: Window,
) -> list[Row]:
    """The rows of ``fct_subscriber_daily``."""
    stays = _stays(members, window)
    held: dict[tuple[object, str], list[_Entitlement]] = {}
    for row in days:
        if row.day < window.start or row.holder.is_excluded:
            continue
        own = _Entitlement(row, row.holder.market, True, row.was_active_at_start, row.was_active_at_end)
        held.setdefault((row.day, row.holder.account_id), []).append(own)
        begins, ends = midnight(row.day), midnight(row.day + DAY)
        for stay in stays.get(row.life.subscription_id, []):
            left_at = stay.left_at or _NEVER
            member = accounts.on(stay.account_id, row.day)
            if stay.joined_at >= ends or left_at <= begins or member.is_excluded:
                continue
            theirs = _Entitlement(
                row,
                member.market,
                False,
                row.was_active_at_start and stay.joined_at <= begins,
                row.was_active_at_end and left_at >= ends,
            )
            held.setdefault((row.day, member.account_id), []).append(theirs)
    known = {(movement.day, movement.account_id): movement for movement in movements}
    moved = {
        key
        for key, movement in known.items()
        if movement.kind != "none"
        or any(change.mrr or change.mrr_usd or change.fx_usd for change in movement.changes.values())
    }
    return [_row(key, held.get(key, []), known.get(key)) for key in sorted({*held, *moved}, key=str)]


def _stays(members: Iterable[Membership], window: Window) -> dict[str, list[Membership]]:
    latest: dict[tuple[str, str, datetime], Membership] = {}
    for member in sorted(members, key=lambda m: m.ingested_at):
        if window.knows(member.ingested_at.date()):
            latest[member.subscription_id, member.account_id, member.joined_at] = member
    stays: dict[str, list[Membership]] = {}
    for member in latest.values():
        if member.role == "member":
            stays.setdefault(member.subscription_id, []).append(member)
    return stays


def _row(key: tuple[object, str], held: list[_Entitlement], movement: Movement | None) -> Row:
    described = min(held, key=lambda e: e.preference, default=None)
    rhythm = described.row.rhythm if described else None
    # Who churned at midnight is described by the cells that were left.
    market, plan_kind = (
        (described.market, described.row.plan_kind) if described else _left_cell(movement)
    )  # fmt: skip
    return {
        "snapshot_date": key[0],
        "account_id": key[1],
        "market": market,
        "plan_kind": plan_kind,
        "billing_interval": rhythm[0] if rhythm else None,
        "billing_interval_count": rhythm[1] if rhythm else None,
        "is_subscriber": bool(held),
        "is_payer": any(e.is_payer for e in held),
        "is_member": any(not e.is_payer for e in held),
        "is_paid": any(e.row.standing.is_paid for e in held),
        "is_in_trial": any(e.row.standing.state == "trial" for e in held),
        "is_in_grace": any(e.row.standing.state == "grace" for e in held),
        "is_auto_renew": any(e.is_payer and bool(e.row.standing.auto_renew) for e in held),
        "was_active_at_day_start": any(e.is_active_at_start for e in held),
        "was_active_at_day_end": any(e.is_active_at_end for e in held),
        "was_paying_at_day_start": movement is not None and movement.was_paying,
        "was_paying_at_day_end": movement is not None and movement.is_paying,
        "subscription_count": len({e.row.life.subscription_id for e in held}),
        "mrr_usd_amount": total([e.mrr_usd for e in held]),
        "movement": movement.kind if movement else "none",
        "churn_reason": movement.churn_reason if movement else None,
        "movement_reason": movement.reason if movement else None,
        "movement_usd_amount": movement.mrr_usd if movement else ZERO,
        "fx_usd_amount": movement.fx_usd if movement else ZERO,
        "tenure_days": max((e.row.tenure_days for e in held), default=None),
    }


def _left_cell(movement: Movement | None) -> tuple[str | None, str | None]:
    if movement is None:
        return None, None
    kinds = [kind for _, kind, _, _ in movement.changes if kind is not None]
    return max(market for market, _, _, _ in movement.changes), max(kinds, default=None)
