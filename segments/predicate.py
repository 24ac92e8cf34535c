"""The closed grammar of predicates over an account's features.

A predicate is one of ``all``, ``any``, ``not``, or a comparison of one feature. A comparison with a missing
value (null) is false, so that ``not`` of it is true; ``is_null`` asks for it. Dates are ISO dates or relative
to the day that is judged: ``day``, ``day - 30``, ``day + 7``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Final, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from segments.features import FEATURES, FeatureName, Kind

RELATIVE_DATE: Final = re.compile(r"day(?:\s*([+-])\s*(\d{1,4}))?")
ORDERED: Final = ("less_than", "at_most", "more_than", "at_least", "between")
OPERATORS: Final[dict[Kind, tuple[str, ...]]] = {
    "number": ("equals", "not_equals", "in", "not_in", *ORDERED, "is_null"),
    "text": ("equals", "not_equals", "in", "not_in", "is_null"),
    "flag": ("equals", "is_null"),
    "date": ("equals", "not_equals", *ORDERED, "is_null"),
}
ALL_OPERATORS: Final = tuple(dict.fromkeys(name for names in OPERATORS.values() for name in names))


def _is_value(value: Any) -> Any:
    """Refuses once what would be refused as each of the four."""
    if isinstance(value, datetime) or not isinstance(value, bool | int | date | str):
        raise _refused("a value is a whole number, a text, true, false or a date; found {found}", [value])
    return value


Value = Annotated[bool | int | date | str, BeforeValidator(_is_value)]
Values = Annotated[list[Value], Field(min_length=1, max_length=500)]


def _attribute(name: str) -> str:
    """The model's attribute of a field as it is written in a rule file."""
    return f"{name}_" if name in ("all", "any", "not", "in") else name


def _written(attribute: str | None) -> str:
    return str(attribute).removesuffix("_")


class Predicate(BaseModel):
    """Exactly one of ``all``, ``any``, ``not``, or ``feature`` with exactly one operator."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    all_: Annotated[list[Predicate], Field(min_length=1)] | None = Field(
        default=None, alias="all", description="Every one of these holds."
    )
    any_: Annotated[list[Predicate], Field(min_length=1)] | None = Field(
        default=None, alias="any", description="At least one of these holds."
    )
    not_: Predicate | None = Field(default=None, alias="not", description="This does not hold.")
    feature: FeatureName | None = Field(default=None, description="Column of fct_account_features.")
    equals: Value | None = None
    not_equals: Value | None = Field(default=None, description="False for a missing value.")
    less_than: Value | None = None
    at_most: Value | None = None
    more_than: Value | None = None
    at_least: Value | None = None
    between: Annotated[list[Value], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Both ends inclusive."
    )
    in_: Values | None = Field(default=None, alias="in")
    not_in: Values | None = Field(default=None, description="False for a missing value.")
    is_null: bool | None = Field(default=None, description="true: no value; false: a value.")

    @cached_property
    def operator(self) -> str:
        """The operator of a comparison, as it is written in a rule file."""
        return next(name for name in ALL_OPERATORS if _given(self, name) is not None)

    @cached_property
    def operand(self) -> Value | list[Value]:
        """What the feature is compared with."""
        return cast("Value | list[Value]", _given(self, self.operator))

    @property
    def conditions(self) -> tuple[Predicate, ...]:
        """Of which every one holds where this does: the parts of ``all`` and of every ``all`` among them."""
        if self.all_ is None:
            return (self,)
        return tuple(each for part in self.all_ for each in part.conditions)

    @model_validator(mode="after")
    def _is_one_form(self) -> Predicate:
        forms = [name for name in ("all", "any", "not", "feature") if _given(self, name) is not None]
        given = [name for name in ALL_OPERATORS if _given(self, name) is not None]
        if len(forms) != 1:
            raise _refused("a predicate has exactly one of all, any, not, feature; found {found}", forms)
        if self.feature is None:
            if given:
                raise _refused("{found} needs a feature beside it", given)
            return self
        kind = FEATURES[self.feature]
        allowed = OPERATORS[kind]
        if len(given) != 1 or given[0] not in allowed:
            raise _refused(
                f"{self.feature} ({kind}) takes exactly one of {', '.join(allowed)}; found {{found}}", given
            )
        return self

    @field_validator(*(_attribute(name) for name in ALL_OPERATORS if name != "is_null"))
    @classmethod
    def _fits_the_feature(
        cls, operand: Value | list[Value] | None, info: ValidationInfo
    ) -> Value | list[Value] | None:
        feature = info.data.get("feature")
        if (
            feature is None
            or operand is None
            or _written(info.field_name) not in OPERATORS[FEATURES[feature]]
        ):
            return operand
        kind = FEATURES[feature]
        for value in operand if isinstance(operand, list) else [operand]:
            if not _fits(value, kind):
                found, hint = _shown(value), _quotes(value, kind)
                raise _refused(
                    f"{feature} is compared with {_EXPECTED[kind]}; found {{found}}{hint}", [found]
                )
        return operand


_EXPECTED: Final[dict[Kind, str]] = {
    "number": "a whole number",
    "text": "a text",
    "flag": "true or false",
    "date": "a date (YYYY-MM-DD) or one relative to the day (day, day - 30, day + 7)",
}


def _given(predicate: Predicate, name: str) -> object:
    return getattr(predicate, _attribute(name))


def _refused(template: str, found: Sequence[object]) -> PydanticCustomError:
    listed = ", ".join(str(item) for item in found) or "none"
    return PydanticCustomError("predicate", "{message}", {"message": template.replace("{found}", listed)})


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quotes(value: Value, kind: Kind) -> str:
    """What quotes have to do with it, if that is all that is wrong."""
    if kind == "text" and isinstance(value, bool):
        return " (without quotes, YAML reads no, off and the market NO as false, yes and on as true)"
    if kind == "text":
        return " (in quotes it is one)"
    plain = {"number": r"-?\d+", "flag": "true|false", "date": r"\d{4}-\d\d-\d\d"}[kind]
    if isinstance(value, str) and re.fullmatch(plain, value):
        return ", a text because of its quotes"
    return ""


def _fits(value: Value, kind: Kind) -> bool:
    match kind:
        case "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "flag":
            return isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case "date":
            return isinstance(value, date) or (
                isinstance(value, str) and RELATIVE_DATE.fullmatch(value) is not None
            )


def number_bounds(comparison: Predicate) -> tuple[int | None, int | None]:
    """The lowest and highest whole number for which the comparison can be true; None: no end."""
    operand = comparison.operand
    values = operand if isinstance(operand, list) else [operand]
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if not numbers:
        return None, None
    low, high = min(numbers), max(numbers)
    match comparison.operator:
        case "equals" | "in" | "between":
            return low, high
        case "less_than":
            return None, high - 1
        case "at_most":
            return None, high
        case "more_than":
            return low + 1, None
        case "at_least":
            return low, None
    return None, None


def day_offset(value: Value) -> int | None:
    """Days from the judged day of a relative date; None for an absolute one."""
    found = RELATIVE_DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    sign, days = found.groups()
    return 0 if days is None else int(f"{sign}{days}")


def resolved_date(value: Value, day: date) -> date:
    """The date that ``value`` means on ``day``."""
    offset = day_offset(value)
    if offset is not None:
        return day + timedelta(days=offset)
    return value if isinstance(value, date) else date.fromisoformat(str(value))


Predicate.model_rebuild()
