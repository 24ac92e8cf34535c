"""Rows of erased accounts are left out of what lands, however they name them; rows of others are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from loaders.landing import land as landing
from loaders.landing.contracts import CONTRACTS
from loaders.landing.schema import columns_of
from loaders.warehouse.client import warehouse_of
from loaders.warehouse.erasures import SubjectKind, record_erased, subject_hash, subject_kind
from segue.settings import Settings
from tests.loaders.erasure.feeds import DAY, Person, Row, rows_of, stripe_of_customer
from tests.loaders.landing.test_land import write

LEAVER, STAYER = Person("leaver-7", "leaver"), Person("stayer-8", "stayer")


@pytest.fixture
def settings(world: Callable[..., Settings]) -> Settings:
    return world("erased-landing", erasure_salt=SecretStr("salt"))


def list_as_erased(settings: Settings, kind: SubjectKind, value: str) -> None:
    hashes: list[tuple[SubjectKind, str]] = [(kind, subject_hash(settings, value))]
    record_erased(warehouse_of(settings), "e1", hashes, "begun", {})


def land(settings: Settings, **tables: list[Row]) -> dict[str, list[str]]:
    """Lands a day of these tables; the keys of the rows that are in raw then, and how many were left out."""
    for table, found in tables.items():
        write(settings, table, found, DAY)
    done = {each.table: each for each in landing.land_days(settings, [DAY], list(tables))}
    kept = {}
    for table in tables:
        key = columns_of(CONTRACTS[table])[0].name
        rows = warehouse_of(settings).run(f"select {key} as id from raw.{table} order by 1")
        kept[table] = [row.id for row in rows]
        assert (
            done[table].rows_in == len(kept[table]) + done[table].rows_erased + done[table].rows_quarantined
        )
    return kept


def test_an_account_that_is_erased_while_its_rows_are_on_the_way_does_not_stay(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_once = landing._land_once
    landed: list[Any] = []

    def erase_first(*arguments: Any) -> Any:
        """The list was read before somebody was added to it."""
        if not landed:
            list_as_erased(settings, "account", LEAVER.account)
        landed.append(land_once(*arguments))
        return landed[-1]

    monkeypatch.setattr(landing, "_land_once", erase_first)
    kept = land(settings, consents=[*rows_of(LEAVER)["consents"], *rows_of(STAYER)["consents"]])

    assert kept == {"consents": ["stayer-8"]}
    assert [each[0][0].rows_out for each in landed] == [2, 1]


def test_a_subscription_that_an_erased_account_comes_back_with_is_left_out_too(settings: Settings) -> None:
    list_as_erased(settings, "account", LEAVER.account)
    tables = {table: rows_of(LEAVER)[table] for table in ("payments", "subscription_events", "stripe_events")}
    theirs = {each["payment_id"]: each["subscription_id"] for each in tables["payments"]}

    kept = land(settings, **tables)

    # Only what no row connects with the account is there: the stores' tables did not land.
    assert {theirs[payment] for payment in kept.pop("payments")} == {"google.leaver.s", "apple.leaver.s"}
    assert kept == {"subscription_events": [], "stripe_events": []}
    assert land(settings, stripe_events=[stripe_of_customer(LEAVER)]) == {"stripe_events": []}


def test_a_seat_on_the_plan_of_somebody_else_takes_nothing_of_it_along(settings: Settings) -> None:
    list_as_erased(settings, "account", LEAVER.account)
    people = rows_of(STAYER, guest=LEAVER.account)

    kept = land(settings, plan_members=people["plan_members"], payments=people["payments"])

    assert kept["plan_members"] == ["periods.stayer.s"]
    assert len(kept["payments"]) == 4


def test_rows_of_others_that_happen_to_hold_the_same_text_land(settings: Settings) -> None:
    """A short account id that is a price elsewhere; a customer that two accounts share."""
    list_as_erased(settings, "account", "9")
    list_as_erased(settings, "customer", "cus.stayer")
    rows = rows_of(STAYER)
    refused = [
        row | {"ingested_at": row["occurred_at"].replace(day=28)} for row in rows["google_play_notifications"]
    ]

    kept = land(
        settings,
        google_play_notifications=[*rows["google_play_notifications"], *refused],
        stripe_events=rows["stripe_events"],
    )

    assert '"units": "9"' in rows["google_play_notifications"][0]["purchase"]
    assert [len(found) for found in kept.values()] == [2, 3]
    [quarantined] = warehouse_of(settings).run(
        "select count(*) as rows from quarantine.google_play_notifications"
    )
    assert quarantined.rows == 2


def test_every_column_that_holds_an_id_is_known_by_its_name(parsed_project: Path) -> None:
    nodes = json.loads(parsed_project.read_text())["nodes"].values()
    declared = {
        column["name"]
        for node in nodes
        for column in node.get("columns", {}).values()
        if (column.get("data_type") or "").startswith("string")
    }
    landed = {
        column.name
        for contract in CONTRACTS.values()
        for column in columns_of(contract)
        if column.kind is str
    }
    about_people = ("account", "subscription", "payer", "holder", "member", "token", "survivor", "merged")
    suspects = {name for name in declared | landed if any(word in name for word in about_people)}

    assert {name for name in suspects if not subject_kind(name)} == set()
    assert {name for name in declared | landed if subject_kind(name)} >= {
        "account_id", "subscription_id", "merged_into", "resolved_account_id", "converted_subscription_id",
    }  # fmt: skip
