"""Columns that hold a provider's JSON as it came, checked against a model of the fields that are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema, from_json

from loaders.landing.reasons import of_problem, path_of, said
from loaders.warehouse.erasures import SubjectKind

Identifier = Annotated[str, Field(min_length=1, max_length=128)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Milliseconds = Annotated[int, Field(strict=True, ge=1_104_537_600_000, le=253_402_300_799_999)]
"""Since 1970; from 2005 on, like every event time."""
Seconds = Annotated[int, Field(strict=True, ge=1_104_537_600, le=253_402_300_799)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0, le=10**15)]


@dataclass(frozen=True)
class NamedAt:
    """Where a payload names whose it is: keys from the outermost in, joined by dots.

    ``of_types``: only in payloads whose ``type`` begins so.
    """

    kind: SubjectKind
    path: str
    of_types: str = ""

    @property
    def key(self) -> str:
        """The innermost key."""
        return self.path.rpartition(".")[2]

    @property
    def is_former(self) -> bool:
        """Whether it is what the event changed, and no more."""
        return ".previous_attributes." in self.path

    def read(self, payload: Any) -> str | None:
        """The id, None where the payload has none."""
        if self.of_types and not str(_at(payload, "type")).startswith(self.of_types):
            return None
        value = _at(payload, self.path)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _at(payload: Any, path: str) -> Any:
    for key in path.split("."):
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload


class Payload(BaseModel):
    """Base of the models, whose names are the provider's: fields that nobody reads may come and go.

    Validators run on what pydantic has read, and on the much faster reading of ``payload_structs``. Both have
    the fields and the properties of the models; of fields before theirs validators ask ``info.data``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    names: ClassVar[tuple[NamedAt, ...]] = ()
    """Of a whole payload: every place, also of older layouts and of types that nobody reads, with an id that
    staging takes an account or a subscription from, or that stands for one."""

    repeats: ClassVar[bool] = False
    """Whether its objects are the same ones over and over, like prices."""

    @property
    def needs_account(self) -> bool:
        """Whether somebody must be known to pay what this is about.

        Of objects that need one and name none ``names_nobody`` is true: the rule of the row looks at those.
        """
        return False

    @property
    def names_nobody(self) -> bool:
        """Whether this object, or one that it is in, may lack an account that it should name."""
        return False


class Wanted:
    """Beside a field that may be null: where it is, ``names_nobody`` is true, whatever else is told."""


@dataclass(frozen=True)
class SureWhen:
    """Beside a pattern and a validator of a text: one that matches this passes both."""

    pattern: str


class AsWritten:
    """Beside a field that holds any object: read fast, it is ``msgspec.Raw``, for a validator to read on."""


def broken(reason: str) -> PydanticCustomError:
    """The error of a rule that no type can state."""
    return PydanticCustomError("payload", "{reason}", {"reason": reason})


@dataclass(frozen=True, repr=False)
class JsonOf:
    """Annotates a text column that holds one JSON object like ``model``; in the warehouse it is JSON."""

    model: type[Payload]

    def __repr__(self) -> str:
        """The model's fields and types: equal texts, equal contracts (for the digest of a landed day)."""
        return f"JsonOf({_schema_text(self.model)})"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Text is checked and kept as it is; an object (a line of NDJSON holds one) becomes text."""
        checked = core_schema.no_info_after_validator_function(self._checked, handler(source))
        return core_schema.no_info_before_validator_function(_as_text, checked)

    def parse(self, text: str) -> Payload:
        """The model's fields.

        Raises:
            ValidationError: a field is missing, of another type, or says something unknown.
            ValueError: the text is not JSON as the warehouse knows it (it has no NaN).
        """
        try:
            value = from_json(text, allow_inf_nan=False)
        except TypeError as error:
            # NDJSON can hold an escape that no text can.
            raise ValueError("it holds half of a surrogate pair") from error
        return self.model.model_validate(value)

    def problems(self, column: str, text: str) -> Iterator[tuple[str, str]]:
        """Path below ``column`` and reason of everything that is wrong."""
        try:
            self.parse(text)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                path = path_of((column, *problem["loc"]))
                yield path, f"{said(path, of_problem(problem), '').rstrip()}: {problem['msg']}"
        except ValueError as error:
            yield column, f"{column} is not JSON: {error}"

    def _checked(self, text: str) -> str:
        try:
            self.parse(text)
        except ValidationError:
            raise  # pydantic keeps the path of the field.
        except ValueError as error:
            raise broken(f"is not JSON: {error}") from error
        return text


def _as_text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


@cache
def _schema_text(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), sort_keys=True)
