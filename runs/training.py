"""Declared models trained as of a day: what is decided about each of them lands in ``ops.model_registry``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import structlog

from loaders.scoring.artifacts import fetched, keep
from loaders.scoring.examples import kept, read_examples
from loaders.scoring.measures import replace_measures
from loaders.scoring.registry import decisions, record
from loaders.scoring.scored import shadow_days
from loaders.warehouse.client import warehouse_of
from runs.model_drift import against_use
from runs.training_examples import TrainingError, training_examples
from scoring.artifact import ArtifactError
from scoring.decision import IN_SHADOW, IN_USE, Verdict, blocked, days_in_shadow
from scoring.declaration import ModelDeclaration
from scoring.declared import MODELS_DIR, load_models
from scoring.model import Model
from scoring.registry import NOTHING, DecisionKind, ModelDecision, ModelState, states
from scoring.training import Judgement, Lesson, first_unseen
from segments.source import load_rules
from segue.errors import SegueError
from segue.outside_file import OutsideFileError
from segue.redaction import redacted
from segue.settings import Settings

log = structlog.get_logger(__name__)


class UnknownModelError(SegueError):
    """No model is declared, or trained, by this name."""

    code = "unknown_model"
    exit_code = 3
    is_final = True


def declared_models(settings: Settings, names: Sequence[str] = ()) -> dict[str, ModelDeclaration]:
    """The code's models, or those of ``SEGUE_MODELS_DIR``; all, or those that are named.

    Raises:
        DeclarationsError: the files have mistakes.
        UnknownModelError: a name is not declared.
    """
    models = load_models(settings.models_dir or MODELS_DIR)
    for name in names:
        if name not in models:
            raise UnknownModelError(f"{name} is not declared; there are {', '.join(models)}")
    return {name: each for name, each in models.items() if not names or name in names}


def due(settings: Settings, day: date, models: dict[str, ModelDeclaration]) -> dict[str, ModelDeclaration]:
    """The models that were last trained ``refresh_days`` or longer before ``day``, and those never trained.

    Also one with a candidate whose days in shadow are over, when there are outcomes that it was not judged by
    yet: it is judged by the examples of the day. None that was retired: somebody has to name it.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    known = decisions(warehouse, day)
    on_day = states(known, day)
    in_shadow = shadow_days(warehouse, on_day, day)
    found = {}
    for name, model in models.items():
        days = [each.day for each in known if each.model == name and each.decision == "trained"]
        if name in on_day and on_day[name].is_retired:
            continue
        shadow = on_day[name].in_shadow if name in on_day else None
        is_settled = (
            shadow is not None
            and in_shadow[name] >= model.shadow_days
            # Of every training the newest outcomes are as old.
            and day >= first_unseen(shadow.day, model.target.within_days)
        )
        if is_settled or not days or (day - max(days)).days >= model.training.refresh_days:
            found[name] = model
    return found


def train_models(
    settings: Settings, day: date, names: Sequence[str] = (), decided_by: str = "train_models"
) -> list[ModelDecision]:
    """Train the models that are named, or those that are due, by what is known at the end of ``day``.

    Where one cannot be trained, the others are all the same.

    Raises:
        TrainingError: the day is not published; or names the models that could not be trained.
        BuildError: the examples could not be built.
        WarehouseError: BigQuery did not answer.
    """
    models = declared_models(settings, names)
    if not names:
        models = due(settings, day, models)
    if not models:
        return []
    warehouse = warehouse_of(settings)
    with training_examples(settings, day, models) as table:

        def examples(model: ModelDeclaration) -> pa.Table:
            return kept(read_examples(warehouse, table, model))

        return train_each(settings, day, models.values(), examples, decided_by)


def train_each(
    settings: Settings,
    day: date,
    models: Iterable[ModelDeclaration],
    examples: Callable[[ModelDeclaration], pa.Table],
    decided_by: str,
) -> list[ModelDecision]:
    """``train_on`` for one model after the other; ``examples`` gives a model's, when it is its turn.

    Raises:
        TrainingError: names the models that could not be trained; all others are.
    """
    found: list[ModelDecision] = []
    failures = []
    for model in models:
        try:
            found += train_on(settings, day, model, examples(model), decided_by)
        except SegueError as error:
            reason = redacted(str(error))
            log.error("model_not_trained", model=model.name, code=error.code, reason=reason)
            failures.append(f"{model.name}: {error.code}: {reason}")
    if failures:
        raise TrainingError("\n".join(failures))
    return found


def train_on(
    settings: Settings, day: date, model: ModelDeclaration, examples: pa.Table, decided_by: str
) -> list[ModelDecision]:
    """Train a model on its examples of ``day``, judge it and who is in shadow, and record what follows.

    First a candidate whose days in shadow are over is promoted or refused. Then a new one is trained. A
    second time the same examples decide nothing more: they give the same bytes, which are known. Of a day
    before another decision there is a model and no more: what was in use since then stays what it was.

    Raises:
        ArtifactError: the model in use or in shadow cannot be read; nothing may take its place unseen.
        ObjectStoreError: models cannot be kept or read.
        WarehouseError: BigQuery did not answer.
    """
    warehouse = warehouse_of(settings)
    known = decisions(warehouse, date.max, model.name)
    with TemporaryDirectory() as folder:
        training = _Training(settings, day, model, decided_by, Path(folder), known)
        found = training.decided(examples)
    record(warehouse, found)
    for each in found:
        log.info("model_decided", model=each.model, decision=each.decision, reasons=list(each.reasons))
    return found


@dataclass
class _Training:
    settings: Settings
    day: date
    model: ModelDeclaration
    decided_by: str
    folder: Path
    known: list[ModelDecision]
    """All about the model, of later days too."""

    def decided(self, examples: pa.Table) -> list[ModelDecision]:
        """What follows from the examples, in its order."""
        try:
            lesson = Lesson(self.model, examples, load_rules().rules)
        except OutsideFileError as error:
            reason = redacted(str(error))
            if any(each.day == self.day and each.reasons == (reason,) for each in self.known):
                return []
            return [self._decision("refused", "", "", (reason,))]
        self._measure(lesson)
        settled = self._settled(lesson)
        return self._in_order([*settled, *self._trained(lesson, settled)])

    def _measure(self, lesson: Lesson) -> None:
        """Keep whether what the models that score say came true, on days that are over."""
        state, asked = self._state([]), (self.model.target, self.model.population)
        for decision in (state.in_use, state.in_shadow):
            if decision is None:
                continue
            try:
                trained = fetched(self.settings, decision)
                if (trained.declaration.target, trained.declaration.population) != asked:
                    # It was never about these outcomes, or these accounts.
                    continue
                measures = lesson.matured(trained.model)
            except (ArtifactError, OutsideFileError) as error:
                log.warning("model_not_measured", model=decision.model, reason=redacted(str(error)))
                continue
            replace_measures(warehouse_of(self.settings), decision, self.day, measures)

    def _settled(self, lesson: Lesson) -> list[ModelDecision]:
        """What becomes of the candidate in shadow; nothing while its days are not over.

        By an older version's candidate a newer version is not judged: it learned from other rows.
        """
        state = self._state([])
        shadow = state.in_shadow
        if shadow is None or self._is_overtaken:
            return []
        if shadow.version != self.model.version:
            versions = f"version {shadow.version} of its declaration, which is {self.model.version} now"
            return [self._about(shadow, "refused", (f"was trained by {versions}",))]
        days = shadow_days(warehouse_of(self.settings), {self.model.name: state}, self.day)[self.model.name]
        if days < self.model.shadow_days:
            return []
        judged, verdict = self._judged_again(lesson, shadow, state.in_use, days)
        if any((each.day, each.reasons) == (self.day, verdict.reasons) for each in self.known):
            return []
        return [self._about(shadow, verdict.decision, verdict.reasons, judged)]

    def _judged_again(
        self, lesson: Lesson, shadow: ModelDecision, used: ModelDecision | None, days: int
    ) -> tuple[Judgement | None, Verdict]:
        """By outcomes that were not over when it was put into shadow; while there are too few, it stays."""
        trained = fetched(self.settings, shadow)
        try:
            later = lesson.after(date.fromisoformat(trained.description.window["held_back_to"]))
        except OutsideFileError as error:
            return None, Verdict(
                "shadow", (days_in_shadow(self.model, days), f"waits for {redacted(str(error))}")
            )
        rivals = {} if used is None else {IN_USE: self._fetched(used)}
        judged = later.judge(trained.model, rivals, days)
        return judged, self._unless_drifted(judged.verdict, shadow)

    def _unless_drifted(self, verdict: Verdict, about: ModelDecision) -> Verdict:
        """Nothing is put into use while its drift is critical, or nobody knows it."""
        if verdict.decision != "promoted":
            return verdict
        return blocked(verdict, against_use(self.settings, about, self.day))

    def _trained(self, lesson: Lesson, settled: list[ModelDecision]) -> list[ModelDecision]:
        state = self._state(settled)
        scoring = {IN_USE: state.in_use, IN_SHADOW: state.in_shadow}
        rivals = {name: self._fetched(each) for name, each in scoring.items() if each is not None}
        candidate = lesson.train()
        judged = lesson.judge(candidate, rivals)
        path = lesson.keep(self.folder, candidate, judged, self.day)
        if any(each.artifact == path.name for each in self.known):
            return []
        uri = keep(self.settings, path, self.model.name)
        rows = f"of {judged.evaluation.rows:,} examples"
        trained = self._decision("trained", path.name, uri, (rows,), judged, lesson.examples.data_digest)
        if self._is_overtaken:
            reason = "a later day has a decision: nothing follows from this one by itself"
            return [replace(trained, reasons=(rows, reason))]
        verdict, displaced = self._unless_drifted(judged.verdict, trained), []
        if verdict.decision == "shadow" and state.in_shadow is not None:
            reason = f"{path.name} is better, and is in shadow in its place"
            displaced = [self._about(state.in_shadow, "refused", (reason,))]
        return [trained, *displaced, replace(trained, decision=verdict.decision, reasons=verdict.reasons)]

    @property
    def _is_overtaken(self) -> bool:
        """Whether a later day has a decision, which a new one before it would change the sense of."""
        return any(each.day > self.day for each in self.known)

    def _state(self, more: list[ModelDecision]) -> ModelState:
        return states([*self.known, *more], self.day).get(self.model.name, NOTHING)

    def _fetched(self, decision: ModelDecision) -> Model:
        return fetched(self.settings, decision).model

    def _about(
        self,
        trained: ModelDecision,
        kind: DecisionKind,
        reasons: tuple[str, ...],
        judged: Judgement | None = None,
    ) -> ModelDecision:
        """A decision about what was trained before, by the version that it was trained by."""
        found = self._decision(kind, trained.artifact, trained.artifact_uri, reasons, judged)
        return replace(found, version=trained.version, data_digest=trained.data_digest)

    def _decision(
        self,
        kind: DecisionKind,
        artifact: str,
        uri: str,
        reasons: tuple[str, ...],
        judged: Judgement | None = None,
        data_digest: str | None = None,
    ) -> ModelDecision:
        return ModelDecision(
            model=self.model.name,
            version=self.model.version,
            artifact=artifact,
            artifact_uri=uri,
            decision=kind,
            reasons=reasons,
            day=self.day,
            decided_at=datetime.now(UTC),
            decided_by=self.decided_by,
            metrics={} if judged is None else judged.metrics,
            data_digest=data_digest,
        )

    @staticmethod
    def _in_order(found: list[ModelDecision]) -> list[ModelDecision]:
        """Each a microsecond after the one before, so that a table tells their order."""
        return [
            replace(each, decided_at=each.decided_at + timedelta(microseconds=place))
            for place, each in enumerate(found)
        ]
