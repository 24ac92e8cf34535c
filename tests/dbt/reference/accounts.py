"""Whose a subscription is on a day, and in which market."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tests.dbt.reference.company import AccountVersion, Window

UNKNOWN_MARKET = "ZZ"


@dataclass(frozen=True)
class Holder:
    """Who an account is on a day, after merges."""

    account_id: str
    market: str = UNKNOWN_MARKET
    is_excluded: bool = False


class Accounts:
    """Account versions as the window's run knows them."""

    def __init__(self, versions: Iterable[AccountVersion], window: Window) -> None:
        self._versions: dict[str, dict[date, AccountVersion]] = {}
        for version in sorted(versions, key=lambda v: v.ingested_at):
            if window.knows(version.arrival_date):
                # Of the deliveries of one day the latest counts.
                self._versions.setdefault(version.account_id, {})[version.arrival_date] = version
        self._holders: dict[tuple[str, date], Holder] = {}

    def on(self, account_id: str, day: date) -> Holder:
        """Who the account is on the day; one that no feed has introduced is itself, in market ZZ."""
        key = account_id, day
        if key not in self._holders:
            self._holders[key] = self._resolve(account_id, day)
        return self._holders[key]

    def _version(self, account_id: str, day: date) -> AccountVersion | None:
        versions = self._versions.get(account_id)
        if not versions:
            return None
        arrived = [arrival for arrival in versions if arrival <= day]
        return versions[max(arrived) if arrived else min(versions)]

    def _resolve(self, account_id: str, day: date) -> Holder:
        version = self._version(account_id, day)
        if version is None:
            return Holder(account_id)
        own = holder = Holder(account_id, version.market, version.is_test or version.is_employee)
        met = {account_id}
        while version is not None and version.merged_into is not None:
            target = version.merged_into
            if target in met:
                # A circle: nobody survives, so nobody was merged.
                return own
            met.add(target)
            version = self._version(target, day)
            holder = Holder(
                target,
                version.market if version else holder.market,
                holder.is_excluded or (version is not None and (version.is_test or version.is_employee)),
            )
        return holder
