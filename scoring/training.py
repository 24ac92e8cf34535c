"""A declared model trained on its examples, judged on the days that were held back, and decided about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.columns import Mask, encoded
from scoring.contest import Contest, contest
from scoring.decision import Verdict, decide
from scoring.declaration import ModelDeclaration
from scoring.declared import rules_of
from scoring.evaluation import (
    LOGISTIC,
    Evaluation,
    Prediction,
    evaluate,
    heuristic_baselines,
    plain_baselines,
    predicted,
)
from scoring.examples import Examples, check_counts
from scoring.keeping import keep
from scoring.leaks import Leak, leaks_of
from scoring.model import Model, train
from scoring.slices import DIVISIONS, divisions_of
from scoring.stability import Measure, calibration_of_matured
from scoring.training_examples import DAY, as_learned, in_order, training_examples_of
from segments.rule import Rule
from segue.outside_file import OutsideFileError


@dataclass(frozen=True)
class Judgement:
    """How a model did on the held-back days, and what follows."""

    evaluation: Evaluation
    contests: tuple[Contest, ...]
    verdict: Verdict
    days: tuple[date, date]
    """First and last feature day that it was judged by."""

    @property
    def metrics(self) -> dict[str, Any]:
        """For the registry."""
        first, last = self.days
        return self.evaluation.model_dump(mode="json") | {
            "contests": [each.model_dump(mode="json") for each in self.contests],
            "judged_by": {"from": first.isoformat(), "to": last.isoformat()},
        }


def first_unseen(judged_to: date, within_days: int) -> date:
    """The first feature day all of whose outcomes lie after those that a judgement has seen.

    ``judged_to``: the last feature day that was judged by, whose outcomes were over ``within_days`` later.
    """
    return judged_to + timedelta(days=within_days)


class Lesson:
    """One model's examples of one training, for whoever is judged by them."""

    def __init__(self, model: ModelDeclaration, table: pa.Table, rules: Iterable[Rule]) -> None:
        """``rules`` are all there are.

        Raises:
            OutsideFileError: there are too few examples, they are not what they are declared to be, or lack
                a column of a rule's heuristic.
        """
        self.declared = model
        self._table = as_learned(in_order(table))
        self.examples: Examples = training_examples_of(self._table, model)
        self._baselines = plain_baselines(self.examples) | heuristic_baselines(
            self.examples, self._table, rules_of(model, rules)
        )
        self._leaks: list[Leak] = leaks_of(
            self.examples.features, self.examples.matrix, self.examples.outcomes
        )

    def train(self) -> Model:
        """The candidate; the same examples give the same bytes.

        Raises:
            TreeLibraryError: LightGBM does not load.
        """
        declared = self.declared
        bounds = declared.algorithm.model_dump()
        monotone = {str(name): direction for name, direction in declared.monotone.items()}
        return train(self.examples, declared.calibration, monotone, bounds)

    def judge(
        self,
        model: Model,
        rivals: Mapping[str, Model],
        shadow_days: int | None = None,
    ) -> Judgement:
        """The model against the baselines that it has to beat, and against other models.

        The prevalence and the rules' heuristics have to be beaten; a logistic regression is only shown.

        A rival of another kind, or that asks for a column that the examples lack, cannot be beaten.

        Raises:
            OutsideFileError: the model itself is of another kind, or asks for a column that is not there.
        """
        examples, held_out = self.examples, self.examples.held_out
        outcomes, units = examples.outcomes[held_out], examples.units
        is_treated = None if examples.is_treated is None else examples.is_treated[held_out]
        mine = self._predicted(model)
        asked = {name: each for name, each in self._baselines.items() if name != LOGISTIC}
        incomparable = []
        for name, rival in rivals.items():
            try:
                asked[name] = self._predicted(rival)
            except OutsideFileError as error:
                incomparable.append(f"cannot be compared with {name}: {error}")
        contests = tuple(
            contest(name, mine, each, outcomes, is_treated, None if units is None else units[held_out])
            for name, each in asked.items()
        )
        evaluation = evaluate(examples, mine, self._baselines)
        events = int(examples.outcomes.sum())
        verdict = decide(self.declared, evaluation, events, self._leaks, contests, shadow_days)
        if incomparable:
            verdict = Verdict("refused", (*incomparable, *verdict.reasons))
        return Judgement(evaluation, contests, verdict, self._days(held_out))

    def after(self, judged_to: date) -> Lesson:
        """The same examples for who was judged before, by held-back days up to ``judged_to``.

        It is judged by outcomes alone that nobody knew then: those that it was chosen by speak for it, be it
        better or lucky.

        Raises:
            OutsideFileError: there are none yet, or too few of an outcome or arm.
        """
        first, whole = first_unseen(judged_to, self.declared.target.within_days), self.examples
        is_later = np.asarray(pc.greater_equal(self._table.column(DAY), pa.scalar(first, pa.date32())))
        held_out = whole.held_out & is_later
        check_counts(
            whole.outcomes,
            whole.is_treated,
            held_out,
            f"the held-back days from {first} on, whose outcomes no judgement of it has seen",
            f"examples of {self.declared.name}",
        )
        later = copy(self)
        later.examples = replace(whole, held_out=held_out)
        later._baselines = {name: each.of(held_out[whole.held_out]) for name, each in self._baselines.items()}
        return later

    def matured(self, model: Model) -> list[Measure]:
        """Whether what a model says of the held-back days came true; empty of an uplift, and of few events.

        Raises:
            OutsideFileError: the model is of another kind than the examples, or asks for a column that they
                lack.
        """
        if self.declared.kind == "uplift":
            return []
        outcomes = self.examples.outcomes[self.examples.held_out]
        return calibration_of_matured(self._predicted(model).probabilities, outcomes)

    def keep(self, folder: Path, model: Model, judgement: Judgement, day: date) -> Path:
        """Write the model below ``folder``; ``day`` is the last whose data it may have seen.

        Raises:
            OSError: the folder cannot be written.
        """
        return keep(
            folder,
            model,
            self.examples,
            declared=self.declared.model_dump(mode="json", by_alias=True),
            # Without the contests: which models were there is no part of what it has learned.
            metrics=judgement.evaluation.model_dump(mode="json"),
            window={"as_of": day.isoformat(), **self._window()},
            divisions=self._divisions(),
        )

    def _predicted(self, model: Model) -> Prediction:
        if model.is_uplift != (self.declared.kind == "uplift"):
            kind = "an uplift" if model.is_uplift else "a propensity"
            raise OutsideFileError(f"examples of {self.declared.name}", f"{kind} says nothing of them")
        matrix = None
        if model.features != self.examples.features:
            # Categories are numbered by what each has learned from.
            table = self._table.filter(pa.array(self.examples.held_out))
            matrix = encoded(table, model.features, f"examples of {self.declared.name}")
        return predicted(self.examples, model, matrix)

    def _divisions(self) -> dict[str, Sequence[str | None]]:
        """The parts that quality is told of, of the held-out rows, as far as the examples tell them."""
        table = self._table.filter(pa.array(self.examples.held_out))
        known = [column for column in DIVISIONS.values() if column in table.column_names]
        return divisions_of({column: table.column(column).to_pylist() for column in known})

    def _window(self) -> dict[str, str]:
        learned = self._days(self.examples.learning | self.examples.stopping)
        held_back = self._days(self.examples.held_out)
        return {
            "learned_from": learned[0].isoformat(),
            "learned_to": learned[1].isoformat(),
            "held_back_from": held_back[0].isoformat(),
            "held_back_to": held_back[1].isoformat(),
        }

    def _days(self, rows: Mask) -> tuple[date, date]:
        """First and last feature day of some rows."""
        found = pc.min_max(self._table.column(DAY).filter(pa.array(rows))).as_py()
        return found["min"], found["max"]
