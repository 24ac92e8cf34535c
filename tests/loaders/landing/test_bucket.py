"""The whole landing in a bucket, by an identity that may do everything with objects and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.kept_results import keep_results
from loaders.erasure.files import Files
from loaders.landing.arrivals import Arrivals
from loaders.landing.days import Landed, land_through
from loaders.landing.errors import LandingError
from loaders.landing.files import opened
from loaders.landing.land import land_days
from loaders.landing.listing import landing_store
from loaders.objects.store import open_store
from loaders.warehouse.client import warehouse_of
from segue.settings import Settings
from segue.window import DAY
from tests.gcs_fixture import Gcs
from tests.loaders.landing.rates import declare, declared, deliver, rates
from tests.loaders.landing.test_land import event, write

FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (1, 2, 3))


@pytest.fixture
def settings(world: Callable[..., Settings], gcs: Gcs) -> Settings:
    gcs.refused.clear()
    return gcs.bucket_of(world("bucket"))


def land(settings: Settings, start: date, end: date) -> Landed:
    return land_through(settings, Arrivals.read(settings), start, end)


def landed(settings: Settings) -> list[tuple[Any, ...]]:
    sql = "select arrival_date, currency, landing_file from raw.fx_rates order by 1, 2"
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def test_arrivals_before_the_first_landed_day_land(settings: Settings, gcs: Gcs) -> None:
    deliver(settings, SECOND, "EUR")
    land(settings, SECOND, SECOND)
    # Nobody made a folder for them: there is none in a bucket.
    gcs.put(settings, f"fx_rates/{FIRST}/p0.ndjson", rates(FIRST, "EUR", "NOK"))
    deliver(settings, THIRD, "EUR", "SEK")
    # Somebody did make one for a day on which nothing came.
    gcs.put(settings, f"fx_rates/{FIRST - DAY}/")

    land(settings, THIRD, THIRD)

    assert landed(settings) == [
        (FIRST, "EUR", "fx_rates/2026-03-01/p0.ndjson"),
        (FIRST, "NOK", "fx_rates/2026-03-01/p0.ndjson"),
        (SECOND, "EUR", "fx_rates/2026-03-02/p0.ndjson"),
        (THIRD, "EUR", "fx_rates/2026-03-03/p0.ndjson"),
        (THIRD, "SEK", "fx_rates/2026-03-03/p0.ndjson"),
    ]
    assert gcs.refused == []


def test_parquet_refused_rows_and_manifests_are_as_in_a_folder(settings: Settings, gcs: Gcs) -> None:
    local = settings.model_copy(update={"landing_files_uri": (settings.state_dir / "out").as_uri()})
    path = write(local, "subscription_events", [event(n, FIRST) for n in range(30)], FIRST)
    gcs.put(settings, f"subscription_events/{FIRST}/p0.parquet", path.read_bytes())
    gcs.put(settings, f"fx_rates/{FIRST}/p0.ndjson", rates(FIRST, "EUR") + b"not json\n")

    [rows] = [each for each in land(settings, FIRST, FIRST).landings if each.table == "subscription_events"]
    quarantined = list(warehouse_of(settings).run("select landing_row, reason from quarantine.fx_rates"))

    assert (rows.rows_in, rows.rows_out) == (30, 30)
    assert [row.landing_row for row in quarantined] == [2]
    declare(settings, FIRST, declared(FIRST, "EUR", rows=2))
    with pytest.raises(LandingError, match=r"^fx_rates/2026-03-01/p0.ndjson: its SHA-256 is"):
        land_days(settings, [FIRST], ["fx_rates"])
    assert gcs.refused == []


def test_a_file_that_is_replaced_under_the_reader_does_not_land_half(settings: Settings, gcs: Gcs) -> None:
    deliver(settings, FIRST, "EUR")
    store = landing_store(settings)
    [listed] = store.objects("fx_rates/")
    gcs.put(settings, listed.name, rates(FIRST, "EUR", "SEK"))

    with pytest.raises(LandingError, match=r"generation .* is no longer there"), opened(store, listed):
        pass
    land(settings, FIRST, FIRST)
    assert [row[1] for row in landed(settings)] == ["EUR", "SEK"]


def test_what_came_later_restates_and_scratch_that_was_left_is_searched(
    settings: Settings, gcs: Gcs, tmp_path: Path
) -> None:
    deliver(settings, FIRST, "EUR")
    deliver(settings, SECOND, "EUR")
    land(settings, FIRST, SECOND)
    deliver(settings, FIRST, "EUR", "SEK")
    deliver(settings, THIRD, "EUR")

    again = land(settings, THIRD, THIRD).late

    assert [(each.table, each.day, each.rows_in) for each in again] == [("fx_rates", FIRST, 2)]
    assert [row[:2] for row in landed(settings)] == [
        (FIRST, "EUR"), (FIRST, "SEK"), (SECOND, "EUR"), (THIRD, "EUR"),
    ]  # fmt: skip
    left = pa.BufferOutputStream()
    pq.write_table(pa.table({"account_id": ["leaver"]}), left)
    gcs.put(settings, "_scratch/killed.payments.parquet", left.getvalue().to_pybytes())
    gcs.put(settings, "_scratch/killed.consents.parquet", b"half a file")
    files = Files(settings.model_copy(update={"state_dir": tmp_path}), ["leaver"])
    assert files.count() == {"_scratch/killed.payments.parquet": 1}
    files.remove()
    assert files.count() == {}
    assert gcs.refused == []


def test_results_of_validations_are_kept_in_a_bucket_and_erased_there(
    settings: Settings, gcs: Gcs, tmp_path: Path
) -> None:
    results = f"{settings.landing_uri}/results"
    kept = settings.model_copy(update={"state_dir": tmp_path, "results_uri": results})
    for name, text in {
        "data_docs/index.html": "<a>fct_subscriber_daily</a>",
        "data_docs/validations/fct_subscriber_daily/1.html": "<td>leaver</td><td>stayer</td>",
        "data_docs/static/images/logo.png": "not needed",
        "validation_results/fct_subscriber_daily/1.json": '{"unexpected": ["leaver", "stayer"]}',
        "validation_results/.ge_store_backend_id": "not needed",
    }.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(text)

    front_page = keep_results(kept, tmp_path / "run", "audit_20260301_1")

    assert front_page == f"{results}/data_docs/audit_20260301_1/index.html"
    store = open_store(kept, kept.results_root)
    page = "data_docs/audit_20260301_1/validations/fct_subscriber_daily/1.html"
    result = "validation_results/audit_20260301_1/fct_subscriber_daily/1.json"
    assert [stored.name for stored in store.objects("")] == [
        "data_docs/audit_20260301_1/index.html", page, result,
    ]  # fmt: skip
    assert Files(kept, ["leaver"]).count() == {page: 1, result: 1}
    Files(kept, ["leaver"]).remove()
    assert Files(kept, ["leaver"]).count() == {}
    assert store.read(page)[0] == b"<td>******</td><td>stayer</td>"
    for stored in store.objects(""):
        store.delete(stored.name)
    assert gcs.refused == []
    assert [name for name in gcs.names(settings) if not name.startswith("fx_rates/")] == []
