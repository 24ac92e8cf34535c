"""The schemas of an experiment's file and of a metric's."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from experiments.design import Design, Direction, MetricDesign, Role

MetricId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ExperimentId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,79}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Salt = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Words = Annotated[str, Field(min_length=1)]
Version = Annotated[int, Field(ge=1, description="Raised with every change of what the file says.")]
Percent = Annotated[float, Field(gt=0, lt=100, description="Of the accounts, with at most two decimals.")]
Part = Annotated[float, Field(gt=0, lt=1)]

MOST_LOOKS: Final = 60


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """One number per account, of the rows that a mart has of it; ``experiments.facts`` says which may be."""

    mart: Annotated[str, Field(pattern=r"^(fct|agg|dim)_[a-z0-9_]+$")]
    day: Name | None = Field(default=None, description="Of a mart with a row a day: its column of days.")
    at: Name | None = Field(
        default=None, description="Of a mart whose rows happen at an instant: the column that says when."
    )
    column: Name | None = None
    equals: str | None = Field(default=None, description="The column counts as true where it has this value.")
    aggregate: Literal["any", "sum", "last", "count"] = Field(
        description="Over the window: whether it was ever true, its sum, its last day's value, the rows."
    )


class Metric(_Part):
    """What is counted of an account, from its exposure on; a mean of values, or a ratio of two sums."""

    id: MetricId
    version: Version
    owner: Words
    description: Words
    value: Source | None = None
    numerator: Source | None = None
    denominator: Source | None = None
    window_days: Annotated[
        int, Field(ge=1, le=90, description="Days after the exposure, the same for every account.")
    ]
    worse: Direction = Field(description="The direction that does harm.")
    cap: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="An account's value above it counts as this much, so that no single one decides.",
    )
    covariate_days: Annotated[int, Field(ge=1, le=90)] | None = Field(
        default=28, description="The same value in so many days before the exposure; null: no covariate."
    )

    @model_validator(mode="after")
    def _is_one_metric(self) -> Metric:
        if (self.value is not None) == (self.numerator is not None) or (self.numerator is None) != (
            self.denominator is None
        ):
            raise PydanticCustomError("metric", "a metric takes value, or numerator and denominator")
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """Its columns."""
        return tuple(each for each in (self.value, self.numerator, self.denominator) if each is not None)


class Variant(_Part):
    """An arm."""

    name: Name
    percent: Percent


class Baseline(_Part):
    """What is known of a metric beforehand, for the plan."""

    mean: float
    deviation: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Standard deviation over accounts; left out for a share: its own."
    )

    @model_validator(mode="after")
    def _has_a_deviation(self) -> Baseline:
        if self.deviation is None and not 0 < self.mean < 1:
            raise PydanticCustomError("baseline", "only a share (0 to 1) does without a deviation")
        return self

    @property
    def variance(self) -> float:
        """Of one account."""
        return self.mean * (1 - self.mean) if self.deviation is None else self.deviation**2


class MetricUse(_Part):
    """A metric, and what is asked of it here."""

    metric: MetricId
    role: Role
    minimum_effect: Part | None = Field(
        default=None, description="Of a success metric: the share of control that would be worth having."
    )
    margin: Part | None = Field(
        default=None, description="Of a guardrail: the share of control by which it may be worse."
    )
    baseline: Baseline | None = None

    @model_validator(mode="after")
    def _asks_what_its_role_is_asked(self) -> MetricUse:
        if (self.role == "success") != (self.minimum_effect is not None):
            raise PydanticCustomError("role", "a success metric has a minimum_effect, and no other has one")
        if self.margin is not None and self.role != "guardrail":
            raise PydanticCustomError("role", "margin is of a guardrail")
        return self


class Experiment(_Part):
    """What is tried, on whom, and by what it will be judged: written down before it starts."""

    id: ExperimentId
    version: Version
    owner: Words
    hypothesis: Words
    rule: Name | None = Field(
        default=None, description="The segment rule whose experiment block refers to it."
    )
    surface: Name | None = Field(default=None, description="Where it is shown, for one that no rule makes.")
    salt: Salt
    variants: Annotated[list[Variant], Field(min_length=2, max_length=10)]
    control: Name = Field(description="The variant that the others are compared with.")
    metrics: Annotated[list[MetricUse], Field(min_length=1)]
    alpha: Annotated[float, Field(gt=0, le=0.2)] = Field(
        default=0.05, description="How often an improvement may be found where there is none, over all looks."
    )
    power: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.8, description="How often the minimum effect is to be found where it is there."
    )
    looks: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=MOST_LOOKS)] = Field(
        description="Complete days after the start on which it may be decided; later than the longest window "
        "of its metrics, so that there are accounts to look at."
    )
    start: date = Field(description="First UTC day of exposures.")
    end: date = Field(description="Last UTC day of exposures.")
    accounts_per_day: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="New accounts expected each day, over all variants, for the plan."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Experiment:
        names = [variant.name for variant in self.variants]
        used = [use.metric for use in self.metrics]
        total = round(sum(variant.percent for variant in self.variants), 6)
        days = (self.end - self.start).days + 1
        wrong = [
            (total != 100, f"the variants' percent add up to 100; found {total:g}"),
            (len(set(names)) != len(names), "two variants have one name"),
            (self.control not in names, f"control is no variant; allowed: {', '.join(names)}"),
            ((self.rule is None) == (self.surface is None), "an experiment is of a rule or of a surface"),
            (len(set(used)) != len(used), "a metric has one role"),
            ("success" not in {use.role for use in self.metrics}, "there is no success metric"),
            (self.looks != sorted(set(self.looks)), "looks are days that rise"),
            (days < 1, "end is before start"),
            # Accounts of the last day have their windows after it.
            (self.looks[-1] < days, f"the last look is before the last day of exposures, day {days}"),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise PydanticCustomError("experiment", "{message}", {"message": message})
        return self

    def design(self, metrics: dict[str, Metric]) -> Design:
        """What a readout has to know of it.

        Raises:
            KeyError: a metric that is not declared.
        """
        uses = [
            MetricDesign(use.metric, use.role, metrics[use.metric].worse, use.margin, use.minimum_effect)
            for use in self.metrics
        ]
        allocation = {variant.name: variant.percent for variant in self.variants}
        return Design(
            self.control,
            allocation,
            tuple(uses),
            tuple(self.looks),
            self.alpha,
            self.power,
            self._information(max(metrics[use.metric].window_days for use in self.metrics)),
        )

    def _information(self, window_days: int) -> tuple[float, ...]:
        """At each look the share of the last one's accounts whose windows are over; as many come every day.

        The longest window speaks for all metrics: looks that have less in common ask for more.
        """
        days = (self.end - self.start).days + 1
        over = [min(look - window_days, days) for look in self.looks]
        return tuple(each / over[-1] for each in over)

    def state(self, day: date) -> Literal["planned", "running", "ended"]:
        """On a UTC day."""
        return "planned" if day < self.start else "running" if day <= self.end else "ended"


HELD_OUT: Final = "held_out"
SERVED: Final = "served"
HOLDOUT_PREFIX: Final = "holdout-"


class Holdouts(_Part):
    """By what the holdouts of the segment rules are judged, all of them alike: experiments without an end.

    Who is held out, and how many, is said by ``segments/program.yml`` and the rules. A version is a term: the
    looks have an end, and the next version begins with accounts that had not been exposed before.
    """

    id: Literal["holdouts"]
    version: Version
    owner: Words
    hypothesis: Words
    metrics: Annotated[list[MetricUse], Field(min_length=1)]
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    power: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    looks: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=MOST_LOOKS)]
    start: date = Field(description="First UTC day of exposures.")
    end: date = Field(description="Last UTC day of exposures.")

    def experiment(self, rule: str | None, held_out_percent: float, salt: str) -> Experiment:
        """The standing experiment of a rule's holdout, or of the global one (``rule`` is None)."""
        return Experiment(
            id=f"{HOLDOUT_PREFIX}{rule or 'global'}",
            version=self.version,
            owner=self.owner,
            hypothesis=self.hypothesis,
            rule=rule,
            surface=None if rule else "everywhere",
            salt=salt,
            variants=[
                Variant(name=HELD_OUT, percent=held_out_percent),
                Variant(name=SERVED, percent=100 - held_out_percent),
            ],
            control=HELD_OUT,
            metrics=self.metrics,
            alpha=self.alpha,
            power=self.power,
            looks=self.looks,
            start=self.start,
            end=self.end,
        )
