"""The wire contract: committed code equals the proto, and payload bytes are the golden ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict

import generate_golden
from generate_wire import generate
from segue.settings import PROJECT_ROOT
from segue_client.wire import offers_pb2, offers_pb2_grpc

GOLDEN = json.loads((PROJECT_ROOT / "clients/golden/payloads.json").read_text(encoding="utf-8"))


def test_the_committed_code_is_what_the_proto_generates(tmp_path: Path) -> None:
    generated = generate(tmp_path)
    assert [path.name for path in generated] == ["offers_pb2.py", "offers_pb2.pyi", "offers_pb2_grpc.py"]
    for path in generated:
        assert path.read_text() == (PROJECT_ROOT / "clients/python/segue_client/wire" / path.name).read_text()


def test_the_golden_vectors_are_what_this_package_makes(tmp_path: Path) -> None:
    for path in generate_golden.generate(tmp_path):
        assert path.read_text(encoding="utf-8") == (generate_golden.GOLDEN / path.name).read_text(
            encoding="utf-8"
        )
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in generate_golden.GOLDEN.glob("*.json")
    }


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: vector["name"])
def test_payloads_equal_the_golden_bytes_both_ways(vector: dict[str, object]) -> None:
    if vector["account"] is None:
        assert vector["payload_hex"] == ""
        return
    account = ParseDict(vector["account"], offers_pb2.AccountOffers())
    assert account.SerializeToString(deterministic=True).hex() == vector["payload_hex"]
    assert offers_pb2.AccountOffers.FromString(bytes.fromhex(str(vector["payload_hex"]))) == account


def test_a_score_of_zero_differs_from_no_score() -> None:
    first = offers_pb2.AccountOffers.FromString(bytes.fromhex(GOLDEN[0]["payload_hex"]))
    assert [offer.HasField("score") for offer in first.offers] == [True, False, True]


def test_the_cells_of_two_generations_differ_only_in_the_tail() -> None:
    cells = [
        offers_pb2.AccountOffers(
            account_id="a", market="DE", valid_until_ms=9, segment_date=day, generation_ms=generation
        ).SerializeToString()
        for day, generation in (("2026-01-30", 1), ("2026-01-31", 2))
    ]
    tail = len("xx2026-01-31") + 9
    assert cells[0][:-tail] == cells[1][:-tail]


def test_the_service_answers_point_and_batch_lookups() -> None:
    methods = offers_pb2.DESCRIPTOR.services_by_name["OfferLookup"].methods
    assert [method.name for method in methods] == ["Lookup", "BatchLookup"]
    assert offers_pb2_grpc.OfferLookupStub is not None
