"""Somebody who is in every feed, in every mart and online is erased, and no feed brings them back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from pydantic import SecretStr

from loaders.bigtable import load_segments
from loaders.bigtable.connection import open_table
from loaders.erasure import MergedAccountError, erase
from loaders.landing.contracts import CONTRACTS
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import append_rows
from runs.attempts import end_attempt
from runs.dbt import build
from runs.publish import publish
from runs.steps import asked, land
from segue.settings import Settings
from tests.judged import let_through
from tests.loaders.erasure.feeds import (
    DAY,
    NAME_NOBODY,
    Person,
    apple_of_subscription,
    deliver,
    deliver_export,
    google_of_subscription,
    stripe_of_customer,
    stripe_of_subscription,
)

LEAVER = Person("räk-leaver-7", "leaver")
STAYER = Person("räk-stayer-8", "stayer")
ONLY_THE_SUBSCRIPTION = {
    "google_play_notifications": [google_of_subscription(LEAVER)],
    "app_store_notifications": [apple_of_subscription(LEAVER)],
    "stripe_events": [stripe_of_subscription(LEAVER), stripe_of_customer(LEAVER)],
}


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


@pytest.fixture(scope="module")
def platform(
    dbt_world: Callable[..., Settings],
    bigtable_emulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """The day landed, built, published and loaded; what a killed run and an as-of build left is there."""
    settings = dbt_world(
        "every-feed", bigtable_emulator_host=bigtable_emulator, erasure_salt=SecretStr("salt of the test"),
        dbt_threads=2,
    )  # fmt: skip
    deliver(settings, STAYER, LEAVER, more=ONLY_THE_SUBSCRIPTION)
    deliver_export(settings, tmp_path_factory.mktemp("export"), STAYER, LEAVER)
    window = land(settings, asked(settings, DAY, DAY)).window
    build(settings, window)
    warehouse = warehouse_of(settings)
    for dataset, model in (
        ("audit_20260101", "int_account_versions"),
        ("as_of_20260329", "fct_account_features"),
    ):
        warehouse.ensure_dataset(dataset)
        warehouse.run(
            f"create table `{settings.project_id}.{dataset}.{model}` as select * from {window.table(model)}"
        )
    let_through(settings, window)
    publish(settings, window)
    end_attempt(settings, window)
    load_segments(settings, DAY)
    shown = json.dumps([{"account_id": LEAVER.account}])
    append_rows(warehouse, "validation_results", [{"run_date": DAY, "model": "dim_account", "sample": shown}])
    refused = {"run_date": DAY, "account_id": LEAVER.account, "reason": f"no row {LEAVER.account}"}
    append_rows(warehouse, "dead_letters", [refused])
    for path, text in {
        "logs/validate.log": f"e.g. [{{'account_id': '{LEAVER.account}'}}], again {LEAVER.account}\n",
        "validation_results/dim_account/1.json": json.dumps({"unexpected": [LEAVER.account, STAYER.account]}),
        "data_docs/validations/1.html": f"<td>{LEAVER.account}</td><td>{STAYER.account}</td>",
    }.items():
        (settings.state_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.state_dir / path).write_text(text)
    return settings


def mentions(settings: Settings, name: str) -> dict[str, int]:
    """Rows that hold a text anywhere, of every table of every dataset, and how often every file has it."""
    found = {}
    warehouse = warehouse_of(settings)
    for dataset in warehouse.client.list_datasets():
        tables = [
            each for each in warehouse.client.list_tables(dataset.reference) if each.table_type == "TABLE"
        ]
        names = [f"{dataset.dataset_id}.{each.table_id}" for each in tables]
        sql = "\nunion all ".join(
            f"select '{each}', count(*) from `{settings.project_id}.{each}` as t "
            f"where strpos(to_json_string(t), '{name}') > 0"
            for each in names
        )
        found |= {table: int(count) for table, count in query(settings, sql)} if names else {}
    for path in _files(settings):
        found[str(path.relative_to(settings.state_dir))] = path.read_bytes().count(name.encode())
    with open_table(settings) as table:
        found["Bigtable"] = sum(name.encode() in row.row_key for row in table.read_rows({}))
    return {where: count for where, count in found.items() if count}


def _files(settings: Settings) -> Iterator[Path]:
    landing = Path(urlparse(settings.landing_files_root).path)
    assert not landing.is_relative_to(settings.state_dir)
    yield from (path for path in settings.state_dir.rglob("*") if path.is_file())


def test_an_account_that_is_everywhere_is_nowhere_once_it_is_erased(platform: Settings) -> None:
    fed = set(CONTRACTS) - NAME_NOBODY
    before = mentions(platform, "leaver")
    assert before.keys() >= {f"{dataset}.{table}" for dataset in ("raw", "quarantine") for table in fed}
    assert before.keys() >= {
        "history.int_subscription_events", "history.int_subscription_versions", "marts.dim_account",
        "marts.fct_account_features", "marts.fct_offer_journey", "marts.fct_subscriber_daily",
        "marts.fct_subscription_daily", "marts.fct_subscription_event", "marts.offer_decisions",
        "marts.offer_segments", "audit_20260101.int_account_versions", "as_of_20260329.fct_account_features",
        "ops.validation_results", "ops.dead_letters", "logs/validate.log", "data_docs/validations/1.html",
        "validation_results/dim_account/1.json", "Bigtable",
    }  # fmt: skip
    stayer = mentions(platform, "stayer")

    erasure = erase(platform, LEAVER.account)

    assert mentions(platform, "leaver") == {}
    assert erasure.rows_removed.keys() >= {
        f"{platform.project_id}.{name}" for name in before if name[:4] == "raw."
    }
    assert erasure.files_overwritten.keys() == {name for name in before if "/" in name}
    # Others keep everything but what they shared: a seat on the plan that is gone, and one that is free now.
    gone = {name: count - mentions(platform, "stayer").get(name, 0) for name, count in stayer.items()}
    assert {name: count for name, count in gone.items() if count} == {
        "raw.plan_members": 2, "quarantine.plan_members": 2,
    }  # fmt: skip
    [(state, proof)] = query(
        platform,
        "select distinct state, proof from ops.erasures "
        f"where erasure_id = '{erasure.erasure_id}' and state = 'proved' and proof <> '{{}}'",
    )
    proved = json.loads(proof)
    assert (state, proved["cells_left"], proved["files_left"]) == ("proved", 0, {})
    assert set(proved["rows_left"].values()) == {0}
    assert f"{platform.project_id}.raw.content_entries" in proved["rows_left"]


def test_no_feed_brings_an_erased_account_back(platform: Settings, tmp_path: Path) -> None:
    deliver(platform, STAYER, LEAVER, more=ONLY_THE_SUBSCRIPTION)
    deliver_export(platform, tmp_path, STAYER, LEAVER)

    landings = {each.table: each for each in land_days(platform, [DAY])}

    assert mentions(platform, "leaver") == {}
    for table, landing in landings.items():
        assert landing.rows_in == landing.rows_out + sum(
            (landing.rows_quarantined, landing.rows_erased, landing.rows_ignored)
        )
        assert (landing.rows_erased > 0) == (table not in NAME_NOBODY)
    assert (
        query(platform, "select table_name from ops.run_ledger where rows_erased > 0 and step = 'land'") != []
    )


def test_erasing_again_proves_it_anew(platform: Settings) -> None:
    again = erase(platform, LEAVER.account)

    assert (again.cells_removed, again.rows_removed, again.files_overwritten) == (0, {}, {})
    assert query(
        platform,
        f"select count(*) from ops.erasures where erasure_id = '{again.erasure_id}' and state = 'proved'",
    ) == [(1,)]


def test_who_was_merged_into_another_is_erased_with_that_one(platform: Settings) -> None:
    with pytest.raises(MergedAccountError, match="the account was merged into another"):
        erase(platform, "merged.stayer")
