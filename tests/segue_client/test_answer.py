"""What a cell's bytes say: what may be shown, what is held back, and the name of each decision."""

from __future__ import annotations

import json

import pytest

from segue.settings import PROJECT_ROOT
from segue_client.answer import Lookup, Outcome, judge
from segue_client.decision_id import decision_id
from segue_client.remote import _lookup
from segue_client.wire.offers_pb2 import LOOKUP_OUTCOME_FOUND, AccountOffers, LookupResponse, Offer

GENERATION, NOW = 1_769_817_600_001, 1_769_820_000_000
DECISIONS = json.loads((PROJECT_ROOT / "clients/golden/decision_ids.json").read_text(encoding="utf-8"))


def offer(rule_id: str, *, is_control: bool = False, valid_until_ms: int = 0) -> Offer:
    return Offer(
        offer_id=f"of-{rule_id}", rule_id=rule_id, is_control=is_control, valid_until_ms=valid_until_ms
    )


def answer(*offers: Offer, held_back: tuple[Offer, ...] = ()) -> Lookup:
    account = AccountOffers(account_id="a", offers=offers, held_back=held_back, generation_ms=7)
    return judge("a", account.SerializeToString(), GENERATION, NOW)


def ids(offers: tuple[Offer, ...]) -> list[str]:
    return [each.rule_id for each in offers]


def test_a_control_arm_is_held_back_whichever_loader_wrote_the_cell() -> None:
    shown, kept = offer("shown"), offer("kept", is_control=True)
    for found in (answer(shown, held_back=(kept,)), answer(shown, kept), answer(kept, shown)):
        assert (found.outcome, ids(found.offers), ids(found.held_back)) == (
            Outcome.FOUND,
            ["shown"],
            ["kept"],
        )


def test_an_account_with_nothing_but_a_control_arm_is_found_and_shown_nothing() -> None:
    for found in (
        answer(held_back=(offer("kept", is_control=True),)),
        answer(offer("kept", is_control=True)),
    ):
        assert (found.outcome, found.offers, ids(found.held_back)) == (Outcome.FOUND, (), ["kept"])


def test_what_is_held_back_expires_as_offers_do() -> None:
    past, kept = offer("past", valid_until_ms=NOW), offer("kept", is_control=True, valid_until_ms=NOW + 1)
    found = answer(past, held_back=(kept,))
    assert (found.outcome, ids(found.offers), ids(found.held_back)) == (Outcome.FOUND, [], ["kept"])
    gone = offer("gone", is_control=True, valid_until_ms=NOW)
    assert answer(past, held_back=(gone,)).outcome is Outcome.EXPIRED


@pytest.mark.parametrize("vector", DECISIONS)
def test_a_decision_is_named_by_account_generation_and_rule(vector: dict[str, str | int]) -> None:
    named = {name: value for name, value in vector.items() if name != "decision_id"}
    assert decision_id(**named) == vector["decision_id"]  # type: ignore[arg-type]


def test_decisions_are_named_by_the_generation_that_answers() -> None:
    """Not by the one that wrote the cell, which is another one after a load of everything."""
    found = answer(offer("r"), held_back=(offer("k", is_control=True),))
    assert [each.decision_id for each in (*found.offers, *found.held_back)] == [
        decision_id("a", GENERATION, "r"),
        decision_id("a", GENERATION, "k"),
    ]
    assert found.account is not None
    assert found.account.offers[0].decision_id == ""


def test_a_client_understands_a_service_that_is_older() -> None:
    account = AccountOffers(account_id="a", offers=[offer("r"), offer("k", is_control=True)])
    older = LookupResponse(
        account_id="a", outcome=LOOKUP_OUTCOME_FOUND, account=account, generation_ms=GENERATION
    )
    found = _lookup(older)
    assert (ids(found.offers), ids(found.held_back)) == (["r"], ["k"])
    assert found.offers[0].decision_id == decision_id("a", GENERATION, "r")
