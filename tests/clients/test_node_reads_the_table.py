"""The table is not private to our Python: Google's Node client reads what the loader wrote."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from loaders.bigtable import rollback
from loaders.bigtable.load import load_generation
from segue.settings import Settings
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer, source
from tests.clients.conftest import Run

DAYS = [date(2026, 1, 30), date(2026, 1, 31)]
ASKED = ["räksmörgås", "stays", "gone", "nobody"]


@pytest.fixture
def two_generations(bigtable_world: Settings) -> Settings:
    """``gone`` is a tombstone in the second generation."""
    kept = [
        account("räksmörgås", offer("first"), offer("second", score=None)),
        account("stays", held_back=[offer("kept from it", is_control=True)]),
    ]
    load_generation(bigtable_world, DAYS[0], source(*kept, account("gone", offer("old"))))
    load_generation(bigtable_world, DAYS[1], source(*kept))
    return bigtable_world


def read_table(run_node: Run, settings: Settings) -> Any:
    arguments = (settings.project_id, settings.bigtable_instance, settings.bigtable_table)
    # the Google Cloud client would look for a metadata server on the network
    environment = {
        "BIGTABLE_EMULATOR_HOST": settings.bigtable_emulator_host or "",
        "METADATA_SERVER_DETECTION": "none",
    }
    return json.loads(run_node("node", "dist/examples/read_table.js", *arguments, *ASKED, **environment))


def test_it_reads_what_the_loader_wrote(run_node: Run, two_generations: Settings) -> None:
    read = read_table(run_node, two_generations)
    with open_reader(two_generations) as reader:
        ours = reader.lookup_many(ASKED)
    assert read["generationMs"] == ours[0].generation_ms
    for theirs, answer in zip(read["answers"], ours, strict=True):
        stored = answer.account
        assert theirs["outcome"] == answer.outcome.value
        # a tombstone is an empty cell
        assert (theirs["cell"] or None) == (stored and stored.SerializeToString(deterministic=True).hex())
        for name, offers in (("offers", answer.offers), ("heldBack", answer.held_back)):
            assert [(each["offerId"], each["decisionId"]) for each in theirs[name]] == [
                (each.offer_id, each.decision_id) for each in offers
            ]


def test_it_follows_a_rollback(run_node: Run, two_generations: Settings) -> None:
    with open_reader(two_generations) as reader:
        newest = reader.pointer().generation_ms
    rollback(two_generations, newest - 86_400_000)
    read = read_table(run_node, two_generations)
    known = [answer["accountId"] for answer in read["answers"] if answer["outcome"] == "found"]
    assert known == ["räksmörgås", "stays", "gone"]
