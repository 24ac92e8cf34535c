"""A day that declares what it consists of is held to it; nothing here needs a warehouse but to read files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loaders.landing.arrivals import Arrivals
from loaders.landing.contracts import CONTRACTS
from loaders.landing.errors import LandingError
from loaders.landing.land import land_days
from loaders.landing.listing import landing_store
from loaders.landing.read_days import Delivery, deliveries_of
from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from tests.loaders.landing.rates import declare, declared, deliver, name_of

DAY = date(2026, 3, 1)
RATES = CONTRACTS["fx_rates"]


def delivery(settings: Settings, landed: dict[date, frozenset[str]] | None = None) -> Delivery:
    arrivals = Arrivals(date(2020, 1, 1), landed or {}, {"fx_rates": frozenset([DAY])})
    return deliveries_of(settings, arrivals, [RATES], [DAY])[RATES, DAY]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, landing_files_uri=tmp_path.as_uri())


def test_the_files_are_those_of_the_manifest(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"))

    assert [file.base_name for file in delivery(settings).found.files] == ["p0.ndjson"]


def test_a_file_that_has_not_arrived_is_named(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"), declared(DAY, "SEK", file="p1.ndjson"))

    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-01/p1.ndjson: is in the manifest and has not arrived"
    ):
        delivery(settings)


def test_a_file_that_nobody_declared_is_named(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    deliver(settings, DAY, "SEK", file="p1.ndjson")
    declare(settings, DAY, declared(DAY, "EUR"))

    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-01/p1.ndjson: has arrived and is not in the manifest"
    ):
        delivery(settings)


def test_a_manifest_without_files_says_that_the_day_is_empty(settings: Settings) -> None:
    declare(settings, DAY)

    assert delivery(settings, {DAY: frozenset(["fx_rates"])}).found.files == ()


def test_a_feed_that_declares_its_days_does_not_land_without(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    strict = settings.model_copy(update={"manifest_feeds": frozenset(["fx_rates"])})

    with pytest.raises(LandingError, match=r"^fx_rates/2026-03-01: no _manifest.json has arrived"):
        delivery(strict)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"files": [', "Invalid JSON"),
        ('{"rows": 3}', "files: Field required"),
        ('{"files": [{"name": "a", "rows": -1, "sha256": "00"}]}', "files.0.rows: Input should be greater"),
        ('{"files": [{"name": "a/b", "rows": 1, "sha256": "00"}]}', "files.0.name: .*is no name of a file"),
        ('{"files": [{"name": "a", "rows": 1, "sha256": "00"}]}', "files.0.sha256: String should match"),
    ],
)
def test_a_manifest_that_says_nothing_clear_is_refused(settings: Settings, text: str, reason: str) -> None:
    deliver(settings, DAY, "EUR")
    landing_store(settings).write(name_of(DAY, "_manifest.json"), text.encode())

    with pytest.raises(LandingError, match=f"fx_rates/2026-03-01/_manifest.json: .*{reason}"):
        delivery(settings)


def test_a_manifest_that_names_a_file_twice_is_refused(settings: Settings) -> None:
    deliver(settings, DAY, "EUR")
    declare(settings, DAY, declared(DAY, "EUR"), declared(DAY, "EUR"))

    with pytest.raises(LandingError, match=r"_manifest.json: names p0.ndjson twice"):
        delivery(settings)


def test_rows_and_checksum_are_compared_with_what_is_read(world: Callable[..., Settings]) -> None:
    def land(*files: dict[str, Any]) -> None:
        declare(settings, DAY, *files)
        land_days(settings, [DAY], ["fx_rates"])

    settings = world("manifest")
    deliver(settings, DAY, "EUR", "euro")
    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-01/p0.ndjson: has 2 rows, the manifest says 3$"
    ):
        land(declared(DAY, "EUR", "euro", rows=3))
    with pytest.raises(
        LandingError, match=r"^fx_rates/2026-03-01/p0.ndjson: its SHA-256 is .*, the manifest "
    ):
        land(declared(DAY, "EUR", "GBP"))
    # The second row is refused, and counted all the same: it was delivered.
    land(declared(DAY, "EUR", "euro"))

    assert [row.currency for row in warehouse_of(settings).run("select currency from raw.fx_rates")] == [
        "EUR"
    ]
