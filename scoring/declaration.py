"""The schema of a model's file: what is predicted, of whom, from what, and when a model may be used."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from scoring.columns import Kind
from scoring.events import EVENTS, EventName
from scoring.outside_map import Calibration, Direction
from segments.features import FEATURES, FeatureName
from segments.predicate import Predicate
from segue.nearest import nearest

ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=56)]
"""No two underscores: scores of a candidate land as <name>__shadow, which has to fit into 64 characters."""
ExperimentId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,79}$")]
Arm = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Words = Annotated[str, Field(min_length=1)]
ModelKind = Literal["propensity", "uplift"]

_KINDS: Final[dict[str, Kind]] = {"number": "number", "flag": "number", "date": "number", "text": "category"}


def kind_of(feature: FeatureName) -> Kind:
    """What a column of ``fct_account_features`` is to a model.

    A flag is 0 or 1. A date is the days from it to the feature day, below 0 for one to come: a calendar day
    says nothing of days that no model has seen.
    """
    return _KINDS[FEATURES[feature]]


def _known_then(name: Any) -> Any:
    """Refuses what is no feature, and says why: what is known later teaches a model what it cannot know."""
    if name in FEATURES:
        return name
    near = nearest(str(name), FEATURES)
    raise PydanticCustomError(
        "feature",
        "{name} is none of the columns of fct_account_features that are known at the end of their day{near}",
        {"name": str(name), "near": f"; did you mean {near}?" if near else ""},
    )


Feature = Annotated[FeatureName, BeforeValidator(_known_then)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """What is predicted: whether something happens to an account in the days after the feature day."""

    event: EventName
    within_days: Annotated[
        int, Field(ge=1, le=90, description="Of the feature day D: whole UTC days D+1 … D+within_days.")
    ]


class Algorithm(_Part):
    """Bounds of the trees, by LightGBM's names; how many are grown is decided by rows that none has seen."""

    num_iterations: Annotated[int, Field(ge=1, le=5_000, description="Most trees.")] = 2_000
    learning_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    num_leaves: Annotated[int, Field(ge=2, le=255)] = 15
    min_data_in_leaf: Annotated[int, Field(ge=1)] = 30
    lambda_l2: Annotated[float, Field(ge=0)] = 1.0


class Minimum(_Part):
    """Below these a model is refused, whatever else it is better than."""

    rows: Annotated[int, Field(ge=100, description="Examples in all.")]
    events: Annotated[int, Field(ge=40, description="Of these, with the event; of an uplift, in all arms.")]
    auc: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        default=None, description="Of a propensity: on the held-back days."
    )
    qini: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Of an uplift: the lower end of its 95% interval on the held-back days, in events a "
        "treated row.",
    )


class Training(_Part):
    """Which days are learned from, and how often.

    The newest feature day is the last whose outcomes are known. It and the ``holdout_days`` − 1 before
    it are held back, to judge by. Then come ``within_days`` that are not used: their outcomes happen on the
    held-back days. The ``days`` before these are learned from, as many of them as there are.
    """

    days: Annotated[int, Field(ge=1, le=730, description="Feature days that are learned from.")]
    holdout_days: Annotated[int, Field(ge=1, le=180, description="The newest feature days, to judge by.")]
    every: Annotated[int, Field(ge=1, le=28)] = Field(
        default=7,
        description="Days between two feature days: an account of today and of yesterday is one example "
        "written twice. Counted backwards from the newest.",
    )
    negatives: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="Share of the examples without the event that is learned from, drawn by a hash of the "
        "account; each then weighs 1 / negatives. Held-back days are judged whole.",
    )
    most_examples: Annotated[int, Field(ge=1)] = Field(
        default=1_000_000,
        description="About as many are learned from and judged by at most, because a training holds them in "
        "memory: where there are more, those of a share of the accounts, drawn by a hash.",
    )
    refresh_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=7, description="Days between two trainings."
    )


class Treatment(_Part):
    """Of an uplift: the randomised trial that it is learned from."""

    experiment: ExperimentId = Field(
        description="An experiment of experiments/, or holdout-<rule>, whose arms are held_out and served."
    )
    control: Arm
    treated: Annotated[list[Arm], Field(min_length=1, description="Arms that count as one treatment.")]

    @model_validator(mode="after")
    def _names_an_arm_once(self) -> Treatment:
        arms = [self.control, *self.treated]
        if len(set(arms)) < len(arms):
            raise PydanticCustomError("treatment", "control and treated share an arm, or name one twice")
        return self


class ModelDeclaration(_Part):
    """One model: written down before it is trained, and immutable by version."""

    name: ModelName = Field(description="As the rules' score.model names it.")
    version: Annotated[int, Field(ge=1, description="Raised with every change of what the file says.")]
    owner: Annotated[str, Field(min_length=1, description="Team that answers for the model.")]
    description: Words
    kind: ModelKind = Field(
        description="propensity: how probable the event is. uplift: by how much the treatment changes that."
    )
    target: Target
    population: Predicate = Field(
        description="Who is learned from and scored: as known at the end of the feature day."
    )
    features: Annotated[list[Feature], Field(min_length=1)] = Field(
        description="Columns of fct_account_features, all of which are as known at the end of the feature "
        "day. A text is a category, a flag 0 or 1, a date the days from it to the feature day."
    )
    algorithm: Algorithm = Algorithm()
    calibration: Calibration | None = Field(
        default=None, description="A curve over the scores, learned from rows that no tree was grown on."
    )
    monotone: dict[Feature, Direction] = Field(
        default={}, description="The score may only rise (fall) with the feature, whatever the rows say."
    )
    minimum: Minimum
    training: Training
    shadow_days: Annotated[int, Field(ge=0, le=60)] = Field(
        description="A model that was found better is scored for so many days before it may be used."
    )
    max_age_days: Annotated[int, Field(ge=1, le=28)] = Field(
        description="A score that is older is used by no rule."
    )
    treatment: Treatment | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> ModelDeclaration:
        is_uplift = self.kind == "uplift"
        quality = "qini" if is_uplift else "auc"
        no_features = sorted(set(self.monotone) - set(self.features))
        categories = sorted(each for each in self.monotone if kind_of(each) == "category")
        wrong = [
            (
                is_uplift != (self.treatment is not None),
                "an uplift has a treatment, and nothing else has one",
            ),
            (getattr(self.minimum, quality) is None, f"minimum: of kind {self.kind} is asked {quality}"),
            (
                getattr(self.minimum, "auc" if is_uplift else "qini") is not None,
                f"minimum: of kind {self.kind} is asked {quality} alone",
            ),
            (len(set(self.features)) < len(self.features), "features: a column is named twice"),
            (bool(no_features), f"monotone: {', '.join(no_features)} is no feature of the model"),
            (bool(categories), f"monotone: {', '.join(categories)} is a text, which has no direction"),
            (
                self.training.every > self.training.holdout_days,
                "training: every is above holdout_days, so that fewer than one feature day is held back",
            ),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise PydanticCustomError("model", "{message}", {"message": message})
        return self

    @property
    def event_description(self) -> str:
        """The target in words."""
        return f"{EVENTS[self.target.event].description} within {self.target.within_days} days"
