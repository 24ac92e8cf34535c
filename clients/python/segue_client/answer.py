"""What a cell's bytes mean at an instant: the four answers to a lookup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from segue_client.decision_id import decision_id
from segue_client.errors import UnreadableOffersError
from segue_client.instants import instant
from segue_client.wire.offers_pb2 import AccountOffers, Offer


class Outcome(StrEnum):
    """The four answers to a lookup; only ``FOUND`` may lead to something shown."""

    FOUND = "found"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Lookup:
    """One answer. ``account`` is what was stored; ``offers`` are those that may be shown now, best first.

    ``held_back`` are those of control arms: not shown, but their exposures are logged. Both are empty unless
    the outcome is ``FOUND``, and may be empty then too; each offer in them has its ``decision_id``.
    """

    account_id: str
    outcome: Outcome
    generation_ms: int
    account: AccountOffers | None = None
    offers: tuple[Offer, ...] = ()
    held_back: tuple[Offer, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values for JSON; times as RFC 3339."""
        answer: dict[str, Any] = {
            "account_id": self.account_id,
            "outcome": self.outcome.value,
            "generation_ms": self.generation_ms,
        }
        if self.account is not None:
            answer["segment_date"] = self.account.segment_date
            answer["market"] = self.account.market or None
            answer["suppressed_reason"] = self.account.suppressed_reason or None
            answer["valid_until_at"] = _rfc3339(self.account.valid_until_ms)
        answer["offers"] = [_offer_dict(offer) for offer in self.offers]
        answer["held_back"] = [_offer_dict(offer) for offer in self.held_back]
        return answer


def judge(account_id: str, payload: bytes | None, generation_ms: int, now_ms: int) -> Lookup:
    """The answer that a cell's bytes (``None``: no cell) give at an instant (milliseconds since 1970).

    A suppressed account stays suppressed when its segments are old: a block does not lapse. An account
    whose every offer has run out is expired, as is one whose whole answer has.

    Raises:
        UnreadableOffersError: the bytes are no ``AccountOffers``.
    """
    if not payload:
        return Lookup(account_id, Outcome.UNKNOWN, generation_ms)
    try:
        account = AccountOffers.FromString(payload)
    except DecodeError as error:
        raise UnreadableOffersError("what is stored of the account cannot be read") from error
    if account.suppressed_reason:
        return Lookup(account_id, Outcome.SUPPRESSED, generation_ms, account)
    if _is_past(account.valid_until_ms, now_ms):
        return Lookup(account_id, Outcome.EXPIRED, generation_ms, account)
    stored = [*account.offers, *account.held_back]
    left = [offer for offer in stored if not _is_past(offer.valid_until_ms, now_ms)]
    if stored and not left:
        return Lookup(account_id, Outcome.EXPIRED, generation_ms, account)
    return found(account_id, generation_ms, account, left)


def found(account_id: str, generation_ms: int, account: AccountOffers, usable: Iterable[Offer]) -> Lookup:
    """An answer with these offers of the account, each named, and those of control arms apart.

    Loaders before ``held_back`` left control arms among the offers.
    """
    offers: list[Offer] = []
    held_back: list[Offer] = []
    for each in usable:
        offer = Offer()
        offer.CopyFrom(each)
        offer.decision_id = decision_id(account_id, generation_ms, offer.rule_id)
        (held_back if offer.is_control else offers).append(offer)
    return Lookup(account_id, Outcome.FOUND, generation_ms, account, tuple(offers), tuple(held_back))


def _is_past(valid_until_ms: int, now_ms: int) -> bool:
    return valid_until_ms != 0 and valid_until_ms <= now_ms


def _rfc3339(at_ms: int) -> str | None:
    return instant(at_ms).isoformat().replace("+00:00", "Z") if at_ms else None


def _offer_dict(offer: Offer) -> dict[str, Any]:
    values: dict[str, Any] = MessageToDict(
        offer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    values["score"] = offer.score if offer.HasField("score") else None
    values["valid_until_at"] = _rfc3339(offer.valid_until_ms)
    del values["valid_until_ms"]
    for name in ("experiment_id", "variant", "content_id", "content_locale"):
        values[name] = values[name] or None
    return values
