"""How fast accounts are scored, from pages of the Storage API to a file in the landing, on one core, against
LightGBM's own predict on the same matrix in the same process, by turns.

What BigQuery takes to write and send the pages is not measured: they are made up beforehand, and read as
Arrow messages, as they come.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import lightgbm
import numpy as np
import pyarrow as pa

from loaders.objects.folder import FolderStore
from loaders.scoring.scores import DayOfScores, score_batches, write_scores
from scoring.columns import Feature, encoded
from scoring.model import PARAMETERS, Model, Trees

DAY: Final = date(2026, 1, 31)
TREES: Final = 100
_PAGE_ROWS: Final = 20_000
_SEED: Final = 7
_MARKETS: Final = ("BR", "DE", "ES", "FR", "GB", "IN", "JP", "SE", "US")
FEATURES: Final = (
    Feature(name="market", kind="category", categories=_MARKETS),
    Feature(name="plan_kind", kind="category", categories=("duo", "family", "individual", "student")),
    *(
        Feature(name=name, kind="number")
        for name in (
            "tenure_days", "streams_28d", "active_days_28d", "ad_ms_28d", "skips_blocked_28d",
            "subscription_count", "seats_taken", "failed_payments_28d", "subscription_tenure_days",
            "is_in_grace", "is_auto_renew", "has_cancelled",
        )
    ),
)  # fmt: skip
"""About as many as churn_risk has, two of them texts."""


@dataclass(frozen=True)
class Memory:
    """A day scored in a process of its own."""

    accounts: int
    peak_mb: float
    seconds: float


@dataclass(frozen=True)
class ScoreReport:
    """Accounts a second on one core; ``share_of_predict`` is the median of the rounds' ratios."""

    accounts: int
    trees: int
    features: int
    rounds: int
    accounts_per_second: int
    predict_per_second: int
    share_of_predict: float
    memory: list[Memory]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench_score(accounts: int = 200_000, rounds: int = 5, memory_accounts: Sequence[int] = ()) -> ScoreReport:
    """Score made-up accounts, and have LightGBM alone predict them; ``memory_accounts`` are days to measure.

    Raises:
        CalledProcessError: a day could not be scored in a process of its own.
    """
    model = made_up_model()
    matrix = encoded(pa.Table.from_batches(list(pages(accounts))), model.features, "made up")
    booster = lightgbm.Booster(model_str=model.trees["model"].text)
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(rounds + 1):
        ways = (
            (ours, lambda: _score(model, accounts)),
            (bare, lambda: booster.predict(matrix, num_threads=1)),
        )
        for seconds, way in ways if turn % 2 else reversed(ways):
            started = time.perf_counter()
            way()
            if turn:  # the first round warms up
                seconds.append(time.perf_counter() - started)
    return ScoreReport(
        accounts,
        model.trees["model"].count,
        len(model.features),
        rounds,
        round(accounts / median(ours)),
        round(accounts / median(bare)),
        round(median(fast / slow for fast, slow in zip(bare, ours, strict=True)), 2),
        [_alone(size) for size in memory_accounts],
    )


def made_up_model() -> Model:
    """Trees as many and as large as a trained model's."""
    table = pa.Table.from_batches([_page(0, 20_000)])
    matrix = encoded(table, FEATURES, "made up")
    draw = np.random.default_rng(_SEED)
    outcomes = draw.random(len(matrix)) < 1 / (1 + np.exp(2 - matrix[:, 4] / 10 + matrix[:, 0] / 8))
    data = lightgbm.Dataset(matrix, outcomes, categorical_feature=[0, 1], params=PARAMETERS)
    return Model(
        FEATURES,
        {"model": Trees(lightgbm.train(PARAMETERS | {"num_iterations": TREES}, data).model_to_string())},
    )


def pages(accounts: int) -> Iterator[pa.RecordBatch]:
    """The population in pages, as the Storage API sends them; memory holds one."""
    message = _page(0, _PAGE_ROWS).serialize()
    schema = _page(0, 1).schema
    for start in range(0, accounts, _PAGE_ROWS):
        page = pa.ipc.read_record_batch(message, schema)
        yield page.slice(0, min(_PAGE_ROWS, accounts - start))


def _page(first: int, rows: int) -> pa.RecordBatch:
    draw = np.random.default_rng(_SEED)
    columns: dict[str, pa.Array] = {
        "account_id": pa.array([f"account-{number:09d}" for number in range(first, first + rows)]),
        "market": pa.array(draw.choice(_MARKETS, rows).tolist()),
        "plan_kind": pa.array(draw.choice(FEATURES[1].categories, rows).tolist()),
    }
    for feature in FEATURES[2:]:
        if feature.name.startswith(("is_", "has_")):
            columns[feature.name] = pa.array(draw.random(rows) < 0.2)
        else:
            values = draw.integers(0, 1_000, rows)
            columns[feature.name] = pa.array(values, mask=draw.random(rows) < 0.05)
    return pa.RecordBatch.from_pydict(columns)


def _score(model: Model, accounts: int) -> None:
    with TemporaryDirectory() as folder:
        predicted = score_batches(model, pages(accounts), "made up", threads=1)
        write_scores(FolderStore(folder), DayOfScores("churn_risk", 1, DAY), predicted, accounts)


def _alone(accounts: int) -> Memory:
    done = subprocess.run(
        [sys.executable, "-m", "local.bench.score", str(accounts)], capture_output=True, text=True, check=True
    )
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def main(accounts: int) -> None:
    """Score one made-up day; prints accounts, peak memory and seconds as JSON."""
    model = made_up_model()
    started = time.perf_counter()
    _score(model, accounts)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"accounts": accounts, "peak_mb": round(peak, 1), "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
