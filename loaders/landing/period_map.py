"""The map of a plain billing export: which of its columns mean what, written in YAML.

A value comes from a column (``start: start_date``), from a column with some of its values renamed (``market:
{column: country, values: {UK: GB}}``), or is the same in every row (``currency: {constant: USD}``).
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from loaders.landing.errors import LandingError
from loaders.landing.rhythm import Rhythm, read_rhythm
from loaders.landing.values import Currency, ExportCovers, Identifier


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where one value of a row comes from: exactly one of ``column`` and ``constant``."""

    column: str | None = None
    constant: str | None = None
    values: dict[str, str] = Field(default={}, description="Renamed values; others stay as they are.")

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either column or constant")
        return self

    def read(self, row: dict[str, str]) -> str | None:
        """The row's text, None when it is empty."""
        text = self.constant if self.column is None else row[self.column].strip()
        return self.values.get(text, text) if text else None


def _expand(value: Any) -> Any:
    """A bare text is short for a column."""
    return {"column": value} if isinstance(value, str) else value


From = Annotated[Source, BeforeValidator(_expand)]
RhythmKey = Annotated[Rhythm, BeforeValidator(read_rhythm)]


class PeriodColumns(_Strict):
    """One row per subscription period; ``end`` is as ``end_is`` says, and empty while the period is open."""

    subscription_id: From
    account_id: From
    start: From
    end: From
    plan: From = Field(description="The plan's name; plan_id is <plan>-month, <plan>-3-month.")
    plan_kind: From
    interval: From = Field(description="day, week, month or year, or an ISO 8601 duration (P3M, P4W).")
    interval_count: From | None = Field(
        default=None, description="How many of them are paid at once, where another column says it; else 1."
    )
    price: From | dict[RhythmKey, From] = Field(
        description="Price for one rhythm; from another column for each rhythm, if need be."
    )
    currency: From
    is_trial: From
    auto_renew: From | None = None
    reason: From | None = None


class AccountColumns(_Strict):
    """One row per account in a file beside the periods; without a file, what the periods' own rows tell."""

    file: str | None = Field(default=None, description="None or the export's own name: the periods' rows.")
    account_id: From | None = Field(default=None, description="Without a file that of the period.")
    created: From | None = Field(default=None, description="Without a file the start of the first period.")
    market: From
    locale: From
    birth_year_band: From | None = None

    @model_validator(mode="after")
    def _a_file_says_whose_rows_they_are(self) -> AccountColumns:
        if self.file is not None and (self.account_id is None or self.created is None):
            raise ValueError("a file of accounts needs account_id and created")
        return self

    def are_in(self, export: str) -> bool:
        """Whether the rows of the periods tell the accounts as well."""
        return self.file in (None, export)


class ReasonColumns(_Strict):
    """Why service ended, in a file beside the periods: for the account's periods that end on that day."""

    file: str
    account_id: From
    ended: From
    reason: From


class ExportTerms(_Strict):
    """What one export tells, and how often it is made; of exports that have an arrival day of their own."""

    name: Identifier = Field(
        default="periods", description="Exports of one name tell of the same subscriptions."
    )
    covers: ExportCovers = Field(
        default="rolling",
        description="complete: every subscription with all of its periods; what is no longer named is "
        "withdrawn. partial: some subscriptions, each with all of its periods. rolling: the latest periods; "
        "earlier ones, that had ended when the first named one begins, stay.",
    )
    every_days: int = Field(
        default=1,
        ge=1,
        le=366,
        description="Days from one export to the next; those between get empty files, so that nobody waits.",
    )


class UnitsPerDollar(_Strict):
    """An exchange rate the other way round, as many feeds tell it."""

    per_usd: Decimal = Field(gt=0, allow_inf_nan=False)


def _in_dollars(value: Any) -> Any:
    if isinstance(value, dict):
        return (1 / UnitsPerDollar.model_validate(value).per_usd).quantize(Decimal("1e-12"))
    return value


Rate = Annotated[Decimal, BeforeValidator(_in_dollars), Field(gt=0, le=1_000, decimal_places=12)]
"""US dollars for one unit of a currency, as ``fx_rates`` takes it."""


class PeriodMap(_Strict):
    """The whole map."""

    export: ExportTerms = ExportTerms()
    date_format: str = Field(
        default="%Y-%m-%d", description="As strptime has it; %z where times have offsets."
    )
    time_zone: str = Field(default="UTC", description="Of times and days without an offset (IANA name).")
    end_is: Literal["first_day_without", "last_day"] = Field(
        default="first_day_without",
        description="first_day_without: service ended before that day, or at that time. last_day: it ended "
        "with that day. The last second of a day is the end of that day in either.",
    )
    encoding: Literal["utf-8", "latin-1", "cp1252", "utf-16"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None, description="Between the columns; None: the one by which the header has the map's."
    )
    decimal_comma: bool = Field(
        default=False, description="1.234,56 is a thousand and more; so are 1 234,56 and 1234,56."
    )
    true_values: tuple[str, ...] = ("true", "True", "TRUE", "1", "yes")
    false_values: tuple[str, ...] = ("false", "False", "FALSE", "0", "no")
    usd_rates: dict[Currency, Rate] = Field(
        default={"USD": Decimal(1)},
        description="One rate per currency, valid from the first period on: dollars for one unit of it, or "
        "{per_usd: units for one dollar}.",
    )
    periods: PeriodColumns
    accounts: AccountColumns
    reasons: ReasonColumns | None = None

    @field_validator("date_format")
    @classmethod
    def _names_a_day_and_no_zone(cls, value: str) -> str:
        if "%Z" in value:
            raise ValueError("%Z, a zone's abbreviation, says no offset: use %z, or time_zone")
        said = set(re.findall("%(.)", value.replace("%%", "")))
        a_day = said & set("j") or (said & set("mbB") and "d" in said)
        if not (said & set("cx") or {"G", "V", "u"} <= said or (said & set("Yy") and a_day)):
            raise ValueError("does not say a whole date: year, month and day")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone like Europe/Stockholm") from error
        return value


def read_period_map(path: Path) -> PeriodMap:
    """Read and check a map.

    Raises:
        LandingError: the file is no YAML, or not a map; names each wrong entry.
    """
    try:
        return PeriodMap.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise LandingError(f"{path.name}: cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise LandingError(f"{path.name}: {'; '.join(problems)}") from error
