"""The map of a file that a model is tried on: which columns say what."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from segue.outside_file import Label

EVERY_ROW = "row"
"""The unit of a file of which every row is one of its own."""

Column = Annotated[str, Field(min_length=1)]
Calibration = Literal["platt", "isotonic"]
Direction = Literal["increasing", "decreasing"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """What is predicted: a column of two values, and which of them is the event."""

    column: Column
    positive: Label


class Features(_Part):
    """What is predicted from: all columns that have no other part, or those that are named."""

    include: tuple[Column, ...] | None = None
    exclude: tuple[Column, ...] = ()


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class Treatment(_Part):
    """Which arm of a randomised trial a row was in; makes the model one of uplift."""

    column: Column
    control: Label
    treated: Annotated[tuple[Label, ...], BeforeValidator(_listed), Field(min_length=1)]
    leave_out: Annotated[tuple[Label, ...], BeforeValidator(_listed)] = Field(
        default=(), description="Other arms of the trial, whose rows are not read."
    )

    @model_validator(mode="after")
    def _names_an_arm_once(self) -> Treatment:
        named = [self.control, *self.treated, *self.leave_out]
        if len(set(named)) < len(named):
            raise PydanticCustomError("treatment", "control, treated and leave_out share a value")
        return self


class RandomHoldout(_Part):
    """A share of the rows, drawn by a seed, with as many events among them as elsewhere."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1


class LaterHoldout(_Part):
    """The rows of a day and after it: what a model will be used on lies after what it learned from."""

    column: Column
    from_: Annotated[date, Field(alias="from")]


def _one_holdout(value: Any) -> Any:
    """One of the two, so that a mistake is told of the one that was meant."""
    if isinstance(value, dict):
        return (LaterHoldout if {"column", "from"} & set(value) else RandomHoldout).model_validate(value)
    return value


class OutsideMap(_Part):
    """What an outside file is read by, and how a model is tried on it."""

    unit: Column = Field(description="A column that no two rows share, or `row`: every row is a unit.")
    target: Target
    features: Features = Features()
    treatment: Treatment | None = None
    holdout: Annotated[RandomHoldout | LaterHoldout, BeforeValidator(_one_holdout)] = RandomHoldout(
        fraction=0.3
    )
    calibration: Calibration | None = None
    monotone: dict[Column, Direction] = {}

    @property
    def unit_column(self) -> str | None:
        """None where every row is a unit."""
        return None if self.unit == EVERY_ROW else self.unit

    @property
    def no_features(self) -> frozenset[str]:
        """The columns that have another part, and so are never predicted from."""
        others = [self.unit_column, self.target.column]
        if self.treatment is not None:
            others.append(self.treatment.column)
        if isinstance(self.holdout, LaterHoldout):
            others.append(self.holdout.column)
        return frozenset(each for each in others if each is not None)
