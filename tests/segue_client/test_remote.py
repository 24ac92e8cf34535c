"""The client of the service for an event loop: the same answers and errors as the blocking one."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from pydantic import SecretStr

from loaders.bigtable.load import load_generation
from segue.errors import SettingsError
from segue.settings import Settings
from segue_client import (
    AsyncOfferServiceClient,
    InvalidRequestError,
    Lookup,
    LookupFailedError,
    LookupTimeoutError,
    OfferServiceClient,
    Outcome,
    UnavailableError,
)
from segue_client.wire.offers_pb2 import LookupRequest, LookupResponse
from segue_client.wire.offers_pb2_grpc import OfferLookupServicer, add_OfferLookupServicer_to_server
from serving.configured import open_reader, open_service_client
from tests.bigtable_fixture import account, source
from tests.serving.service.conftest import DAY, served
from tests.tcp_proxy import HASTY_KEEPALIVE, TcpProxy


@pytest.fixture
def address(bigtable_world: Settings) -> Iterator[str]:
    load_generation(bigtable_world, DAY, source(account("found"), account("blocked", suppressed_reason="X")))
    with served(bigtable_world) as service:
        yield service.settings.service_address


def test_it_answers_what_a_blocking_client_and_a_reader_of_the_table_answer(
    address: str, bigtable_world: Settings
) -> None:
    async def ask() -> list[Lookup]:
        async with AsyncOfferServiceClient(address) as client:
            return [await client.lookup("found"), *(await client.lookup_many(["blocked", "nobody"]))]

    answers = asyncio.run(ask())
    assert [answer.outcome for answer in answers] == [Outcome.FOUND, Outcome.SUPPRESSED, Outcome.UNKNOWN]
    with OfferServiceClient(address) as client:
        assert [client.lookup("found"), *client.lookup_many(["blocked", "nobody"])] == answers
    with open_reader(bigtable_world) as reader:
        assert reader.lookup("found").to_dict() == answers[0].to_dict()


def test_a_connection_that_a_router_has_forgotten_is_replaced_by_another(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue_client.remote.KEEPALIVE", HASTY_KEEPALIVE)
    network = TcpProxy(address)
    with OfferServiceClient(network.address, timeout_seconds=0.5) as client:
        assert client.lookup("found").outcome is Outcome.FOUND
        network.cut()
        network.mend(forgotten=True)
        give_up_at = time.monotonic() + 60
        while network.accepted == 1 and time.monotonic() < give_up_at:
            with suppress(LookupFailedError):
                client.lookup("found")

        assert client.lookup("found").outcome is Outcome.FOUND
    network.close()
    assert network.accepted == 2


def test_its_errors_are_those_of_the_blocking_client(address: str) -> None:
    async def ask() -> None:
        async with AsyncOfferServiceClient(address) as client:
            with pytest.raises(InvalidRequestError, match="an empty account id"):
                await client.lookup("")
        async with AsyncOfferServiceClient("127.0.0.1:1", timeout_seconds=5) as nobody:
            with pytest.raises(UnavailableError):
                await nobody.lookup("found")

    asyncio.run(ask())


def test_a_call_ends_within_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with OfferServiceClient(address, timeout_seconds=0.2) as client, pytest.raises(LookupTimeoutError):
            client.lookup("found")


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_client_without_time_or_with_endless_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"must be positive, and at most a day: {seconds}"):
        OfferServiceClient("127.0.0.1:1", timeout_seconds=seconds)


@pytest.mark.parametrize("token", ["secret\n", "sécret"])
def test_a_token_that_can_be_in_no_header_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(ValueError, match="the token has a line break or another character") as refused:
        OfferServiceClient("127.0.0.1:1", token=token)
    assert token not in str(refused.value)


def test_settings_that_give_no_client_are_wrong_settings() -> None:
    settings = Settings(_env_file=None, service_token=SecretStr("secret\n"))
    with pytest.raises(SettingsError, match="no client of the lookup service: the token has a line break"):
        open_service_client(settings)


def test_a_certificate_is_not_left_out_because_there_is_no_tls() -> None:
    with pytest.raises(ValueError, match="needs ca_file"):
        OfferServiceClient("127.0.0.1:1", client_certificate_file="client.pem")


def test_a_closed_client_raises_what_any_other_without_an_answer_does() -> None:
    async def ask() -> None:
        client = AsyncOfferServiceClient("127.0.0.1:1")
        await client.close()
        with pytest.raises(UnavailableError, match="closed"):
            await client.lookup("found")

    asyncio.run(ask())
    client = OfferServiceClient("127.0.0.1:1")
    client.close()
    with pytest.raises(UnavailableError, match="closed"):
        client.lookup("found")


def test_an_outcome_that_is_newer_than_the_client_is_an_error_of_its_own() -> None:
    class LaterService(OfferLookupServicer):
        def Lookup(self, request: LookupRequest, _context: object) -> LookupResponse:  # noqa: N802
            return LookupResponse(account_id=request.account_id, outcome=99)

    server = grpc.server(ThreadPoolExecutor(1))
    add_OfferLookupServicer_to_server(LaterService(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with (
        OfferServiceClient(f"127.0.0.1:{port}") as client,
        pytest.raises(LookupFailedError, match="outcome 99, which is newer than this client"),
    ):
        client.lookup("found")
    server.stop(0)
