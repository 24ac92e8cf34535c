"""A model tried on an outside file: trained, judged on rows it has not seen, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from scoring.evaluation import Evaluation, evaluate, plain_baselines, predicted
from scoring.examples import examples_of
from scoring.keeping import keep
from scoring.model import train
from scoring.outside_map import OutsideMap


class Trial(Evaluation):
    """What came of it, and where the model is."""

    trees: dict[str, int]
    model: Path

    def to_dict(self) -> dict[str, Any]:
        """What other programs are given."""
        return {
            "rows": self.rows,
            "prevalence": self.prevalence,
            **{name: getattr(self.quality, name) for name in ("auc", "average_precision", "log_loss")},
            "calibration": None if self.calibration is None else self.calibration.model_dump(mode="json"),
            "baselines": {
                name: each.model_dump(mode="json", exclude_none=True) for name, each in self.baselines.items()
            },
            "uplift": None
            if self.uplift is None
            else self.uplift.model_dump(mode="json", include={"qini", "interval", "by_decile"}),
            "model": str(self.model),
        }


def try_model(table: pa.Table, outside: OutsideMap, file: str, folder: Path) -> Trial:
    """Train and judge a model by the map, and keep it below ``folder``.

    The same table and map give the same numbers and the same model, byte for byte.

    Raises:
        OutsideFileError: names the rows and columns of ``file`` that are at fault.
        TreeLibraryError: LightGBM does not load.
        OSError: the folder cannot be written.
    """
    examples = examples_of(table, outside, file)
    model = train(examples, outside.calibration, outside.monotone)
    found = evaluate(examples, predicted(examples, model), plain_baselines(examples))
    return Trial(
        **dict(found),
        trees={name: each.count for name, each in model.trees.items()},
        model=keep(
            folder,
            model,
            examples,
            declared=outside.model_dump(mode="json", by_alias=True),
            metrics=found.model_dump(mode="json", exclude={"rows"}),
        ),
    )
