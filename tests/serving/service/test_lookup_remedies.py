"""A lookup that fails: what its code's entry in the runbook says to do, until lookups answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from google.cloud.bigtable.data import SetCell
from pydantic import SecretStr

from loaders.bigtable.connection import open_table
from loaders.bigtable.load import load_generation
from loaders.bigtable.manifest import LoadMode
from segue.settings import Settings
from segue_client.bigtable import schema
from segue_client.bigtable.row_key import row_key
from segue_client.errors import SegueClientError
from serving.configured import open_service_client
from serving.service.probe import health_of
from tests.bigtable_fixture import FaultyBigtable, account, offer, source
from tests.runbook.steps import failing, says, segue, step
from tests.serving.service.conftest import DAY, served
from tests.serving.service.test_service import as_caller
from tests.serving.service.test_workers import free_ports

LOOKUP = "segue lookup ACCOUNT --service"
Faulty = tuple[FaultyBigtable, Settings]


def look_up(settings: Settings, account_id: str = "found") -> str:
    return segue(settings, step("lookup_failed", LOOKUP, {"ACCOUNT": account_id}))


def answered_within(seconds: float, ask: Callable[[], object]) -> None:
    """Asks until there is an answer; the last failure is raised."""
    patience = time.monotonic() + seconds
    while True:
        try:
            ask()
        except SegueClientError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.1)
        else:
            return


def test_not_authenticated(published: Settings, callers_file: Path) -> None:
    with served(published, service_callers_file=callers_file) as running:
        mistyped = running.settings.model_copy(update={"service_token": SecretStr("mistyped")})
        with failing("not_authenticated"):
            look_up(mistyped)

        file = ["--file", str(callers_file)]
        listed = segue(None, [*step("not_authenticated", "segue callers list"), *file, "--json"])
        assert [each["name"] for each in json.loads(listed)] == ["checkout", "home"]
        here = {"NAME": "checkout"}
        segue(None, [*step("not_authenticated", "segue callers remove NAME", here), *file])
        token = segue(None, [*step("not_authenticated", "segue callers add NAME", here), *file]).strip()
        anew = running.settings.model_copy(update={"service_token": SecretStr(token)})
        answered_within(10, lambda: look_up(anew))


def test_rate_limited(published: Settings, callers_file: Path) -> None:
    """What is over the limit is paid for afterwards: a hundred lookups, at one a second, block a minute."""
    with served(published, service_callers_file=callers_file) as running:
        hasty = as_caller(running.settings, "home").model_copy(update={"lookup_timeout_seconds": 0.5})
        with open_service_client(hasty) as home:
            home.lookup_many(["found"] * 100)
            with failing("rate_limited"):
                home.lookup("found")

            says("rate_limited", "set `lookups_per_second` and `burst` of its entry in the callers file")
            callers = yaml.safe_load(callers_file.read_text())
            for each in callers["callers"]:
                each |= {"lookups_per_second": 1_000, "burst": 1_000}
            callers_file.write_text(yaml.safe_dump(callers))
            answered_within(10, lambda: home.lookup("found"))
            home.lookup_many(["found"] * 100)


def test_invalid_request(published: Settings) -> None:
    with (
        served(published, service_max_batch=2) as running,
        open_service_client(running.settings) as client,
    ):
        with failing("invalid_request"):
            client.lookup_many(["found"] * 3)

        says("invalid_request", "A batch has at most `SEGUE_SERVICE_MAX_BATCH` accounts")
        assert len(client.lookup_many(["found"] * 2)) == 2


def test_invalid_account_id(published: Settings) -> None:
    with failing("invalid_account_id"):
        segue(published, ["lookup", ""])

    says("invalid_account_id", "Send the id as the marts have it in `account_id`")
    segue(published, ["lookup", "found"])


def test_unavailable_because_nobody_is_there(published: Settings) -> None:
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"
    with (
        open_service_client(published.model_copy(update={"service_address": address})) as client,
    ):
        with failing("unavailable"):
            client.lookup("found")
        says("unavailable", "Is it up? `python -m serving.service.probe`")
        assert health_of(address) is not None

        says("unavailable", "start it: `segue serve`")
        with served(published, service_address=address):
            assert health_of(address) is None
            answered_within(10, lambda: client.lookup("found"))


def test_timeout_of_a_slow_store(faulty_bigtable: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, settings = faulty_bigtable
    monkeypatch.setattr(proxy, "DELAY_SECONDS", 0.6)
    load_generation(settings, DAY, source(account("found")))
    with served(settings, lookup_timeout_seconds=0.2) as running:
        # the caller would wait
        patient = running.settings.model_copy(update={"lookup_timeout_seconds": 5})
        with open_service_client(patient) as client:
            proxy.reads_to_delay = 100
            with failing("timeout"):
                client.lookup("found")

            says("timeout", "look whether Bigtable is up, and at its latency and CPU")
            proxy.reads_to_delay = 0
            answered_within(10, lambda: client.lookup("found"))


def test_timeout_of_an_impatient_caller(faulty_bigtable: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, settings = faulty_bigtable
    monkeypatch.setattr(proxy, "DELAY_SECONDS", 0.4)
    load_generation(settings, DAY, source(account("found")))
    with served(settings, lookup_timeout_seconds=5) as running:
        proxy.reads_to_delay = 100
        hasty = running.settings.model_copy(update={"lookup_timeout_seconds": 0.1})
        with failing("timeout"), open_service_client(hasty) as client:
            client.lookup("found")

        says("timeout", "have the caller wait longer")
        patient = running.settings.model_copy(update={"lookup_timeout_seconds": 5})
        with open_service_client(patient) as client:
            client.lookup("found")


def test_lookup_failed_for_want_of_a_table(bigtable_world: Settings) -> None:
    with failing("lookup_failed"):
        segue(bigtable_world, ["lookup", "found"])

    with served(bigtable_world) as running:
        with failing("unavailable"), open_service_client(running.settings) as client:
            client.lookup("found")
        says("unavailable", "The reason is `STORE_UNAVAILABLE`: look at Bigtable. `segue lookup ACCOUNT`")
        says("lookup_failed", "the table is missing; do as for [no_table](#no_table)")
        load_generation(bigtable_world, DAY, source(account("found")))
        answered_within(10, lambda: look_up(running.settings))


def test_unreadable_offers(bigtable_world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = source(account("a", offer()), account("b", offer()))
    good = load_generation(bigtable_world, DAY - timedelta(days=1), rows).generation_ms or 0
    bad = load_generation(bigtable_world, DAY, rows, LoadMode.FULL).generation_ms or 0
    with open_table(bigtable_world) as table:
        table.mutate_row(
            row_key("a"),
            SetCell(schema.OFFERS_FAMILY, schema.OFFERS_QUALIFIER, b"\xff\xff", timestamp_micros=bad * 1_000),
        )

    def look_up(account_id: str) -> str:
        lookup = step("unreadable_offers", "segue lookup ACCOUNT", {"ACCOUNT": account_id})
        return segue(bigtable_world, lookup)

    def verify(generation: int) -> str:
        verify = step("unreadable_offers", "segue generations verify G", {"G": generation})
        return segue(bigtable_world, verify)

    with failing("unreadable_offers"):
        look_up("a")
    look_up("b")

    with failing("not_verified"):
        verify(bad)
    verify(good)
    segue(bigtable_world, step("unreadable_offers", "segue generations rollback G", {"G": good}))
    look_up("a")
    says("unreadable_offers", "load the newest day whole, with `mode` `full`")
    with monkeypatch.context() as patch:
        # a load after a rollback waits this long for readers that have not looked at the pointer
        patch.setattr(schema, "MAX_POINTER_STALENESS_SECONDS", 0.2)
        again = load_generation(bigtable_world, DAY, rows, LoadMode.FULL).generation_ms or 0
    assert "a" in look_up("a")
    verify(again)
