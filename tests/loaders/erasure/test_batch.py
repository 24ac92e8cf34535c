"""Many accounts are erased at once, and no statement that it takes says who they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.cloud import bigquery
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import app
from loaders.bigtable import load_segments, verify
from loaders.erasure import MergedAccountError, erase, in_batches
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.ops import ops_table
from segue.settings import Settings
from serving.configured import open_reader
from tests.bigtable_fixture import account, offer
from tests.loaders.bigtable.published_segments import create_mart, publish
from tests.loaders.landing.test_land import event, write, write_day

DAY_1, DAY_2, DAY_3 = date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31)
LEAVERS, STAYER = ["leaver-äöü-1", "leaver-2222", "leaver-3333"], "stayer-4444"
SALT = "pepper-and-salt-of-the-test"


@pytest.fixture
def settings(world: Callable[..., Settings], bigtable_emulator: str) -> Settings:
    """Two landed days and a published one; of the leavers only the second day has the third."""
    settings = world("erase-batch", bigtable_emulator_host=bigtable_emulator, erasure_salt=SecretStr(SALT))
    for day, names in ((DAY_1, LEAVERS[:2]), (DAY_2, LEAVERS[1:]), (DAY_3, [])):
        write_day(
            settings,
            day,
            [
                event(number, day, account_id=name, subscription_id=f"sub-of-{name}")
                for number, name in enumerate([*names, STAYER])
            ],
        )
    land_days(settings, [DAY_1, DAY_2, DAY_3])
    create_mart(settings)
    publish(settings, DAY_2, *(account(each, offer()) for each in [*LEAVERS, STAYER]))
    load_segments(settings, DAY_2)
    return settings


def statements(settings: Settings) -> list[str]:
    """The text of every statement that the project has run."""
    jobs = warehouse_of(settings).client.list_jobs(max_results=5_000, all_users=True)
    return [job.query for job in jobs if isinstance(job, bigquery.QueryJob)]


def days_with_events(settings: Settings) -> list[tuple[Any, ...]]:
    found = warehouse_of(settings).run(
        f"select arrival_date, count(*) from `{settings.project_id}.raw.subscription_events` "
        "group by 1 order by 1"
    )
    return [tuple(row.values()) for row in found]


def test_a_batch_changes_each_table_once_in_the_partitions_that_hold_somebody(settings: Settings) -> None:
    [published] = [load_segments(settings, DAY_2)]
    before = len(statements(settings))
    erasure = erase(settings, *LEAVERS)

    raw = f"{settings.project_id}.raw.subscription_events"
    assert erasure.rows_removed[raw] == 4
    assert erasure.cells_removed == 3
    assert len(erasure.subject_hashes) == 3
    assert days_with_events(settings) == [(DAY_1, 1), (DAY_2, 1), (DAY_3, 1)]
    with open_reader(settings) as reader:
        outcomes = [each.outcome.value for each in reader.lookup_many([*LEAVERS, STAYER])]
    assert outcomes == ["unknown", "unknown", "unknown", "found"]
    assert published.generation_ms is not None
    verify(settings, published.generation_ms)

    ran = statements(settings)
    assert len(ran) > before
    deletes = [text for text in ran if text.startswith(f"delete from `{raw}` as erased_row")]
    assert len(deletes) == 1
    assert f"`arrival_date` in (date '{DAY_1}', date '{DAY_2}')" in deletes[0]
    touched = [text.split("`")[1] for text in ran if text.startswith("delete from") and "erased_row" in text]
    assert sorted(touched) == sorted(set(touched))
    # one proof for all of them
    rows = warehouse_of(settings).run(
        f"select subject_hash, state, proof from `{ops_table(settings, 'erasures')}` where state = 'proved'"
    )
    proofs = {row.subject_hash: json.loads(row.proof) for row in rows}
    assert tuple(sorted(proofs)) == erasure.subject_hashes
    [proof] = [each for each in proofs.values() if each]
    assert (proof["cells_left"], set(proof["rows_left"].values())) == (0, {0})


def test_no_statement_tells_an_id_or_the_salt(settings: Settings) -> None:
    """Job history keeps the text of every statement for half a year, for whoever may list jobs."""
    erase(settings, *LEAVERS)
    write_day(settings, DAY_3, [event(9, DAY_3, account_id=LEAVERS[0], subscription_id="sub-new")])
    land_days(settings, [DAY_3])
    load_segments(settings, DAY_2)
    erase(settings, LEAVERS[0])

    texts = statements(settings)
    assert any("@erased_salt" in text for text in texts)
    for secret in (SALT, *LEAVERS, *(f"sub-of-{each}" for each in LEAVERS), "sub-new"):
        spelt = {secret, json.dumps(secret)[1:-1]}
        assert not [text for text in texts if any(each in text for each in spelt)]


def test_an_account_that_was_merged_into_another_of_the_batch_goes_with_it(settings: Settings) -> None:
    def customer(account_id: str, merged_into: str | None) -> dict[str, Any]:
        at = datetime(DAY_3.year, DAY_3.month, DAY_3.day, 1, tzinfo=UTC)
        return {
            "ingested_at": at, "account_id": account_id, "created_at": at,
            "market": "SE", "locale": "sv", "is_test": False, "is_employee": False,
            "merged_into": merged_into,
        }  # fmt: skip

    write(settings, "accounts", [customer(LEAVERS[1], STAYER), customer(STAYER, None)], DAY_3)
    land_days(settings, [DAY_3])
    with pytest.raises(MergedAccountError, match="1 of the accounts were merged into another"):
        erase(settings, *LEAVERS)
    assert erase(settings, LEAVERS[1], STAYER).merged_accounts == 0


def test_very_many_are_erased_in_several_batches() -> None:
    asked = [f"a{number}" for number in range(1_200)]
    assert [len(each) for each in in_batches([*asked, *asked])] == [500, 500, 200]


def test_the_command_takes_a_list(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    listed = settings.state_dir / "requests.txt"
    listed.write_text("\n".join(LEAVERS[:2]) + "\n\n")
    done = CliRunner().invoke(app, ["erase", LEAVERS[2], "--from", str(listed), "--yes", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (len(report["subject_hashes"]), report["cells_removed"]) == (3, 3)
    assert not any(each in done.stdout for each in LEAVERS)
    assert CliRunner().invoke(app, ["erase", "--yes"]).exit_code == 2
