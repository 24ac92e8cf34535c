"""The map of an experiment that was run elsewhere: which columns of its file say what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from experiments.design import Design, Direction, MetricDesign, Role
from segue.outside_file import Label

EVERY_ROW: Final = "row"
"""The unit of a file of which every row is one of its own."""


Column = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VariantColumn(_Part):
    """Where a row says which variant it saw."""

    column: Column
    control: Label = Field(description="The variant that the others are compared with.")


class MetricColumns(_Part):
    """A metric: a value per unit, or a ratio of two sums over units."""

    role: Role
    column: Column | None = Field(default=None, description="A number, 0/1 or true/false.")
    numerator: Column | None = None
    denominator: Column | None = None
    covariate: Column | None = Field(
        default=None, description="What was known of the unit before; an empty one counts as 0."
    )
    worse: Direction = Field(default="lower", description="The direction that does harm.")
    margin: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Share of control by which a guardrail may be worse."
    )
    minimum_effect: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Share of control that would be worth having, of a success metric."
    )

    @model_validator(mode="after")
    def _is_one_metric(self) -> MetricColumns:
        is_ratio = self.numerator is not None and self.denominator is not None
        if (self.column is not None) == is_ratio or (self.numerator is None) != (self.denominator is None):
            raise PydanticCustomError("metric", "a metric takes column, or numerator and denominator")
        if self.margin is not None and self.role != "guardrail":
            raise PydanticCustomError("metric", "margin is of a guardrail")
        if self.minimum_effect is not None and self.role != "success":
            raise PydanticCustomError("metric", "minimum_effect is of a success metric")
        return self

    @property
    def value(self) -> str:
        """The column of the value, or of the numerator."""
        value = self.column or self.numerator
        assert value is not None, "the model has one of them"
        return value


class OutsideMap(_Part):
    """What an outside experiment's file is read by."""

    unit: Column = Field(description="A column, or `row` where every row is a unit of its own.")
    variant: VariantColumn
    allocation: dict[Label, Annotated[float, Field(gt=0)]] | None = Field(
        default=None, description="Weights of the variants; equal when left out."
    )
    metrics: Annotated[dict[str, MetricColumns], Field(min_length=1)]

    @model_validator(mode="after")
    def _allots_control(self) -> OutsideMap:
        if self.allocation is not None and self.variant.control not in self.allocation:
            raise PydanticCustomError(
                "allocation",
                "allocation has no {control}, which is control",
                {"control": self.variant.control},
            )
        return self

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The columns that have to hold numbers, each once."""
        named = [
            column
            for metric in self.metrics.values()
            for column in (metric.value, metric.denominator, metric.covariate)
            if column is not None
        ]
        return tuple(dict.fromkeys(named))

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns of which an empty cell is nothing, and not a mistake."""
        outcomes = {
            column for each in self.metrics.values() for column in (each.value, each.denominator) if column
        }
        named = [each.covariate for each in self.metrics.values() if each.covariate is not None]
        return tuple(column for column in dict.fromkeys(named) if column not in outcomes)

    def design(self, variants: Sequence[str]) -> Design:
        """The experiment's design; ``variants`` are those of the file, for a map that allots nothing."""
        allocation = self.allocation or dict.fromkeys(
            [self.variant.control, *(each for each in variants if each != self.variant.control)], 1.0
        )
        metrics = tuple(
            MetricDesign(name, each.role, each.worse, each.margin, each.minimum_effect)
            for name, each in self.metrics.items()
        )
        return Design(self.variant.control, allocation, metrics)
