"""Beyond one machine: BigQuery scores a day itself, and exports the scores to where landing reads them.

No account leaves BigQuery but with its score. What the statement needs of its surroundings is in
``docs/scale.md``. https://cloud.google.com/bigquery/docs/exporting-data#export_data_statement
"""

from __future__ import annotations

from loaders.objects.store import ObjectStore
from loaders.scoring.scores import POINTS, DayOfScores, ScoringError, instant, own_files, rows_of
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import literal
from scoring.model import Model
from scoring.sql import shares_query
from segue.errors import SettingsError
from segue.settings import Settings


def score_rows_sql(model: Model, scores: DayOfScores, staged: str) -> str:
    """The day's rows of the landing contract, of the accounts in a staged table (its full name).

    Raises:
        TreesTooLargeError: the statement would be longer than BigQuery takes.
    """
    shares = shares_query(model, staged, f"feature_date = {literal(scores.day)}")
    at = literal(instant(scores.day))
    return (
        f"select {literal(scores.model)} as model, {scores.version} as model_version, account_id, "
        f"cast(cast(round(share * {POINTS}) as int64) as numeric) / {POINTS} as score, "
        f"{at} as scored_at, {at} as ingested_at\nfrom (\n{shares}\n)"
    )


def export_scores(
    settings: Settings,
    warehouse: Warehouse,
    store: ObjectStore,
    model: Model,
    scores: DayOfScores,
    staged: str,
    expected: int,
) -> None:
    """Have BigQuery write the day's scores into the landing, as many files as it likes.

    Those of an earlier try that it has not written over are removed.

    Raises:
        ScoringError: it has written other than ``expected`` scores.
        SettingsError: the landing is no bucket.
        TreesTooLargeError: as ``score_rows_sql``.
        WarehouseError: BigQuery refused the statement or did not end in time.
    """
    if not settings.landing_uri.startswith("gs://"):
        raise SettingsError(
            f"SEGUE_LANDING_URI: BigQuery exports scores to gs://…, not {settings.landing_uri}"
        )
    uri = f"{settings.landing_uri.rstrip('/')}/{scores.files}*.parquet"
    before = own_files(store, scores)
    warehouse.run(
        f"export data options (uri = {literal(uri)}, format = 'PARQUET', overwrite = true) as\n"
        f"{score_rows_sql(model, scores, staged)}"
    )
    now = {(each.name, each.generation) for each in own_files(store, scores)}
    for each in before:
        if (each.name, each.generation) in now:
            store.delete(each.name)
    rows = rows_of(store, scores)
    if rows != expected:
        raise ScoringError(f"{scores.model}: {rows} scores for {expected} accounts of {scores.day}")
