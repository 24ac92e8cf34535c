"""What every landed row has, and the rules that span its columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from loaders.landing.delivery import Delivered
from loaders.landing.kinds import KindOf

EARLIEST_EVENT = datetime(2005, 1, 1, tzinfo=UTC)
"""No subscription service of this kind is older; an earlier event time is a broken clock (1970)."""

EventTime = Annotated[AwareDatetime, Field(ge=EARLIEST_EVENT)]


@dataclass(frozen=True)
class NotBefore:
    """``column`` must not lie before ``other`` (rows where either is null pass)."""

    column: str
    other: str


@dataclass(frozen=True)
class NotAfterArrival:
    """``column`` may lie at most ``tolerance_hours`` after ``ingested_at``: clocks skew."""

    column: str
    tolerance_hours: int = 24


@dataclass(frozen=True)
class RequiredWhen:
    """``column`` must be given when the property ``says`` of the object in ``payload`` (JSON) is true."""

    column: str
    payload: str
    says: str


@dataclass(frozen=True)
class OfCurrency:
    """The amount in ``column`` must be one that the currency in ``currency`` can have (``currencies``)."""

    column: str
    currency: str = "currency"


@dataclass(frozen=True)
class GivenWhen:
    """``column`` must be given when ``other`` is one of ``values``, and must not be given otherwise."""

    column: str
    other: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PayerNamed:
    """Somebody must be known to pay what ``payload`` (JSON) is about, when its ``needs_account`` says so.

    The column ``account_id`` names them, or a payload does, or the provider's customers are mapped.
    """

    provider: str
    payload: str
    column: str = "account_id"


Rule = NotBefore | NotAfterArrival | RequiredWhen | OfCurrency | GivenWhen | PayerNamed


class LandingRow(BaseModel):
    """Base of all contracts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    event_time: ClassVar[str | None] = None
    """Column with the event's own time (TIMESTAMP or DATE); late rows restate its day."""
    tells_again: ClassVar[bool] = False
    """Whether a row may have an old event time and be news: a member who leaves, under the day of joining."""
    replaces_by: ClassVar[str | None] = None
    """Column that is not null in rows which replace what earlier ones said: also what they no longer say
    changes, however long ago it was, and an old row of theirs is not late."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    message_kind: ClassVar[KindOf | None] = None
    """How a row says what kind of message it is; None: all rows of the table are of one."""
    is_reference: ClassVar[bool] = False
    """Whether a few rows decide on all others' worth: it is no small matter when half of them are refused."""
    delivered: ClassVar[Delivered | None] = None
    """How the provider sends the payload; None: rows come as the contract has them."""
    may_be_absent: ClassVar[bool] = False
    """Whether a day without any file is an empty day, even when the table has delivered before."""

    ingested_at: EventTime
