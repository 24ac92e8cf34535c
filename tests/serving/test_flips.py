"""Readers under load while generations flip and roll back: each answer is whole, and was published.

A mixture is any answer that does not belong entirely to one generation which was published at some instant
between ``refresh_seconds`` before the question and the answer. Each generation writes its day into every
account it holds, so an answer tells by itself where it came from.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta

import grpc
import pytest

from loaders.bigtable import list_generations, rollback
from loaders.bigtable.load import load_generation
from segue.settings import Settings
from segue_client.answer import Lookup, Outcome
from segue_client.bigtable import schema
from segue_client.errors import LookupTimeoutError, UnavailableError
from segue_client.wire.offers_pb2 import BatchLookupRequest, LookupRequest, LookupResponse
from segue_client.wire.offers_pb2_grpc import OfferLookupStub
from serving.configured import open_async_reader
from serving.service.servicer import WIRE_OUTCOMES
from tests.bigtable_fixture import account, offer, source
from tests.serving.service.conftest import serving_process

FIRST_DAY = date(2026, 1, 1)
LOADS = 12
ROLLBACKS = 8
REFRESH_SECONDS = 0.2
TIMEOUT_SECONDS = 2.5
ACCOUNTS = [f"account-{number}" for number in range(60)]
# even days hold the first forty accounts, odd days the last forty
HELD = {0: frozenset(ACCOUNTS[:40]), 1: frozenset(ACCOUNTS[20:])}


@dataclass
class Publications:
    """When each generation may have been what the pointer says: from before the move to after the next."""

    since: list[tuple[float, float, int]] = field(default_factory=list)

    def moved(self, began: float, generation: int) -> None:
        """The pointer came to ``generation`` at some instant between ``began`` and now."""
        self.since.append((began, time.monotonic(), generation))

    def may_be_seen(self, generation: int, asked: float, answered: float) -> bool:
        """Whether a fresh enough reader may give this generation."""
        for place, (began, _, each) in enumerate(self.since):
            ended = self.since[place + 1][1] if place + 1 < len(self.since) else float("inf")
            if each == generation and began <= answered and ended >= asked - REFRESH_SECONDS:
                return True
        return False


@dataclass
class Observation:
    """One call: when it was asked and answered, and the accounts' answers."""

    asked: float
    answered: float
    answers: list[Lookup]


@pytest.fixture(autouse=True)
def _readers_refresh_often(monkeypatch: pytest.MonkeyPatch) -> None:
    # a load after a rollback waits this long before it removes what was rolled back, and no read lasts longer
    monkeypatch.setattr(schema, "MAX_POINTER_STALENESS_SECONDS", 4.0)


def rows_of(day: date) -> list[dict[str, object]]:
    held = HELD[day.toordinal() % 2]
    return [account(name, offer(f"of-{day}"), market=f"{day}") for name in ACCOUNTS if name in held]


def flip(settings: Settings, publications: Publications) -> None:
    """Twenty moves of the pointer: new days, with rollbacks there and back, or two steps back."""
    day = FIRST_DAY
    for load in range(1, LOADS + 1):
        day += timedelta(days=1)
        began = time.monotonic()
        result = load_generation(settings, day, source(*rows_of(day)))
        assert result.generation_ms is not None
        publications.moved(began, result.generation_ms)
        if load % 3 == 0:
            kept = [row.manifest.generation_ms for row in list_generations(settings) if row.is_retained]
            for generation in (kept[1], kept[2] if load % 6 == 0 else kept[0]):
                began = time.monotonic()
                rollback(settings, generation)
                publications.moved(began, generation)
                time.sleep(REFRESH_SECONDS)


def problems(observations: list[Observation], publications: Publications) -> list[str]:
    """What no reader may see."""
    found: list[str] = []
    for each in observations:
        generations = {answer.generation_ms for answer in each.answers}
        if len(generations) != 1:
            found.append(f"one call answered from {generations}")
            continue
        [generation] = generations
        if not publications.may_be_seen(generation, each.asked, each.answered):
            found.append(f"{generation} was not published when it was seen")
        day = schema.segment_date_of(generation)
        for answer in each.answers:
            is_held = answer.account_id in HELD[day.toordinal() % 2]
            if (answer.outcome is Outcome.FOUND) != is_held:
                found.append(f"{answer.account_id} is {answer.outcome.value} in {day}")
            if answer.account is not None and answer.account.market != f"{day}":
                found.append(f"{answer.account_id} of {answer.account.market} in {day}")
    return found


Ask = Callable[[list[str]], Awaitable[list[Lookup]]]


async def read_under_load(ask: dict[str, Ask], done: threading.Event) -> list[Observation]:
    """Asks for one account and for many, from several tasks, until it is done."""
    observations: list[Observation] = []

    async def keep_asking(how: Ask, accounts: list[list[str]]) -> None:
        place = 0
        while not done.is_set():
            asked = time.monotonic()
            # a machine that is too busy to answer in time has given no wrong answer
            with suppress(LookupTimeoutError, UnavailableError, grpc.aio.AioRpcError):
                answers = await how(accounts[place % len(accounts)])
                observations.append(Observation(asked, time.monotonic(), answers))
            place += 1
            await asyncio.sleep(0.002)

    singles = [[name] for name in ACCOUNTS]
    await asyncio.gather(
        *(keep_asking(ask["one"], singles[start:] + singles[:start]) for start in (0, 15, 30, 45)),
        *(keep_asking(ask["many"], [ACCOUNTS]) for _ in range(2)),
    )
    return observations


async def library(settings: Settings, done: threading.Event) -> list[Observation]:
    async with open_async_reader(
        settings, refresh_seconds=REFRESH_SECONDS, timeout_seconds=TIMEOUT_SECONDS
    ) as reader:

        async def one(accounts: list[str]) -> list[Lookup]:
            return [await reader.lookup(accounts[0])]

        return await read_under_load({"one": one, "many": reader.lookup_many}, done)


async def service(address: str, done: threading.Event) -> list[Observation]:
    outcomes = {wire: outcome for outcome, wire in WIRE_OUTCOMES.items()}

    def lookup(answer: LookupResponse) -> Lookup:
        stored = answer.account if answer.HasField("account") else None
        return Lookup(answer.account_id, outcomes[answer.outcome], answer.generation_ms, stored)

    async with grpc.aio.insecure_channel(address) as channel:
        stub = OfferLookupStub(channel)  # type: ignore[no-untyped-call]

        async def one(accounts: list[str]) -> list[Lookup]:
            return [lookup(await stub.Lookup(LookupRequest(account_id=accounts[0]), timeout=10))]

        async def many(accounts: list[str]) -> list[Lookup]:
            response = await stub.BatchLookup(BatchLookupRequest(account_ids=accounts), timeout=10)
            return [lookup(answer) for answer in response.answers]

        return await read_under_load({"one": one, "many": many}, done)


def test_no_reader_sees_a_mixture_or_misses_an_account_during_twenty_flips(bigtable_world: Settings) -> None:
    publications = Publications()
    began = time.monotonic()
    first = load_generation(bigtable_world, FIRST_DAY, source(*rows_of(FIRST_DAY)))
    assert first.generation_ms is not None
    publications.moved(began, first.generation_ms)
    done = threading.Event()
    observed: dict[str, list[Observation]] = {}

    async def read(address: str) -> None:
        observed["library"], observed["service"] = await asyncio.gather(
            library(bigtable_world, done), service(address, done)
        )

    with serving_process(
        bigtable_world,
        SEGUE_POINTER_REFRESH_SECONDS=str(REFRESH_SECONDS),
        SEGUE_LOOKUP_TIMEOUT_SECONDS=str(TIMEOUT_SECONDS),
    ) as process:
        readers = threading.Thread(target=lambda: asyncio.run(read(process.address)))
        readers.start()
        try:
            flip(bigtable_world, publications)
        finally:
            done.set()
            readers.join(90)

    assert len(publications.since) == 1 + LOADS + ROLLBACKS
    assert set(observed) == {"library", "service"}
    for observations in observed.values():
        assert problems(observations, publications) == []
        # readers were there all along, and followed
        assert len(observations) > 200
        assert len({each.answers[0].generation_ms for each in observations}) >= LOADS / 2


def test_the_proof_would_notice_a_mixture_a_stale_answer_and_a_missing_account() -> None:
    publications = Publications([(0.0, 1.0, 86_400_001), (10.0, 11.0, 172_800_001)])
    day = schema.segment_date_of(86_400_001)
    held = [
        Lookup(name, Outcome.FOUND if name in HELD[day.toordinal() % 2] else Outcome.UNKNOWN, 86_400_001)
        for name in ACCOUNTS
    ]
    assert problems([Observation(5.0, 5.1, held)], publications) == []
    assert problems([Observation(11.3, 11.4, held)], publications) != []
    assert problems(
        [Observation(5.0, 5.1, [Lookup("account-30", Outcome.UNKNOWN, 86_400_001)])], publications
    )
    mixture = [held[0], Lookup(ACCOUNTS[0], Outcome.UNKNOWN, 172_800_001)]
    assert problems([Observation(10.5, 10.6, mixture)], publications) != []
