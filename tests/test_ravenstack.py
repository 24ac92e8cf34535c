"""A foreign company's billing export, from its CSV files to a lookup, against pandas over the same files.

What pandas computes here shares no code and no intermediate with the pipeline: a subscription is active at
the end of a day when it started by that day and its end, the first day without service, is a later one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pandas as pd
import pytest
import structlog
from typer.testing import CliRunner, Result

from cli import app
from loaders.warehouse.client import warehouse_of
from segue.settings import PROJECT_ROOT, Settings
from segue_client.answer import Outcome
from serving.configured import open_reader

DATA = PROJECT_ROOT.parent / "shared" / "data" / "ravenstack"
MAP = PROJECT_ROOT / "docs" / "examples" / "ravenstack.map.yml"
ARRIVAL = "2025-01-01"
DAYS = pd.date_range("2024-10-01", "2024-12-31")
"""Of the export's two years the last quarter: the days before are in what was active and in every tenure."""
MONTH_ENDS = pd.date_range(DAYS[0], DAYS[-1], freq="ME")
LAST = DAYS[-1]

pytestmark = pytest.mark.skipif(
    not (DATA / "subscriptions.csv").exists(), reason=f"the RavenStack export is not in {DATA}"
)


@dataclass(frozen=True)
class Platform:
    """The export's days, published and loaded, and what the commands said about it."""

    settings: Settings
    landing: str

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a statement, in which ``marts.x`` means this world's."""
        found = warehouse_of(self.settings).run(sql)
        return [tuple(row.values()) for row in found]


def publish_content(settings: Settings) -> None:
    """The texts of the one offer that an account of the export can get; an export has no content system."""
    folder = Path(urlparse(settings.landing_files_root).path) / "content_entries" / ARRIVAL
    folder.mkdir(parents=True)
    entries = [
        {
            "source": "directus", "entry_id": entry, "locale": "en-US", "content_type": "offer",
            "content_version": 1, "is_published": True, "is_deleted": False, "fields": "{}",
            "ingested_at": f"{ARRIVAL}T00:00:00Z",
        }
        for entry in ("annual-switch", "annual-switch-deep")
    ]  # fmt: skip
    (folder / "entries.ndjson").write_text("\n".join(map(json.dumps, entries)))


def segue(*arguments: str) -> Result:
    """Run the command line in this process."""
    try:
        return CliRunner().invoke(app, list(arguments))
    finally:
        # The command line logs to the stream that the runner has just closed.
        structlog.reset_defaults()


@pytest.fixture(scope="module")
def platform(dbt_world: Callable[..., Settings], bigtable_emulator: str) -> Iterator[Platform]:
    """Three commands, as a newcomer with an export would type them; the last one is each test's own."""
    settings = dbt_world("ravenstack", bigtable_emulator_host=bigtable_emulator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        export = str(DATA / "subscriptions.csv")
        landing = segue("land", "periods", export, "--map", str(MAP), "--arrival-date", ARRIVAL)
        assert landing.exit_code == 0, landing.output
        publish_content(settings)
        # All days at once, where single month ends would pay for dbt each.
        history = segue("run", f"{DAYS[0]:%Y-%m-%d}", f"{LAST:%Y-%m-%d}")
        assert history.exit_code == 0, f"{history.output}\n{history.exception}"
        yield Platform(settings, landing.output)


@pytest.fixture(scope="module")
def accounts() -> pd.DataFrame:
    return pd.read_csv(DATA / "accounts.csv")


@pytest.fixture(scope="module")
def subscriptions(accounts: pd.DataFrame) -> pd.DataFrame:
    """The export with its market, and with its MRR as exact decimals."""
    found = pd.read_csv(DATA / "subscriptions.csv", parse_dates=["start_date", "end_date"])
    found = found.merge(accounts[["account_id", "country"]], on="account_id")
    found["market"] = found["country"].replace("UK", "GB")
    found["kind"] = found["plan_tier"].map({"Basic": "basic", "Pro": "individual", "Enterprise": "family"})
    found["mrr"] = [_mrr(row) for row in found.itertuples()]
    return found


def _mrr(row: Any) -> Decimal:
    if row.is_trial:
        return Decimal(0)
    if row.billing_frequency == "annual":
        return (Decimal(row.arr_amount) / 12).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return Decimal(row.mrr_amount)


def active_at_end_of(day: pd.Timestamp, subscriptions: pd.DataFrame) -> pd.DataFrame:
    is_open = subscriptions["end_date"].isna() | (subscriptions["end_date"] > day)
    return subscriptions[(subscriptions["start_date"] <= day) & is_open]


def test_every_row_of_the_export_lands(
    platform: Platform, accounts: pd.DataFrame, subscriptions: pd.DataFrame
) -> None:
    assert "5,000 of 5,000 periods and 500 of 500 accounts" in platform.landing
    assert platform.rows("select count(*) from quarantine.subscription_events") == [(0,)]
    trials = int(subscriptions["is_trial"].sum())
    assert dict(platform.rows("select event_type, count(*) from raw.subscription_events group by 1")) == {
        "expired": subscriptions["end_date"].notna().sum(),
        "started": len(subscriptions) - trials,
        "trial_started": trials,
    }
    assert (
        dict(platform.rows("select market, count(*) from raw.accounts group by 1"))
        == accounts["country"].replace("UK", "GB").value_counts().to_dict()
    )


def test_every_expectation_holds_on_a_quarter(platform: Platform) -> None:
    [(expectations, failed)] = platform.rows(
        "select count(*), countif(not success) from ops.validation_results"
    )
    assert (expectations > 50, failed) == (True, 0)


def test_active_subscriptions_payers_and_mrr_of_every_day_are_those_of_pandas(
    platform: Platform, subscriptions: pd.DataFrame
) -> None:
    expected = []
    for day in DAYS:
        active = active_at_end_of(day, subscriptions)
        paid = active[~active["is_trial"]]
        counts = (len(active), len(paid), paid["account_id"].nunique(), sum(active["mrr"], Decimal(0)))
        if len(active):
            expected.append((day.date(), *counts))

    found = platform.rows("""
        select snapshot_date, count(*), countif(is_paid), count(distinct if(is_paid, account_id, null)),
            sum(mrr_usd_amount)
        from marts.fct_subscription_daily where was_active_at_day_end group by 1 order by 1
    """)

    assert found == expected
    by_account = platform.rows("""
        select snapshot_date, countif(is_paid), sum(mrr_usd_amount)
        from marts.fct_subscriber_daily where was_active_at_day_end group by 1 order by 1
    """)
    assert by_account == [(day, payers, mrr) for day, _, _, payers, mrr in expected]


def test_counts_and_mrr_of_every_month_by_market_and_plan_are_those_of_pandas(
    platform: Platform, subscriptions: pd.DataFrame
) -> None:
    expected = []
    for day in MONTH_ENDS:
        for (market, kind), active in active_at_end_of(day, subscriptions).groupby(["market", "kind"]):
            trials = int(active["is_trial"].sum())
            counts = (len(active), len(active) - trials, trials, active["account_id"].nunique())
            expected.append((day.date(), market, kind, *counts, sum(active["mrr"], Decimal(0))))

    month_ends = ", ".join(f"date '{day:%Y-%m-%d}'" for day in MONTH_ENDS)
    found = platform.rows(f"""
        select snapshot_date, market, plan_kind, active_subscriptions, paid_subscriptions,
            trial_subscriptions, payers, mrr_usd_amount
        from marts.agg_subscribers_daily where snapshot_date in ({month_ends}) order by 1, 2, 3
    """)

    assert found == expected
    assert len({row[0] for row in found}) == 3


def bucket(account: str, salt: str) -> int:
    """One of ten thousand."""
    return int(hashlib.sha256(f"{account}:{salt}".encode()).hexdigest()[:12], 16) % 10_000


def is_held_out(account: str) -> bool:
    """Two in a hundred accounts get no offer at all, by their bucket under the program's salt."""
    return bucket(account, "program-2026") < 200


def is_control(account: str) -> bool:
    """A fifth of those who deserve the yearly plan's discount are its experiment's control: not shown it."""
    return bucket(account, "annual-discount-2026") < 2_000


def expected_offer(mine: pd.DataFrame) -> str | None:
    """The offer for an account with these subscriptions on the last day, by the rules of offer_segments.

    Every account of the export is still subscribed on that day: nobody is won back, and without listening
    nobody is offered a trial.
    """
    if is_held_out(mine["account_id"].iloc[0]):
        return None
    active = active_at_end_of(LAST, mine)
    speaks = active.sort_values(["is_trial", "start_date", "subscription_id"]).iloc[0]
    is_loyal = (LAST - active["start_date"].min()).days >= 30
    is_monthly = speaks["kind"] == "individual" and speaks["billing_frequency"] == "monthly"
    is_staying = active["auto_renew_flag"].any() and not active["is_trial"].all()
    return "annual-switch" if is_loyal and is_monthly and is_staying else None


def test_every_account_is_looked_up_with_the_offer_that_its_subscriptions_deserve(
    platform: Platform, subscriptions: pd.DataFrame
) -> None:
    expected = {str(account): expected_offer(mine) for account, mine in subscriptions.groupby("account_id")}

    with open_reader(platform.settings, now=lambda: datetime(2025, 1, 1, 12, tzinfo=UTC)) as reader:
        answers = reader.lookup_many(list(expected))

    shown = {answer.account_id: [offer.offer_id for offer in answer.offers] for answer in answers}
    assert shown == {
        account: [offer] if offer and not is_control(account) else [] for account, offer in expected.items()
    }
    held_back = {answer.account_id: [offer.offer_id for offer in answer.held_back] for answer in answers}
    assert held_back == {
        account: [offer] if offer and is_control(account) else [] for account, offer in expected.items()
    }
    assert {is_control(account) for account, offer in expected.items() if offer} == {True, False}
    assert {answer.account_id for answer in answers if answer.outcome is Outcome.FOUND} == {
        account for account, offer in expected.items() if offer
    }
    assert {answer.account_id for answer in answers if answer.outcome is Outcome.SUPPRESSED} == {
        account for account in expected if is_held_out(account)
    }
    assert {answer.outcome for answer in answers} == {Outcome.FOUND, Outcome.UNKNOWN, Outcome.SUPPRESSED}


@pytest.mark.usefixtures("platform")
def test_the_command_line_says_that_offers_of_2024_have_run_out(subscriptions: pd.DataFrame) -> None:
    account = next(
        account for account, mine in subscriptions.groupby("account_id") if expected_offer(mine) is not None
    )

    answer = segue("lookup", str(account), "--json")

    assert answer.exit_code == 5, answer.output
    assert '"outcome": "expired"' in answer.stdout
    assert '"segment_date": "2024-12-31"' in answer.stdout
