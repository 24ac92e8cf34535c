"""A load that is killed anywhere and run again ends with the content of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date

import pytest

from loaders.bigtable import list_generations, rollback
from loaders.bigtable.load import load_generation
from loaders.bigtable.scan import leftovers_from_before, payloads_of
from segue.settings import PROJECT_ROOT, Settings
from serving.connection import open_table
from serving.pointer import read_pointer
from serving.wire.offers_pb2 import AccountOffers
from tests.bigtable_fixture import account, offer, source
from tests.loaders.bigtable.killed_load import ROWS

BEFORE = [account(f"account-{number}", offer("before")) for number in range(600)]
DAY_1, DAY_2 = date(2026, 1, 1), date(2026, 1, 2)


def visible(settings: Settings) -> dict[bytes, AccountOffers]:
    """What readers see, without which attempt wrote it."""
    with open_table(settings) as table:
        current = read_pointer(table)
        assert current is not None
        assert list(leftovers_from_before(table, current.generation_ms)) == []
        content = {
            key: AccountOffers.FromString(payload)
            for key, payload in payloads_of(table, current.generation_ms)
        }
    for each in content.values():
        each.ClearField("generation_ms")
    return content


@pytest.fixture(scope="module")
def undisturbed(bigtable_emulator: str) -> dict[bytes, AccountOffers]:
    settings = Settings(
        _env_file=None, project_id="segue-undisturbed", bigtable_emulator_host=bigtable_emulator
    )
    load_generation(settings, DAY_2, source(*ROWS))
    return visible(settings)


@pytest.mark.parametrize(
    ("point", "attempts", "is_published"),
    [
        ("after the claim", 2, False),
        ("in the middle of the rows", 2, False),
        ("in the middle of the tombstones", 2, False),
        ("before the pointer moves", 2, False),
        ("after the pointer moved", 2, True),
    ],
)
def test_killed_and_run_again(
    point: str,
    attempts: int,
    is_published: bool,
    bigtable_world: Settings,
    undisturbed: dict[bytes, AccountOffers],
) -> None:
    first = load_generation(bigtable_world, DAY_1, source(*BEFORE)).generation_ms
    before = visible(bigtable_world)
    killed = subprocess.run(
        [
            sys.executable, "-m", "tests.loaders.bigtable.killed_load",
            point, bigtable_world.project_id, str(bigtable_world.bigtable_emulator_host), str(DAY_2),
        ],
        cwd=PROJECT_ROOT,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        timeout=60,
        capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert visible(bigtable_world) == (undisturbed if is_published else before)

    again = load_generation(bigtable_world, DAY_2, source(*ROWS))
    assert again.attempt == attempts
    assert visible(bigtable_world) == undisturbed
    # and what was published before is still whole
    assert first is not None
    rollback(bigtable_world, first)
    assert visible(bigtable_world) == before
    assert [row.manifest.state.value for row in list_generations(bigtable_world)][-1] == "published"
