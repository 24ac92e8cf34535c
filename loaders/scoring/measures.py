"""Whether models still hold, in ``ops.model_measures``; why scores are so, in ``ops.score_contributions``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from google.cloud import bigquery

from loaders.warehouse.client import Warehouse
from loaders.warehouse.erasures import ErasedSubjects
from loaders.warehouse.ops import append_rows, ensure_ops_tables, literal, ops_table
from scoring.contributions import Reasons
from scoring.registry import ModelDecision
from scoring.stability import DayMeasures, Measure

MEASURES: Final = "model_measures"
CONTRIBUTIONS: Final = "score_contributions"
NEWEST_DAYS: Final = 7
"""A measure that is older says nothing of today."""


def replace_measures(
    warehouse: Warehouse, decision: ModelDecision, day: date, measures: Sequence[Measure]
) -> None:
    """Make ``measures`` what is known of their kinds for a trained model on a day.

    Raises:
        WarehouseError: BigQuery refused.
    """
    kinds = literal(sorted({each.measure for each in measures}))
    now = datetime.now(UTC).isoformat()
    rows = [
        {
            **_of(decision, day),
            **each.model_dump(mode="json", exclude={"rows"}),
            "level": each.level,
            "accounts": each.rows,
            "measured_at": now,
        }
        for each in measures
    ]
    if rows:
        _replace(warehouse, MEASURES, decision, day, rows, f" and measure in unnest({kinds})")


def replace_contributions(
    warehouse: Warehouse,
    decision: ModelDecision,
    day: date,
    reasons: Iterable[tuple[str, Reasons]],
    read_at: datetime,
) -> None:
    """Make these, by account, the day's sample of a trained model.

    ``read_at`` is the ``reading_time`` before the accounts were read: who was erased since is taken out.
    Whoever is erased later, the erasure itself finds here.

    Raises:
        WarehouseError: BigQuery refused.
    """
    now = datetime.now(UTC).isoformat()
    rows = [
        {**_of(decision, day), "account_id": account, **row, "made_at": now}
        for account, found in reasons
        for row in _rows(found)
    ]
    _replace(warehouse, CONTRIBUTIONS, decision, day, rows)
    erased = ErasedSubjects.read(warehouse, read_at)
    gone = sorted({each for row in rows if erased.names("account", each := row["account_id"])})
    if gone:
        warehouse.run(
            f"delete from `{ops_table(warehouse.settings, CONTRIBUTIONS)}` where run_date = {literal(day)} "
            "and account_id in unnest(@gone)",
            parameters=[bigquery.ArrayQueryParameter("gone", "STRING", gone)],
        )


def _rows(reasons: Reasons) -> Iterator[Mapping[str, Any]]:
    shared = {"score": reasons.score, "raw_score": reasons.raw_score, "base": reasons.base}
    for place, each in enumerate(reasons.top, 1):
        value = None if each.value is None else str(each.value)
        yield shared | {
            "place": place, "feature": each.feature, "value": value, "contribution": each.contribution,
        }  # fmt: skip
    yield shared | {"place": 0, "feature": None, "value": None, "contribution": reasons.rest}


def measures_by_day(warehouse: Warehouse, artifact: str, first: date, last: date) -> list[DayMeasures]:
    """What was measured of a trained model on the days, the oldest first; days without are left out.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    table = ops_table(warehouse.settings, MEASURES)
    if warehouse.find_table(table) is None:
        return []
    rows = warehouse.run(
        "select run_date, measure, subject, value, warn_above, critical_above, trained, found, accounts "
        f"from `{table}` where run_date between {literal(first)} and {literal(last)} "
        f"and artifact = {literal(artifact)} order by run_date, measure desc, subject"
    )
    found: dict[date, list[Measure]] = {}
    for row in rows:
        found.setdefault(row.run_date, []).append(
            Measure(
                measure=row.measure,
                subject=row.subject,
                value=row.value,
                warn_above=row.warn_above,
                critical_above=row.critical_above,
                rows=row.accounts,
                trained=row.trained,
                found=row.found,
            )
        )
    return [DayMeasures(day, tuple(measures)) for day, measures in found.items()]


def newest_measures(warehouse: Warehouse, artifact: str, day: date) -> list[Measure]:
    """Of each kind and subject the newest up to ``day``, ``NEWEST_DAYS`` old at most.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    since = day - timedelta(days=NEWEST_DAYS - 1)
    newest = {
        (each.measure, each.subject): each
        for known in measures_by_day(warehouse, artifact, since, day)
        for each in known.measures
    }
    return list(newest.values())


def _of(decision: ModelDecision, day: date) -> dict[str, Any]:
    return {
        "run_date": day,
        "model_name": decision.model,
        "model_version": decision.version,
        "artifact": decision.artifact,
    }


def _replace(
    warehouse: Warehouse,
    table: str,
    decision: ModelDecision,
    day: date,
    rows: Sequence[Mapping[str, Any]],
    further: str = "",
) -> None:
    # Rows come by a load job: their number has no place in a statement, so this is no transaction. A try that
    # is cut off in between is made again.
    ensure_ops_tables(warehouse)
    warehouse.run(
        f"delete from `{ops_table(warehouse.settings, table)}` where run_date = {literal(day)} "
        f"and artifact = {literal(decision.artifact)}{further}"
    )
    append_rows(warehouse, table, rows)
