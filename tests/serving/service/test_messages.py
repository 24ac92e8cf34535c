"""What a caller is told of a call that is not answered: what it gave and what would do, nothing internal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from loaders.bigtable.load import load_generation
from segue.settings import Settings
from segue_client import (
    InvalidAccountIdError,
    InvalidRequestError,
    LookupTimeoutError,
    NothingPublishedError,
    OfferServiceClient,
    UnavailableError,
    UnreadableOffersError,
)
from segue_client.wire.offers_pb2 import BatchLookupRequest, LookupRequest
from serving.configured import open_reader
from serving.service.refusals import refusal_of
from tests.bigtable_fixture import account, offer, source
from tests.serving.service.conftest import DAY, TOKENS, served, write_callers_file

SERVICE = "segue.offers.v1.OfferLookup"
CHECKOUT = f"Bearer {TOKENS['checkout']}"
HOME = f"Bearer {TOKENS['home']}"


@pytest.fixture(scope="module")
def channel(published: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    callers_file = write_callers_file(tmp_path_factory.mktemp("callers") / "callers.yml")
    with (
        served(published, service_callers_file=callers_file) as running,
        grpc.insecure_channel(running.settings.service_address) as channel,
    ):
        yield channel


def told(channel: grpc.Channel, request: Any, authorization: str | None = CHECKOUT) -> tuple[str, str]:
    """Status and message of the answer to a request; bytes go to ``Lookup`` as they are."""
    method = "BatchLookup" if isinstance(request, BatchLookupRequest) else "Lookup"
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    metadata = () if authorization is None else (("authorization", authorization),)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/{method}")(raw, timeout=10, metadata=metadata)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (LookupRequest(), "an empty account id"),
        (
            LookupRequest(account_id="x" * 5_000),
            "an account id of 5,000 bytes; at most 4,091 are allowed",
        ),
        (LookupRequest(account_id="🎧" * 1_023), "an account id of 4,092 bytes; at most 4,091 are allowed"),
        (BatchLookupRequest(account_ids=["found", ""]), "account_ids[1]: an empty account id"),
        (
            BatchLookupRequest(account_ids=["found", "nobody", "x" * 5_000]),
            "account_ids[2]: an account id of 5,000 bytes; at most 4,091 are allowed",
        ),
        (
            BatchLookupRequest(account_ids=["found"] * 1_001),
            "1,001 account ids in one batch; at most 1,000 are allowed",
        ),
        (
            # more bytes than gRPC takes by itself
            BatchLookupRequest(account_ids=["x" * 4_000] * 1_300),
            "1,300 account ids in one batch; at most 1,000 are allowed",
        ),
        (b"\xff\xff\xff", "3 bytes that are no LookupRequest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_that_cannot_be_answered(channel: grpc.Channel, request_: Any, message: str) -> None:
    assert told(channel, request_) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "no token: send it as metadata, `authorization: Bearer <token>`"),
        ("Basic dXNlcjpzZWNyZXQ=", "`authorization` is not `Bearer <token>`"),
        ("Bearer mistyped", "a token of 8 characters that no caller has"),
    ],
)
def test_a_token_that_is_not_known_is_described_and_not_repeated(
    channel: grpc.Channel, authorization: str | None, message: str
) -> None:
    assert told(channel, LookupRequest(account_id="found"), authorization) == ("UNAUTHENTICATED", message)


def test_a_caller_over_its_limit_is_told_the_limit(channel: grpc.Channel) -> None:
    asked = BatchLookupRequest(account_ids=["found"] * 3)
    bearer = (("authorization", HOME),)
    channel.unary_unary(f"/{SERVICE}/BatchLookup")(asked.SerializeToString(), timeout=10, metadata=bearer)
    status, message = told(channel, asked, HOME)
    assert status == "RESOURCE_EXHAUSTED"
    assert re.fullmatch(r"3 asked for, over the limit of 1 a second; there is room in [23]\.\d s", message)


@pytest.mark.parametrize(
    ("failure", "has_deadline", "status", "message"),
    [
        (
            UnavailableError("failed to connect to all addresses; ipv4:10.1.2.3:8086"),
            True,
            "UNAVAILABLE",
            "offers cannot be read at the moment",
        ),
        (
            LookupTimeoutError("no answer from Bigtable in time"),
            True,
            "DEADLINE_EXCEEDED",
            "offers could not be read in time",
        ),
        (
            LookupTimeoutError("no answer from Bigtable in time"),
            False,
            "DEADLINE_EXCEEDED",
            "offers could not be read in time (the call gave no deadline)",
        ),
        (
            NothingPublishedError("no generation is published in this table"),
            True,
            "FAILED_PRECONDITION",
            "no generation is published",
        ),
        (
            UnreadableOffersError("account_ids[1]: what is stored of the account cannot be read"),
            True,
            "DATA_LOSS",
            "account_ids[1]: what is stored of the account cannot be read",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_behind_the_service_is_not_named(
    failure: Exception, has_deadline: bool, status: str, message: str
) -> None:
    refusal, said = refusal_of(failure, has_deadline=has_deadline)
    assert (refusal.status.name, said) == (status, message)


def test_the_clients_name_what_they_cannot_send(published: Settings) -> None:
    with OfferServiceClient("127.0.0.1:1") as remote, open_reader(published) as reader:
        for lookups in (remote, reader):
            with pytest.raises(InvalidAccountIdError) as caught:
                lookups.lookup("a\ud800")
            assert str(caught.value) == (
                "an account id with an unpaired surrogate at character 1; ids are UTF-8"
            )
            with pytest.raises(InvalidAccountIdError) as caught:
                lookups.lookup_many(["found", 7])  # type: ignore[list-item]
            assert str(caught.value) == "account_ids[1]: an account id of type int; ids are texts"
            with pytest.raises(InvalidRequestError) as refused:
                lookups.lookup_many("found")
            assert str(refused.value) == "one str where a list of account ids belongs"


def test_a_batch_of_more_bytes_than_grpc_takes_by_itself_is_answered(bigtable_world: Settings) -> None:
    offers = [offer(f"offer-{number}") for number in range(40)]
    load_generation(bigtable_world, DAY, source(account("much", *offers)))
    with served(bigtable_world) as running, OfferServiceClient(running.settings.service_address) as client:
        answers = client.lookup_many(["much"] * 1_000)
    assert [len(each.offers) for each in answers] == [40] * 1_000
    assert answers[0].account is not None
    assert answers[0].account.ByteSize() * 1_000 > 4 << 20
