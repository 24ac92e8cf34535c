"""What somebody has to know of an experiment at once, told one time."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import structlog

from experiments.daily import DayReadout, mismatch_reason
from experiments.decision import metric_reason, ratio_reason
from experiments.declaration import Experiment
from loaders.warehouse.client import Warehouse, warehouse_of
from loaders.warehouse.ops import append_rows, ensure_ops_tables, literal, ops_table
from segue.errors import SegueError
from segue.settings import Settings

log = structlog.get_logger(__name__)


class AlertNotSentError(SegueError):
    """Whoever has to know was not told; the next try tells them."""

    code = "alert_not_sent"
    hint = "SEGUE_ALERT_CALLBACK names module:callable, which takes a dictionary"


@dataclass(frozen=True)
class Alert:
    """A cause for which an experiment must stop, on the first day that shows it."""

    experiment_id: str
    experiment_version: int
    owner: str
    cause: str
    """sample_ratio, variant_mismatch, guardrail:<metric>:<arm> or harm:<metric>:<arm>."""
    detail: str
    day: date

    @property
    def key(self) -> tuple[str, int, str]:
        """An alert is raised once for it, whatever days show it."""
        return self.experiment_id, self.experiment_version, self.cause

    def to_dict(self) -> dict[str, Any]:
        """For whoever is told."""
        return asdict(self) | {"day": self.day.isoformat()}


def causes(experiment: Experiment, found: DayReadout) -> Iterator[Alert]:
    """Why the experiment must stop, as a day shows it; none where it may go on."""

    def alert(cause: str, detail: str) -> Alert:
        return Alert(experiment.id, experiment.version, experiment.owner, cause, detail, found.day)

    design, result = found.design, found.readout
    if found.is_mismatched:
        yield alert("variant_mismatch", mismatch_reason(found.mismatches, result.units))
    if result.sample_ratio.verdict == "block":
        units = {result.control: result.control_units}
        units |= {arm: of_arm.units for arm, of_arm in result.arms.items()}
        yield alert("sample_ratio", ratio_reason(design, units, result.sample_ratio))
    if result.verdict == "blocked":
        # What the numbers say about harm may not be believed.
        return
    for arm, of_arm in result.arms.items():
        for asked in design.metrics:
            metric = of_arm.metrics[asked.name]
            if metric.status == "worse":
                kind = "guardrail" if metric.role == "guardrail" else "harm"
                yield alert(f"{kind}:{asked.name}:{arm}", f"{arm}: {metric_reason(asked, metric)}")


def raise_once(settings: Settings, alerts: Iterable[Alert]) -> list[Alert]:
    """Tell of those that nobody was told of before, and return them: in the order of their days.

    First it is recorded in ``ops.experiment_alerts`` that there is one, and when it is told, that it was: a
    try that is cut off between the two tells again rather than never.

    Raises:
        AlertNotSentError: the callback failed.
        WarehouseError: BigQuery did not answer.
    """
    first: dict[tuple[str, int, str], Alert] = {}
    for alert in sorted(alerts, key=lambda each: each.day):
        first.setdefault(alert.key, alert)
    if not first:
        return []
    warehouse = warehouse_of(settings)
    ensure_ops_tables(warehouse)
    recorded = _recorded(warehouse)
    new = [alert for key, alert in first.items() if key not in recorded]
    _record(warehouse, new)
    raised = [alert for key, alert in first.items() if not recorded.get(key)]
    for alert in raised:
        log.error("experiment_must_stop", **alert.to_dict())
        _tell(settings, alert)
        _told(warehouse, alert)
    return raised


def _recorded(warehouse: Warehouse) -> dict[tuple[str, int, str], bool]:
    """The alerts there were, and whether somebody was told."""
    settings = warehouse.settings
    rows = warehouse.run(
        "select experiment_id, experiment_version, cause, logical_or(told_at is not null) as is_told "
        f"from `{ops_table(settings, 'experiment_alerts')}` "
        f"where run_date >= {literal(settings.history_start_date)} group by 1, 2, 3"
    )
    return {(row.experiment_id, int(row.experiment_version), row.cause): bool(row.is_told) for row in rows}


def _record(warehouse: Warehouse, alerts: Sequence[Alert]) -> None:
    if not alerts:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "run_date": alert.day,
            "experiment_id": alert.experiment_id,
            "experiment_version": alert.experiment_version,
            "owner": alert.owner,
            "cause": alert.cause,
            "detail": alert.detail,
            "raised_at": now,
        }
        for alert in alerts
    ]
    append_rows(warehouse, "experiment_alerts", rows)


def _told(warehouse: Warehouse, alert: Alert) -> None:
    settings = warehouse.settings
    warehouse.run(
        f"update `{ops_table(settings, 'experiment_alerts')}` set told_at = {literal(datetime.now(UTC))} "
        f"where run_date >= {literal(settings.history_start_date)} "
        f"and experiment_id = {literal(alert.experiment_id)} and cause = {literal(alert.cause)} "
        f"and experiment_version = {alert.experiment_version}"
    )


def _tell(settings: Settings, alert: Alert) -> None:
    if settings.alert_callback is None:
        return
    try:
        pkgutil.resolve_name(settings.alert_callback)(alert.to_dict())
    except Exception as error:
        raise AlertNotSentError(
            f"{alert.experiment_id}: {alert.cause}: {settings.alert_callback}: {error}"
        ) from error
