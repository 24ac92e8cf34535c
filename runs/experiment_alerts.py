"""What somebody has to know of an experiment at once, told one time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from experiments.daily import DayReadout, mismatch_reason
from experiments.decision import metric_reason, ratio_reason
from experiments.declaration import Experiment
from loaders.warehouse.incidents import Incident
from runs.incidents import close_incidents, raise_incidents, still_served
from segue.settings import Settings


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
    def key(self) -> str:
        """The incident's cause: it is told once, whatever days show it."""
        return f"{_of(self.experiment_id, self.experiment_version)}{self.cause}"


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

    Raises:
        AlertNotSentError: a channel did not take one; the next try tells what was not told.
        WarehouseError: BigQuery did not answer.
    """
    first: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda each: each.day):
        first.setdefault(alert.key, alert)
    if not first:
        return []
    served, now = still_served(settings), datetime.now(UTC)
    incidents = [
        Incident(
            day=alert.day,
            cause=alert.key,
            what=f"{alert.experiment_id} must stop: {alert.detail}",
            since=now,
            ends_with="stopped",
            runbook="experiment_must_stop",
            owner=alert.owner,
            still_served=served,
            is_once=True,
        )
        for alert in first.values()
    ]
    return [first[told.cause] for told in raise_incidents(settings, incidents) if told.cause in first]


def close_stopped(settings: Settings, running: Collection[Experiment]) -> None:
    """Close what was told of experiments that expose nobody any more, however long they are still read.

    Raises:
        AlertNotSentError, WarehouseError: as ``close_incidents``.
    """
    still = tuple(_of(each.id, each.version) for each in running)
    close_incidents(
        settings, "stopped", "it exposes nobody any more", lambda each: not each.cause.startswith(still)
    )


def _of(experiment_id: str, version: int) -> str:
    return f"experiment:{experiment_id}:v{version}:"
