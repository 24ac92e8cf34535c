"""Why an account has the scores that rules go by: the model that gave each, and what its features added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Final

from loaders.objects.store import ObjectStoreError
from loaders.scoring.artifacts import fetched
from loaders.scoring.features import population_query
from loaders.scoring.scored import scored_by
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import literal
from runs.segment_plan import FEATURES_TABLE
from scoring.artifact import ArtifactError
from scoring.columns import encoded
from scoring.contributions import Reasons, reasons_of
from scoring.registry import ModelDecision
from scoring.training_examples import as_learned
from segments.evaluator import Row
from segments.steps import POINTS
from segue.settings import Settings

_FROM_ELSEWHERE: Final = "it is not of the model that scored on that day: no reasons are known"


@dataclass(frozen=True)
class ScoreReasons:
    """One score of an account, and what it is made of."""

    model: str
    scored_date: date
    score: float
    """As rules have it."""
    version: int | None
    """Of the model that scored the day under this name; None: the score came from elsewhere."""
    reasons: Reasons | None
    why_not: str | None = None
    """Where there are no reasons."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = asdict(self)
        reasons = found.pop("reasons")
        if reasons is not None:
            # The model's own: of an uplift in [-1, 1], where rules have it in [0, 1].
            reasons["model_score"] = reasons.pop("score")
        return found | (reasons or {"raw_score": None})


def score_reasons(settings: Settings, row: Row) -> list[ScoreReasons]:
    """Of every score in the account's row of features, by name; ``row`` is one of ``fct_account_features``.

    A model that cannot be read gives no reasons, and says why.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    return list(_found(settings, row))


def _found(settings: Settings, row: Row) -> Iterator[ScoreReasons]:
    warehouse = warehouse_of(settings)
    for given in sorted(row["model_scores"] or (), key=lambda each: str(each["model"])):
        name, day, points = given["model"], given["scored_date"], given["score_points"]
        found = ScoreReasons(name, day, points / POINTS, None, None, _FROM_ELSEWHERE)
        decision = scored_by(warehouse, day).get(name)
        if decision is not None:
            found = replace(found, version=decision.version)
            try:
                reasons = _reasons(settings, decision, row["account_id"], day, points)
            except (ArtifactError, ObjectStoreError) as error:
                found = replace(found, why_not=str(error))
            else:
                found = replace(found, reasons=reasons, why_not=None if reasons else _FROM_ELSEWHERE)
        yield found


def _reasons(
    settings: Settings, decision: ModelDecision, account_id: str, day: date, points: int
) -> Reasons | None:
    """What the model goes by; None where the score is not its own."""
    warehouse = warehouse_of(settings)
    trained = fetched(settings, decision)
    marts = warehouse.table(settings.marts_dataset, FEATURES_TABLE)
    rows = warehouse.fetch_arrow(
        f"select * from ({population_query(trained.declaration, marts, [day])}) as population "
        f"where account_id = {literal(account_id)}"
    )
    if not rows.num_rows:
        return None
    matrix = encoded(as_learned(rows), trained.model.features, f"{decision.model} on {day}")
    if abs(float(trained.model.shares(matrix)[0]) * POINTS - points) > 1:
        return None
    [reasons] = reasons_of(trained.model, matrix)
    return reasons
