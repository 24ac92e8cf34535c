"""What arrives long after its day: the published series adds up, and can be had as it was known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from typer.testing import CliRunner

from cli import app
from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from runs.publish import publish
from runs.published import published_marts
from runs.restated_movements import CLOSES, MOVEMENTS
from runs.steps import asked, land
from segue.settings import Settings
from segue.window import RunWindow
from tests.judged import let_through
from tests.marts import table_fingerprints
from tests.pages import typed

MARTS = (CLOSES, MOVEMENTS)
OLD = date(2025, 2, 1)


def march(day: int) -> date:
    return date(2026, 3, day)


@dataclass(frozen=True)
class Company:
    settings: Settings

    def deliver(self, table: str, day: date, *rows: dict[str, object]) -> None:
        folder = Path(urlparse(self.settings.landing_files_root).path) / table / str(day)
        folder.mkdir(parents=True, exist_ok=True)
        arrived = {"ingested_at": f"{day}T13:00:00Z"}
        (folder / "rows.ndjson").write_text("".join(json.dumps(arrived | row) + "\n" for row in rows))

    def run(self, first: date, last: date) -> RunWindow:
        """A run of which only the closes and the movements are built."""
        window = land(self.settings, asked(self.settings, first, last)).window.new_attempt(self.settings, "")
        build(self.settings, window, [f"+{name}" for name in MARTS])
        wanted = [
            mart
            for mart in published_marts(self.settings.dbt_manifest)
            if mart.name in MARTS or mart.name in ("int_subscription_events", "int_subscription_versions")
        ]
        let_through(self.settings, window, wanted)
        publish(self.settings, window, wanted)
        return window

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in warehouse_of(self.settings).run(sql)]


def account(account_id: str, market: str = "SE", **other: object) -> dict[str, object]:
    return {
        "account_id": account_id, "created_at": "2025-01-01T00:00:00Z", "market": market, "locale": "en",
        "is_test": False, "is_employee": False,
    } | other  # fmt: skip


def event(
    event_type: str,
    subscription_id: str,
    day: date,
    price: str = "10",
    currency: str = "USD",
    **other: object,
) -> dict[str, object]:
    said = {"plan_id": "solo", "price_amount": price, "currency": currency, "interval": "month"}
    return {
        "provider": "stripe", "provider_event_id": f"{event_type}-{subscription_id}",
        "subscription_id": subscription_id, "account_id": f"a-{subscription_id}", "event_type": event_type,
        "occurred_at": f"{day}T12:00:00Z",
    } | (said if event_type == "started" else {}) | other  # fmt: skip


def rate(day: date, usd_rate: str) -> dict[str, object]:
    return {"day": str(day), "currency": "EUR", "usd_rate": usd_rate}


@pytest.fixture(scope="module")
def company(dbt_world: Callable[..., Settings]) -> Company:
    """Three days are restated. Of a long time ago and of last week is heard on the eleventh, the twelfth …"""
    company = Company(dbt_world("late-events", restatement_days=3))
    first = march(1)
    company.deliver(
        "plans",
        first,
        {"plan_id": "solo", "kind": "individual", "interval": "month", "trial_days": 0, "seats": 1},
    )
    names = ("ended", "old", "euro", "merged", "stays")
    company.deliver("accounts", first, *(account(f"a-{name}") for name in names))
    company.deliver("fx_rates", first, rate(OLD, "1.1"))
    company.deliver(
        "subscription_events",
        first,
        *(
            event("started", name, OLD, currency="EUR" if name == "euro" else "USD")
            for name in ("ended", "old", "euro", "merged", "stays", "unknown")
        ),
    )
    for number in range(2, 14):
        company.deliver("fx_rates", march(number))
        company.deliver("subscription_events", march(number))
    # Six days late, and a year; a corrected rate; a market that was not known; a merge.
    company.deliver("subscription_events", march(11), event("expired", "ended", march(5), reason="voluntary"))
    company.deliver("fx_rates", march(11), rate(OLD, "1.2"))
    company.deliver("accounts", march(11), account("a-unknown", "NO"))
    company.deliver(
        "subscription_events", march(12), event("expired", "old", OLD.replace(month=3), reason="voluntary")
    )
    company.deliver("accounts", march(12), account("a-merged", merged_into="a-stays"))
    company.run(march(4), march(10))
    company.run(march(11), march(11))
    company.run(march(12), march(12))
    return company


CELL = "market, plan_kind, provider, currency"


def test_close_and_movements_are_the_next_close_on_every_published_day(company: Company) -> None:
    assert company.query(f"select count(distinct snapshot_date) from marts.{CLOSES}") == [(9,)]
    assert (
        company.query(
            f"""with changes as (
                select snapshot_date, {CELL}, mrr_amount, mrr_usd_amount from marts.{CLOSES}
                union all
                select date_add(snapshot_date, interval 1 day), {CELL}, -mrr_amount, -mrr_usd_amount
                from marts.{CLOSES}
                union all
                select snapshot_date, {CELL}, -mrr_amount, -mrr_usd_amount from marts.{MOVEMENTS}
            )
            select snapshot_date, {CELL}, sum(mrr_amount), sum(mrr_usd_amount) from changes
            where snapshot_date between '2026-03-05' and '2026-03-12'
            group by snapshot_date, {CELL} having sum(mrr_amount) <> 0 or sum(mrr_usd_amount) <> 0"""
        )
        == []
    )


def test_what_was_learned_too_late_stands_apart_from_what_customers_did(company: Company) -> None:
    """Each on the first day that its run built, three days before the arrival."""
    assert company.query(
        "select snapshot_date, movement, market, currency, cast(mrr_amount as int64), "
        f"cast(mrr_usd_amount as int64) from marts.{MOVEMENTS} where snapshot_date > '2026-03-04' "
        "order by 1, 2, 3, 4"
    ) == [
        (march(8), "restated", "NO", "USD", 10, 10),
        (march(8), "restated", "SE", "EUR", 0, 1),
        (march(8), "restated", "SE", "USD", -10, -10),
        (march(8), "restated", "ZZ", "USD", -10, -10),
        (march(9), "restated", "SE", "USD", -10, -10),
    ]


def test_the_first_restated_day_can_be_had_as_it_was_published(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = company.settings
    day = march(8)
    monkeypatch.setattr("segue.settings.get_settings", lambda: settings)
    of_the_page = "segue as-of 2026-11-22 2026-11-22 --known-on 2026-11-22"
    words = typed("docs/operate.md", of_the_page, {"2026-11-22": day})
    assert words == typed(
        "docs/queries-by-mart.md",
        "segue as-of 2026-03-02 2026-03-02 --known-on 2026-03-02",
        {"2026-03-02": day},
    )

    done = CliRunner().invoke(app, [*words[:-1], str(march(11)), "--json"])

    assert done.exit_code == 0, done.output
    dataset = json.loads(done.stdout)["dataset"].rpartition(".")[2]

    for mart in MARTS:
        again = table_fingerprints(settings, dataset, mart, "snapshot_date")
        assert again == {str(day): table_fingerprints(settings, None, mart, "snapshot_date")[str(day)]}
    assert not [name for name in warehouse_of(settings).datasets() if name.endswith("_opening")]
