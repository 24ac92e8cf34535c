"""Clients built from a released proto are understood, and a change that would break one is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

import proto_release
from proto_release import AlreadyReleasedError, breaks, current, freeze, released
from segue_client.version import __version__

Change = Callable[[FileDescriptorProto], None]


def changed(change: Change) -> FileDescriptorSet:
    files = current()
    change(files.file[0])
    return files


def message(file: FileDescriptorProto, name: str):  # type: ignore[no-untyped-def]
    return next(each for each in file.message_type if each.name == name)


def field(file: FileDescriptorProto, within: str, name: str) -> FieldDescriptorProto:
    return next(each for each in message(file, within).field if each.name == name)


def remove(repeated, name: str) -> None:  # type: ignore[no-untyped-def]
    repeated.remove(next(each for each in repeated if each.name == name))


@pytest.mark.parametrize("version", released())
def test_todays_proto_keeps_what_every_release_promised(version: str) -> None:
    assert breaks(released()[version], current()) == []


def test_this_version_is_frozen() -> None:
    assert __version__ in released()


BREAKS: dict[str, tuple[Change, list[str]]] = {
    "another number": (
        lambda file: setattr(field(file, "Offer", "content_id"), "number", 30),
        ["number of segue.offers.v1.Offer.content_id was 10 and is 30"],
    ),
    "a number used again": (
        lambda file: (
            remove(message(file, "Offer").field, "variant"),
            message(file, "Offer").field.add(
                name="arm", number=8, json_name="arm", type="TYPE_STRING", label="LABEL_OPTIONAL"
            ),
        ),
        [
            "field number 8 of segue.offers.v1.Offer was variant and is arm",
            "field segue.offers.v1.Offer.variant is gone",
        ],
    ),
    "another name": (
        lambda file: setattr(field(file, "LookupRequest", "account_id"), "name", "id"),
        [
            "field number 1 of segue.offers.v1.LookupRequest was account_id and is id",
            "field segue.offers.v1.LookupRequest.account_id is gone",
        ],
    ),
    "another name in JSON": (
        lambda file: setattr(field(file, "Offer", "offer_id"), "json_name", "offer"),
        ["name in JSON of segue.offers.v1.Offer.offer_id was offerId and is offer"],
    ),
    "another type": (
        lambda file: setattr(
            field(file, "Offer", "priority"), "type", FieldDescriptorProto.Type.Value("TYPE_INT32")
        ),
        ["type of segue.offers.v1.Offer.priority was sfixed32 and is int32"],
    ),
    "another message": (
        lambda file: setattr(field(file, "LookupResponse", "account"), "type_name", ".segue.offers.v1.Offer"),
        [
            "type of segue.offers.v1.LookupResponse.account was .segue.offers.v1.AccountOffers "
            "and is .segue.offers.v1.Offer"
        ],
    ),
    "one instead of many": (
        lambda file: setattr(
            field(file, "AccountOffers", "offers"),
            "label",
            FieldDescriptorProto.Label.Value("LABEL_OPTIONAL"),
        ),
        ["cardinality of segue.offers.v1.AccountOffers.offers was repeated and is singular"],
    ),
    "no longer optional": (
        lambda file: field(file, "Offer", "score").ClearField("proto3_optional"),
        [
            "cardinality of segue.offers.v1.Offer.score was optional and is singular",
            "oneof of segue.offers.v1.Offer.score was none and is _score",
        ],
    ),
    "a field removed": (
        lambda file: remove(message(file, "AccountOffers").field, "market"),
        ["field segue.offers.v1.AccountOffers.market is gone"],
    ),
    "a message removed": (
        lambda file: remove(file.message_type, "BatchLookupRequest"),
        ["message segue.offers.v1.BatchLookupRequest is gone"],
    ),
    "a value removed": (
        lambda file: remove(file.enum_type[0].value, "LOOKUP_OUTCOME_EXPIRED"),
        ["value segue.offers.v1.LookupOutcome.LOOKUP_OUTCOME_EXPIRED is gone"],
    ),
    "a value with another number": (
        lambda file: setattr(file.enum_type[0].value[4], "number", 9),
        ["number of segue.offers.v1.LookupOutcome.LOOKUP_OUTCOME_EXPIRED was 4 and is 9"],
    ),
    "an enum removed": (
        lambda file: remove(file.enum_type, "LookupOutcome"),
        ["enum segue.offers.v1.LookupOutcome is gone"],
    ),
    "a method removed": (
        lambda file: remove(file.service[0].method, "BatchLookup"),
        ["method segue.offers.v1.OfferLookup.BatchLookup is gone"],
    ),
    "a method with another request": (
        lambda file: setattr(file.service[0].method[0], "input_type", ".segue.offers.v1.Offer"),
        [
            "request of segue.offers.v1.OfferLookup.Lookup was .segue.offers.v1.LookupRequest "
            "and is .segue.offers.v1.Offer"
        ],
    ),
    "a method with another response": (
        lambda file: setattr(file.service[0].method[0], "output_type", ".segue.offers.v1.Offer"),
        [
            "response of segue.offers.v1.OfferLookup.Lookup was .segue.offers.v1.LookupResponse "
            "and is .segue.offers.v1.Offer"
        ],
    ),
    "a method that streams": (
        lambda file: setattr(file.service[0].method[0], "server_streaming", True),
        ["streaming of segue.offers.v1.OfferLookup.Lookup was none and is responses"],
    ),
    "the service removed": (
        lambda file: remove(file.service, "OfferLookup"),
        ["service segue.offers.v1.OfferLookup is gone"],
    ),
    "another Java package": (
        lambda file: setattr(file.options, "java_package", "com.example"),
        ["java_package of segue/offers/v1/offers.proto was segue.offers.v1 and is com.example"],
    ),
    "another package": (
        lambda file: setattr(file, "package", "segue.offers.v2"),
        ["package of segue/offers/v1/offers.proto was segue.offers.v1 and is segue.offers.v2"],
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_breaks_a_client_is_found(name: str) -> None:
    change, found = BREAKS[name]
    assert breaks(current(), changed(change)) == found


def test_additions_break_nobody() -> None:
    def add(file: FileDescriptorProto) -> None:
        message(file, "Offer").field.add(
            name="badge", number=15, json_name="badge", type="TYPE_STRING", label="LABEL_OPTIONAL"
        )
        file.enum_type[0].value.add(name="LOOKUP_OUTCOME_PAUSED", number=5)
        file.service[0].method.add(
            name="Explain",
            input_type=".segue.offers.v1.LookupRequest",
            output_type=".segue.offers.v1.LookupResponse",
        )
        file.message_type.add(name="Reason")

    assert breaks(current(), changed(add)) == []


def test_a_frozen_version_is_not_frozen_again_with_another_proto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proto_release, "RELEASED", tmp_path)
    written = freeze()
    assert freeze() == written
    without_market = changed(lambda file: remove(message(file, "AccountOffers").field, "market"))
    written.write_bytes(without_market.SerializeToString(deterministic=True))
    with pytest.raises(AlreadyReleasedError, match="raise the version first"):
        freeze()
