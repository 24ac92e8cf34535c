"""Who was exposed to which experiment, walked account by account, without SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

Row = dict[str, Any]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Arms:
    """An experiment as the walk knows it; ``upto`` gives for each arm the bucket at which the next begins."""

    id: str
    version: int
    salt: str
    control: str
    upto: Mapping[str, int]
    start: date
    end: date
    rule: str | None

    def drawn(self, account_id: str) -> str:
        """The arm of an account."""
        bucket = int(sha256(f"{account_id}:{self.salt}".encode()).hexdigest()[:12], 16) % 10_000
        return next(arm for arm, end in self.upto.items() if bucket < end)


@dataclass(frozen=True, repr=False)
class Log:
    """What the models are given; rows have the models' column names."""

    impressions: Sequence[Row] = ()
    decisions: Sequence[Row] = ()
    takings: Sequence[Row] = ()
    survivors: Mapping[str, str] = field(default_factory=dict)
    """Account → account that it was merged into, if any."""
    set_apart: frozenset[str] = frozenset()
    """Test accounts."""
    markets: Mapping[str, str] = field(default_factory=dict)
    """Market of each known account."""

    def __repr__(self) -> str:
        return f"Log of {len(self.impressions)} impressions and {len(self.decisions)} decisions"


def exposures(experiments: Iterable[Arms], log: Log, as_of: date) -> list[Row]:
    """One row per experiment and account."""
    return [row for each in experiments for row in _of(each, log, as_of)]


def _of(experiment: Arms, log: Log, as_of: date) -> Iterable[Row]:
    logged, decided = list(_logged(experiment, log, as_of)), list(_decided(experiment, log))
    controls = [each["is_shown"] for each in logged if each["variant"] == experiment.control]
    is_standing = experiment.id.startswith("holdout-")
    of_surface = experiment.rule is None and not is_standing
    no_control_is_held_back = bool(decided) and not any(each["is_held_back"] for each in decided)
    by_surface = of_surface or False in controls or (bool(controls) and no_control_is_held_back)
    seen: dict[str, list[Row]] = defaultdict(list)
    for each in logged if by_surface else decided:
        seen[each["account_id"]].append(each)
    for account_id, touches in seen.items():
        first = min(touches, key=lambda touch: (touch["exposed_at"], touch["tie"]))
        drawn = experiment.drawn(account_id)
        reason, excluded_at = _exclusion(experiment, log, account_id, first, touches)
        yield {
            "exposure_date": first["exposed_at"].date(),
            "experiment_id": experiment.id,
            "experiment_version": experiment.version,
            "account_id": account_id,
            "variant": first["variant"],
            "is_control": first["variant"] == experiment.control,
            "exposed_at": first["exposed_at"],
            "exposure_source": "surface" if by_surface else "decision",
            "exposures": len(touches),
            "surface": first["surface"],
            "market": first["market"],
            "rule_id": first["rule_id"],
            "decision_id": first["decision_id"],
            "generation": first["generation"],
            "hashed_variant": drawn,
            "is_variant_mismatch": drawn != first["variant"],
            "exclusion_reason": reason,
            "is_excluded": reason is not None,
            "excluded_at": excluded_at,
        }


def _exclusion(
    experiment: Arms, log: Log, account_id: str, first: Row, touches: Sequence[Row]
) -> tuple[str | None, datetime | None]:
    """Why the account is no unit, and from when on that is known."""
    if first["variant"] not in experiment.upto:
        return "unknown_variant", first["exposed_at"]
    for taking in log.takings:
        who = log.survivors.get(taking["account_id"], taking["account_id"])
        if who == account_id and taking["offer_id"] == first["offer_id"]:
            began = datetime.combine(experiment.start, time(), UTC)
            if began <= taking["occurred_at"] < first["exposed_at"]:
                return "converted_before", first["exposed_at"]
    crossings = [touch["exposed_at"] for touch in touches if touch["variant"] != first["variant"]]
    return ("two_variants", min(crossings)) if crossings else (None, None)


def _logged(experiment: Arms, log: Log, as_of: date) -> Iterable[Row]:
    heard: set[str] = set()
    for row in sorted(log.impressions, key=lambda each: each["arrival_date"]):
        if row["impression_id"] in heard:
            continue
        heard.add(row["impression_id"])
        account_id = log.survivors.get(row["account_id"], row["account_id"])
        on = row["occurred_at"].date()
        if (
            row["experiment_id"] == experiment.id
            and experiment.start <= on <= min(experiment.end, as_of)
            and account_id in log.markets
            and account_id not in log.set_apart
        ):
            yield row | {
                "account_id": account_id,
                "variant": row["variant"] or "none",
                "exposed_at": row["occurred_at"],
                "tie": row["impression_id"],
                "market": log.markets[account_id],
            }


def _decided(experiment: Arms, log: Log) -> Iterable[Row]:
    for row in log.decisions:
        served = row["decision_date"] + DAY
        if row["experiment_id"] == experiment.id and experiment.start <= served <= experiment.end:
            yield row | {
                "exposed_at": datetime.combine(served, time(), UTC),
                "tie": row["decision_date"].isoformat(),
                "surface": None,
                "decision_id": None,
                "generation": None,
            }
