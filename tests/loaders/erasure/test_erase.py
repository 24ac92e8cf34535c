"""An erased account is nowhere, provably, and nothing brings it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from loaders.bigtable import list_generations, load_segments, rollback, verify
from loaders.bigtable.connection import open_table
from loaders.erasure import EraseError, MergedAccountError, erase
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import ops_table
from segue.settings import Settings
from segue_client.bigtable.row_key import row_key
from serving.configured import open_reader
from tests.bigquery_process import free_port
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish
from tests.loaders.landing.test_land import event, write, write_day
from tests.pages import typed

DAY_1, DAY_2, DAY_3 = date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31)
LEAVER, STAYER = "räk-7", "stäyer-8"


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse_of(settings).run(sql)]


def payment(number: int, subscription_id: str, day: date) -> dict[str, Any]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        "ingested_at": noon, "payment_id": f"p{number}", "subscription_id": subscription_id,
        "kind": "charge", "amount": 9, "currency": "EUR", "status": "succeeded", "attempt": 1,
        "occurred_at": noon,
    }  # fmt: skip


def deliver(settings: Settings, day: date) -> None:
    """A day on which both accounts did something, and something of each is refused."""
    events = [
        event(1, day, account_id=LEAVER, subscription_id="s-leaver"),
        event(2, day, account_id=STAYER, subscription_id="s-stayer"),
        event(3, day, account_id=LEAVER, subscription_id="s-leaver", event_type="boosted"),
        event(4, day, account_id=STAYER, event_type="boosted"),
    ]
    write_day(settings, day, events)
    write(settings, "payments", [payment(1, "s-leaver", day), payment(2, "s-stayer", day)], day)


@pytest.fixture(scope="module")
def platform(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """Two days landed, published and loaded; a run's audit dataset is still there."""
    settings = world(
        "erase", bigtable_emulator_host=bigtable_emulator, erasure_salt=SecretStr("salt of the test")
    )
    deliver(settings, DAY_1)
    land_days(settings, [DAY_1])
    create_mart(settings)
    for day in (DAY_1, DAY_2):
        publish(settings, day, account(LEAVER, offer(str(day))), account(STAYER, offer(str(day))))
        load_segments(settings, day)
    warehouse = warehouse_of(settings)
    for dataset in ("audit_20260330", "history"):
        warehouse.ensure_dataset(dataset)
        warehouse.run(
            f"create table `{settings.project_id}.{dataset}.int_account_features` as "
            f"select '{LEAVER}' as account_id, 1 as streams union all select '{STAYER}', 2",
        )
    return settings


def mentions(settings: Settings, needle: str) -> dict[str, int]:
    """Every table of the project with rows that hold the text anywhere."""
    warehouse = warehouse_of(settings)
    found = {}
    for dataset in warehouse.client.list_datasets():
        for item in warehouse.client.list_tables(dataset.reference):
            name = f"{settings.project_id}.{dataset.dataset_id}.{item.table_id}"
            sql = f"select count(*) from `{name}` as t where strpos(to_json_string(t), '{needle}') > 0"
            [(count,)] = query(settings, sql)
            if count:
                found[f"{dataset.dataset_id}.{item.table_id}"] = count
    return found


def test_an_erased_account_is_nowhere_and_stays_away(platform: Settings) -> None:
    before = mentions(platform, LEAVER)
    assert before.keys() >= {
        "raw.subscription_events", "quarantine.subscription_events", "marts.offer_segments",
        "audit_20260330.int_account_features", "history.int_account_features",
    }  # fmt: skip
    stayer = mentions(platform, STAYER)

    erasure = erase(platform, LEAVER)

    assert erasure.cells_removed == 2
    assert mentions(platform, LEAVER) == {}
    assert mentions(platform, "s-leaver") == {}
    assert mentions(platform, STAYER) == stayer
    with open_table(platform) as table:
        assert table.read_row(row_key(LEAVER)) is None
    # the generations that showed the account are still what they were otherwise
    generations = [row.manifest.generation_ms for row in list_generations(platform)]
    for generation in generations:
        verify(platform, generation)
    with open_reader(platform, refresh_seconds=0) as reader:
        for generation in (generations[1], generations[0]):
            rollback(platform, generation)
            outcomes = [each.outcome.value for each in reader.lookup_many([LEAVER, STAYER])]
            assert outcomes == ["unknown", "found"]

    # the proof, without the account
    [(state, proof)] = query(
        platform,
        f"select state, proof from `{ops_table(platform, 'erasures')}` "
        f"where erasure_id = '{erasure.erasure_id}' and state = 'proved'",
    )
    proved = json.loads(proof)
    assert (state, proved["cells_left"], set(proved["rows_left"].values())) == ("proved", 0, {0})
    assert proved["rows_removed"][f"{platform.project_id}.raw.payments"] == 1

    # the same files land again, and a day that still has the account is loaded
    deliver(platform, DAY_1)
    landings = {each.table: each for each in land_days(platform, [DAY_1])}
    events = landings["subscription_events"]
    assert (events.rows_in, events.rows_out, events.rows_quarantined, events.rows_erased) == (4, 1, 1, 2)
    assert (landings["payments"].rows_out, landings["payments"].rows_erased) == (1, 1)
    publish(platform, DAY_3, account(LEAVER, offer("back")), account(STAYER, offer("new")))
    result = load_segments(platform, DAY_3)
    assert (result.rows_in, result.rows_erased, result.rows_out) == (1, 1, 1)
    with open_reader(platform) as reader:
        outcomes = [each.outcome.value for each in reader.lookup_many([LEAVER, STAYER])]
    assert outcomes == ["unknown", "found"]
    ledger = query(
        platform,
        f"select table_name, rows_in, rows_out, rows_quarantined, rows_erased "
        f"from `{ops_table(platform, 'run_ledger')}` where rows_erased > 0 order by 1",
    )
    assert ledger == [
        ("offer_segments", 2, 1, 0, 1), ("payments", 2, 1, 0, 1), ("subscription_events", 4, 1, 1, 2),
    ]  # fmt: skip

    # erasing again finds what a mart had brought in between, and proves it anew
    assert erase(platform, LEAVER).rows_removed == {f"{platform.project_id}.marts.offer_segments": 1}
    assert mentions(platform, LEAVER) == {}


def test_who_was_merged_into_the_account_is_erased_with_it(platform: Settings) -> None:
    """However many merges lie between, and none of those whose merge was taken back."""

    def customer(account_id: str, merged_into: str | None, hour: int = 1) -> dict[str, Any]:
        at = datetime(2026, 4, 1, hour, tzinfo=UTC)
        return {
            "ingested_at": at, "account_id": account_id, "created_at": at, "market": "SE", "locale": "sv",
            "is_test": False, "is_employee": False, "merged_into": merged_into,
        }  # fmt: skip

    day = date(2026, 4, 1)
    write_day(platform, day, [
        event(number, day, account_id=name, subscription_id=f"s-{name}")
        for number, name in enumerate(("kin-1", "kin-2", "kin-3", "kin-4", "other-5", "other-6"), start=10)
    ])  # fmt: skip
    write(platform, "accounts", [
        customer("kin-1", "kin-2"), customer("kin-2", "kin-3"), customer("kin-3", "kin-4"),
        customer("kin-4", None),
        customer("other-5", "kin-4"), customer("other-5", None, hour=2),
        customer("other-6", "other-7"), customer("other-7", "other-6"),
    ], day)  # fmt: skip
    land_days(platform, [day])
    assert mentions(platform, "kin-")
    with pytest.raises(MergedAccountError, match="was merged into another"):
        erase(platform, "kin-1")
    assert mentions(platform, "kin-1")

    erasure = erase(platform, "kin-4")

    assert erasure.merged_accounts == 3
    assert erasure.rows_removed[f"{platform.project_id}.raw.subscription_events"] == 4
    assert mentions(platform, "kin-") == {}
    assert query(
        platform,
        f"select distinct account_id from `{platform.project_id}.raw.subscription_events` "
        f"where arrival_date = date '{day}' order by 1",
    ) == [("other-5",), ("other-6",)]
    # A circle names nobody's other self.
    assert erase(platform, "other-6").merged_accounts == 0
    assert mentions(platform, "s-other-6") == {}


def test_without_a_salt_nothing_is_erased(platform: Settings) -> None:
    with pytest.raises(EraseError, match="SEGUE_ERASURE_SALT"):
        erase(platform.model_copy(update={"erasure_salt": None}), "a3")

    assert erase(platform, "a3").erasure_id


def test_what_a_service_that_is_away_has_interrupted_is_erased_by_erasing_again(platform: Settings) -> None:
    day = date(2026, 4, 2)
    write_day(platform, day, [event(20, day, account_id="late-9", subscription_id="s-late")])
    land_days(platform, [day])
    away = {"bigtable_emulator_host": f"127.0.0.1:{free_port()}", "bigtable_load_deadline_seconds": 1}
    with pytest.raises(EraseError, match="nothing is proved to be erased"):
        erase(platform.model_copy(update=away), "late-9")
    assert mentions(platform, "late-9")

    assert erase(platform, "late-9").rows_removed
    assert mentions(platform, "late-9") == {}


def test_the_command_asks_first_and_reports_as_json(
    platform: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli import app

    monkeypatch.setattr("segue.settings.get_settings", lambda: platform)
    command = typed("docs/operate.md", "segue erase ACCOUNT…", {"ACCOUNT…": "nobody"})
    refused = CliRunner().invoke(app, command, input="n\n")
    assert refused.exit_code == 1
    done = CliRunner().invoke(app, [*command, "--yes", "--json"])
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["cells_removed"], report["rows_removed"]) == (0, {})
    assert "nobody" not in done.stdout
