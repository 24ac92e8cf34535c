"""What there is: every mart with whose it is, how fresh it is, and what its last days were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from loaders.warehouse.dbt_models import DbtModel, DbtProject
from loaders.warehouse.ops import OF_MARTS, literal
from runs.published import WHOLE
from segue.window import DAY
from ui.history import newest_day
from ui.reading import Reading, Row

DAYS_SHOWN = 14


@dataclass(frozen=True)
class MartDay:
    """A day of a mart as it was last published; of one that is published whole, the day it is known as of."""

    day: date
    row_count: int
    published_at: datetime
    is_final: bool
    attempt: str | None


@dataclass(frozen=True)
class Checks:
    """What the gate found about a mart in the run of a day."""

    run_date: date
    checks: int
    critical: int
    warnings: int


@dataclass(frozen=True)
class Entry:
    """A mart in the catalogue; ``days`` and ``checks`` begin with the newest."""

    model: DbtModel
    days: Sequence[MartDay] = ()
    checks: Sequence[Checks] = ()

    @property
    def newest(self) -> MartDay | None:
        """Its freshest day; None before it is published."""
        return self.days[0] if self.days else None

    @property
    def is_whole(self) -> bool:
        """Whether every run publishes all of it, as it is known then, instead of days."""
        return bool(self.model.meta.get("published") == "whole")

    @property
    def in_short(self) -> str:
        """The first sentence of its description."""
        sentence, dot, _ = " ".join(self.model.description.split()).partition(". ")
        return sentence + dot.strip()


def entries(reading: Reading, project: DbtProject, mart: str | None = None) -> list[Entry]:
    """Every published mart, or one, by subject and name.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    newest = newest_day(reading)
    found: Mapping[str, list[Row]] = {"days": [], "checks": []}
    if newest is not None:
        since = newest - (DAYS_SHOWN - 1) * DAY
        whole = f"partition_date = {literal(WHOLE)}"
        day = f"if({whole}, as_of_date, partition_date)"
        found = reading.together(
            {
                "days": lambda: reading.ops(
                    f"select mart, {day} as day, row_count, published_at, is_final, attempt "
                    f"from {{publications}} where run_date >= {literal(since)} "
                    f"and (partition_date between {literal(since)} and {literal(newest)} or {whole}) "
                    f"and {OF_MARTS} qualify row_number() over "
                    f"(partition by mart, {day} order by published_at desc) = 1",
                    "publications",
                ),
                "checks": lambda: reading.ops(_CHECKS.format(since=literal(since)), "validation_results"),
            }
        )
    marts = [
        model
        for model in project.models.values()
        if model.is_published and model.layer == "marts" and mart in (None, model.name)
    ]
    return [
        Entry(model, _days(model.name, found["days"]), _checks(model.name, found["checks"]))
        for model in sorted(marts, key=lambda model: (model.subject, model.name))
    ]


_CHECKS = """
with judged as (
  select
    model,
    run_date,
    validation_id,
    max(validated_at) as validated_at,
    count(*) as checks,
    cast(countif(not success and severity = 'critical') as int64) as critical,
    cast(countif(not success and severity <> 'critical') as int64) as warnings
  from {{validation_results}}
  where run_date >= {since}
  group by 1, 2, 3
)
select model, run_date, checks, critical, warnings
from judged
qualify row_number() over (partition by model, run_date order by validated_at desc) = 1
"""


def _days(mart: str, rows: Sequence[Row]) -> list[MartDay]:
    days = [
        MartDay(row["day"], row["row_count"], row["published_at"], row["is_final"], row["attempt"])
        for row in rows
        if row["mart"] == mart
    ]
    return sorted(days, key=lambda each: each.day, reverse=True)


def _checks(mart: str, rows: Sequence[Row]) -> list[Checks]:
    checks = [
        Checks(row["run_date"], row["checks"], row["critical"], row["warnings"])
        for row in rows
        if row["model"] == mart
    ]
    return sorted(checks, key=lambda each: each.run_date, reverse=True)
