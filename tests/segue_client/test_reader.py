"""The reader: four distinct answers, one generation an answer, a pointer of bounded age."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from loaders.bigtable.load import load_generation
from loaders.bigtable.table import ensure_table
from segue.settings import Settings
from segue_client.answer import Lookup, Outcome, judge
from segue_client.decision_id import decision_id
from segue_client.errors import (
    InvalidAccountIdError,
    LookupFailedError,
    NothingPublishedError,
    UnavailableError,
)
from segue_client.wire.offers_pb2 import AccountOffers, Offer
from serving.configured import open_async_reader, open_reader
from tests.bigtable_fixture import FaultyBigtable, account, offer, source

DAY = date(2026, 1, 31)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON_MS = 1_769_860_800_000


def answer(now_ms: int = NOON_MS, **fields: object) -> Lookup:
    payload = AccountOffers(account_id="a", **fields).SerializeToString()  # type: ignore[arg-type]
    return judge("a", payload, 7, now_ms)


def offer_until(offer_id: str, until_ms: int) -> Offer:
    return Offer(offer_id=offer_id, valid_until_ms=until_ms)


@pytest.mark.parametrize("payload", [None, b""], ids=["no cell", "tombstone"])
def test_no_cell_and_a_tombstone_are_an_unknown_account(payload: bytes | None) -> None:
    assert judge("a", payload, 7, NOON_MS) == Lookup("a", Outcome.UNKNOWN, 7)


def test_an_account_expires_at_the_instant_not_after_it() -> None:
    assert answer(valid_until_ms=NOON_MS + 1).outcome is Outcome.FOUND
    assert answer(valid_until_ms=NOON_MS).outcome is Outcome.EXPIRED
    assert answer(valid_until_ms=0).outcome is Outcome.FOUND


def test_a_suppressed_account_stays_suppressed_when_its_segments_are_old() -> None:
    found = answer(valid_until_ms=1, suppressed_reason="LEGAL", offers=[offer_until("x", 0)])
    assert (found.outcome, found.offers) == (Outcome.SUPPRESSED, ())


def test_expired_offers_are_left_out_and_the_order_of_the_rest_stays() -> None:
    found = answer(offers=[offer_until("c", 0), offer_until("b", NOON_MS), offer_until("a", NOON_MS + 1)])
    assert [each.offer_id for each in found.offers] == ["c", "a"]


def test_an_account_whose_every_offer_is_over_is_expired() -> None:
    assert answer(offers=[offer_until("b", NOON_MS)]).outcome is Outcome.EXPIRED


def test_an_account_for_which_nothing_was_chosen_is_found_with_no_offers() -> None:
    found = answer()
    assert (found.outcome, found.offers) == (Outcome.FOUND, ())


@pytest.fixture
def loaded(bigtable_world: Settings) -> Settings:
    """One generation with an account for each answer."""
    soon = datetime(2026, 1, 31, 11, 59, 59, tzinfo=UTC)
    rows = [
        account("found", offer("first"), offer("second", score=None)),
        account("suppressed", offer(), suppressed_reason="CONSENT_WITHDRAWN"),
        account("expired", offer(), valid_until_at=soon),
    ]
    load_generation(bigtable_world, DAY, source(*rows))
    return bigtable_world


def test_the_four_answers_come_from_the_table(loaded: Settings) -> None:
    asked = ["found", "nobody", "suppressed", "expired", "found"]
    with open_reader(loaded, now=lambda: NOON) as reader:
        points = [reader.lookup(each) for each in asked]
        assert reader.lookup_many(asked) == points
        assert reader.lookup_many([]) == []
    assert [each.outcome.value for each in points] == [
        "found", "unknown", "suppressed", "expired", "found",
    ]  # fmt: skip
    assert [each.offer_id for each in points[0].offers] == ["first", "second"]
    assert {each.generation_ms for each in points} == {1_769_817_600_001}


def test_the_answer_as_json_names_every_value(loaded: Settings) -> None:
    with open_reader(loaded, now=lambda: NOON) as reader:
        assert reader.lookup("found").to_dict() == {
            "account_id": "found",
            "outcome": "found",
            "generation_ms": 1_769_817_600_001,
            "segment_date": "2026-01-31",
            "market": "DE",
            "suppressed_reason": None,
            "valid_until_at": "2200-01-01T00:00:00Z",
            "offers": [
                {
                    "offer_id": offer_id,
                    "rule_id": "winback",
                    "rule_version": 3,
                    "priority": 10,
                    "score": score,
                    "reason_code": "SELECTED",
                    "experiment_id": None,
                    "variant": None,
                    "is_control": False,
                    "content_id": "cms-7",
                    "content_version": 2,
                    "valid_until_at": "2200-01-01T00:00:00Z",
                    "content_locale": "de-DE",
                    "decision_id": decision_id("found", 1_769_817_600_001, "winback"),
                }
                for offer_id, score in (("first", 0.5), ("second", None))
            ],
            "held_back": [],
        }


def test_a_batch_larger_than_one_read_answers_every_account(bigtable_world: Settings) -> None:
    rows = [account(f"account-{number}") for number in range(0, 2_400, 2)]
    load_generation(bigtable_world, DAY, source(*rows))
    with open_reader(bigtable_world) as reader:
        answers = reader.lookup_many([f"account-{number}" for number in range(2_400)])
    assert [each.outcome for each in answers] == [Outcome.FOUND, Outcome.UNKNOWN] * 1_200


def test_an_impossible_id_is_refused_before_anything_is_read(loaded: Settings) -> None:
    with open_reader(loaded) as reader:
        with pytest.raises(InvalidAccountIdError):
            reader.lookup("")
        with pytest.raises(InvalidAccountIdError):
            reader.lookup_many(["found", "x" * 5_000])


def test_nothing_published_and_no_table_are_errors_not_unknown_accounts(bigtable_world: Settings) -> None:
    with open_reader(bigtable_world) as reader:
        with pytest.raises(LookupFailedError, match="not found"):
            reader.lookup("found")
        ensure_table(bigtable_world)
        with pytest.raises(NothingPublishedError):
            reader.lookup("found")
        load_generation(bigtable_world, DAY, source(account("found")))
        assert reader.lookup("found").outcome is not Outcome.UNKNOWN


def test_a_reader_follows_the_pointer_within_its_refresh_interval(loaded: Settings) -> None:
    clock = 100.0
    with open_reader(loaded, refresh_seconds=5, monotonic=lambda: clock) as reader:
        first = reader.pointer().generation_ms
        load_generation(loaded, DAY, source(account("found")))
        clock = 102.4
        assert reader.lookup("suppressed").generation_ms == first
        assert reader.lookup("suppressed").outcome is Outcome.SUPPRESSED
        clock = 105.0
        assert reader.lookup("suppressed") == Lookup("suppressed", Outcome.UNKNOWN, first + 1)


def test_from_half_the_interval_on_the_pointer_is_read_in_the_background(
    loaded: Settings,
) -> None:
    clock = 100.0
    with open_reader(loaded, refresh_seconds=5, monotonic=lambda: clock) as reader:
        first = reader.pointer().generation_ms
        load_generation(loaded, DAY, source(account("found")))
        clock = 102.5
        assert reader.lookup("found").generation_ms == first
        deadline = time.monotonic() + 10
        while reader.lookup("found").generation_ms == first:
            assert time.monotonic() < deadline


def test_an_unreachable_pointer_serves_on_only_within_the_staleness_bound(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    clock = 0.0
    arguments = {"refresh_seconds": 5, "timeout_seconds": 0.5, "monotonic": lambda: clock}
    with open_reader(settings, **arguments) as reader:
        reader.pointer()
        proxy.refuse_reads_of = b"!pointer"
        # the read that follows has to end within the 30 seconds too
        clock = 29.4
        assert reader.lookup("found").outcome is Outcome.FOUND
        clock = 29.5
        with pytest.raises(UnavailableError):
            reader.lookup("found")


def test_a_read_that_fails_for_the_moment_is_sent_again(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))
    with open_reader(settings) as reader:
        reader.pointer()
        proxy.reads_to_refuse = 2
        assert reader.lookup("found").outcome is Outcome.FOUND
        assert proxy.reads_to_refuse == 0


def test_a_slow_read_is_hedged_and_the_first_answer_wins(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    proxy, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))

    async def lookups() -> tuple[float, int]:
        async with open_async_reader(settings, hedge_after_seconds=0.05, timeout_seconds=10) as reader:
            await reader.pointer()
            proxy.reads_to_delay = 1
            started = time.monotonic()
            found = await reader.lookup("found")
            assert found.outcome is Outcome.FOUND
            return time.monotonic() - started, reader.hedges_sent

    seconds, hedges = asyncio.run(lookups())
    assert seconds < FaultyBigtable.DELAY_SECONDS
    assert hedges == 1


def test_a_store_that_is_slow_as_a_whole_is_not_asked_twice_as_much(
    faulty_bigtable: tuple[FaultyBigtable, Settings],
) -> None:
    _, settings = faulty_bigtable
    load_generation(settings, DAY, source(account("found")))

    async def lookups() -> int:
        async with open_async_reader(settings, hedge_after_seconds=1e-6) as reader:
            for _ in range(100):
                await reader.lookup("found")
            return reader.hedges_sent

    # ten are saved up, and every tenth read earns one more
    assert asyncio.run(lookups()) <= 21


def test_a_refresh_interval_over_the_contract_is_refused(loaded: Settings) -> None:
    with pytest.raises(ValueError, match="refresh_seconds"), open_reader(loaded, refresh_seconds=31):
        pass


def test_threads_share_a_blocking_reader(loaded: Settings) -> None:
    with open_reader(loaded, now=lambda: NOON) as reader, ThreadPoolExecutor(8) as pool:
        outcomes = {each.outcome for each in pool.map(reader.lookup, ["found"] * 200)}
    assert outcomes == {Outcome.FOUND}


def test_the_settings_choose_the_emulator_and_the_environment_does_not(
    loaded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", "127.0.0.1:1")
    with open_reader(loaded, now=lambda: NOON) as reader:
        assert reader.lookup("found").outcome is Outcome.FOUND
