"""Point reads share requests: a lone one goes at once, company goes together, nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from segue_client.bigtable.coalescer import Coalescer
from segue_client.bigtable.reads import Rows
from segue_client.errors import LookupTimeoutError, UnavailableError


class Store:
    """Answers when it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, list[bytes]]] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, request: bytes, keys: list[bytes]) -> Rows:
        self.asked.append((request, keys))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return {key: {b"p": key.upper()} for key in keys if key != b"nobody"}


def scenario(steps: Callable[[Store, Coalescer], Awaitable[None]], **limits: Any) -> Store:
    async def run() -> Store:
        store = Store()
        values: dict[str, Any] = {
            "timeout_seconds": 5.0,
            "linger_seconds": 0.1,
            "reads_in_flight": 2,
            "keys_per_read": 3,
        }
        coalescer = Coalescer(store.read, **(values | limits))
        await steps(store, coalescer)
        await coalescer.close()
        return store

    return asyncio.run(run())


def test_what_is_asked_at_the_same_time_is_one_read_and_each_gets_its_own_answer() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.open.set()
        answers = await asyncio.gather(*(coalescer.get(b"r", key) for key in (b"a", b"nobody", b"a")))
        assert answers == [{b"p": b"A"}, None, {b"p": b"A"}]

    assert scenario(steps).asked == [(b"r", [b"a", b"nobody"])]


def test_while_a_read_runs_others_gather_and_go_after_the_linger() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        first = asyncio.ensure_future(coalescer.get(b"r", b"a"))
        await asyncio.sleep(0.001)
        assert len(store.asked) == 1
        others = [asyncio.ensure_future(coalescer.get(b"r", key)) for key in (b"b", b"c")]
        await asyncio.sleep(0.001)
        assert len(store.asked) == 1
        await asyncio.sleep(0.5)
        assert store.asked[1:] == [(b"r", [b"b", b"c"])]
        store.open.set()
        await asyncio.gather(first, *others)

    scenario(steps)


def test_a_full_read_does_not_wait() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        waiting = [asyncio.ensure_future(coalescer.get(b"r", b"%d" % n)) for n in range(9)]
        await asyncio.sleep(0.001)
        # two reads in flight of three keys each; the rest waits for one of them to end
        assert [len(keys) for _, keys in store.asked] == [3, 3]
        store.open.set()
        await asyncio.gather(*waiting)

    assert [len(keys) for _, keys in scenario(steps, linger_seconds=1.0).asked] == [3, 3, 3]


def test_on_a_loop_without_cpu_to_spare_also_a_lone_lookup_waits_for_company() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.open.set()
        first = asyncio.ensure_future(coalescer.get(b"r", b"a"))
        await asyncio.sleep(0.01)
        assert store.asked == []
        second = asyncio.ensure_future(coalescer.get(b"r", b"b"))
        assert await asyncio.gather(first, second) == [{b"p": b"A"}, {b"p": b"B"}]

    store = scenario(steps, busy_linger_seconds=0.4, shortage=lambda: 0.5)
    assert store.asked == [(b"r", [b"a", b"b"])]


def test_the_more_cpu_there_is_the_shorter_the_wait() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.open.set()
        # ten seconds of linger would be the end of this lookup
        assert await coalescer.get(b"r", b"a") == {b"p": b"A"}

    scenario(steps, busy_linger_seconds=10.0, shortage=lambda: 0.0, timeout_seconds=5.0)


def test_a_full_read_does_not_wait_for_cpu_either() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.open.set()
        await asyncio.gather(*(coalescer.get(b"r", key) for key in (b"a", b"b", b"c")))

    scenario(steps, busy_linger_seconds=10.0, shortage=lambda: 1.0, timeout_seconds=5.0)


def test_keys_of_different_generations_are_never_read_together() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.open.set()
        await asyncio.gather(
            coalescer.get(b"old", b"a"), coalescer.get(b"new", b"a"), coalescer.get(b"old", b"b")
        )

    assert sorted(scenario(steps).asked) == [(b"new", [b"a"]), (b"old", [b"a", b"b"])]


def test_an_error_reaches_everybody_who_waits_for_that_read() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        store.error = UnavailableError("down")
        store.open.set()
        answers = await asyncio.gather(
            *(coalescer.get(b"r", key) for key in (b"a", b"b")), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [UnavailableError] * 2

    scenario(steps)


def test_a_lookup_ends_within_its_timeout_also_when_its_read_was_never_sent() -> None:
    async def steps(_: Store, coalescer: Coalescer) -> None:
        answers = await asyncio.gather(
            *(coalescer.get(b"r", b"%d" % n) for n in range(9)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [LookupTimeoutError] * 9

    scenario(steps, timeout_seconds=0.05)


def test_somebody_who_goes_away_takes_nobody_along() -> None:
    async def steps(store: Store, coalescer: Coalescer) -> None:
        gone, stays = (asyncio.ensure_future(coalescer.get(b"r", b"a")) for _ in range(2))
        await asyncio.sleep(0.001)
        gone.cancel()
        store.open.set()
        assert await stays == {b"p": b"A"}
        with pytest.raises(asyncio.CancelledError):
            await gone

    scenario(steps)
