"""What an engineer sees in the browser: both DAGs, a green backfill, the data docs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from loaders.warehouse.client import warehouse_of
from local.platform import Platform
from tests.company_in_order import LAST_DAY
from tests.e2e.looking import chromium, keep, new_page
from tests.e2e.orders import MARTS_DAG, Story
from tests.e2e.pages import Person, of_run, words
from tests.e2e.roles import ROLES, api_server_with_roles

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return new_page(browser)


@pytest.mark.usefixtures("airflow")
def test_the_ui_lists_both_dags(platform: Platform, page: Page, tmp_path: Path) -> None:
    page.goto(f"{platform.airflow_url}/dags")
    for dag_id in ("daily_marts", "offer_segments"):
        page.get_by_role("link", name=dag_id, exact=True).first.wait_for(timeout=30_000)

    assert keep(page, "airflow-dags.png", tmp_path).stat().st_size > 10_000


def test_a_backfill_run_is_green_in_the_ui(
    platform: Platform, story: Story, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{platform.airflow_url}/dags/daily_marts/runs/{story.second_backfill[0].run_id}")
    page.get_by_text("Success").first.wait_for(timeout=30_000)
    page.get_by_text("publish").first.wait_for(timeout=30_000)

    assert keep(page, "airflow-backfill.png", tmp_path).stat().st_size > 10_000


@pytest.mark.usefixtures("story")
def test_the_data_docs_show_what_was_expected_of_a_mart(platform: Platform, page: Page) -> None:
    pages = (platform.state_dir / "results").glob(
        "data_docs/audit_*/validations/fct_subscription_daily/**/*.html"
    )
    page.goto(max(pages).as_uri())

    # The page takes its styles from the internet, so that nothing of it may count as visible here.
    page.get_by_text("values must never be null").first.wait_for(state="attached", timeout=30_000)


SomebodyOf = Callable[[str], Person]


@pytest.fixture(scope="module")
def somebody(platform: Platform, story: Story, browser: Browser) -> Iterator[SomebodyOf]:  # noqa: ARG001 - after it
    """People by name, each logged in at the page of the last day."""
    with api_server_with_roles(platform) as address:
        people = {name: Person(name, address, new_page(browser)) for name in ROLES}
        for person in people.values():
            person.log_in_at(f"/segue/days/{LAST_DAY}")
        yield people.__getitem__


@pytest.mark.parametrize("name", ROLES)
def test_everybody_who_logs_in_comes_to_the_page_of_a_day(somebody: SomebodyOf, name: str) -> None:
    page = somebody(name).page
    page.goto(f"{somebody(name).address}/segue/days/{LAST_DAY}")

    for words_ in (str(LAST_DAY), "What landed", "Online", "Expectations", "Ninety days"):
        page.get_by_text(words_).first.wait_for(timeout=30_000)
    assert somebody(name).elsewhere == []


def test_a_run_shows_its_day_within_the_ui(somebody: SomebodyOf, story: Story, tmp_path: Path) -> None:
    admin, run = somebody("admin"), story.second_backfill[0]
    frame = admin.view(of_run(MARTS_DAG, run.run_id), "segue-dag_run-segue-day")

    words(frame, run.run_id, "What landed", "drop_audit", "Ninety days")
    assert keep(admin.page, "airflow-day.png", tmp_path).stat().st_size > 10_000


def test_the_menu_leads_to_the_catalogue_and_on_to_a_mart(somebody: SomebodyOf, tmp_path: Path) -> None:
    admin = somebody("admin")
    frame = admin.view("", "segue-nav-segue-catalogue")

    words(frame, "agg_subscribers_daily", "Subscriptions analytics")
    assert keep(admin.page, "airflow-catalogue.png", tmp_path).stat().st_size > 10_000
    frame.get_by_role("link", name="offer_segments").first.click()
    words(frame, "From landing to readers", "Bigtable load", "Offer lookup service")


def test_a_viewer_can_neither_trigger_nor_see_accounts(platform: Platform, somebody: SomebodyOf) -> None:
    viewer, operator = somebody("viewer"), somebody("operator")

    assert viewer.triggers(MARTS_DAG) == 403
    assert operator.triggers(MARTS_DAG) == 422
    words(viewer.view("", "segue-nav-segue-offers"), "For roles that may see accounts.")
    asked = {"account_id": an_account(platform)}
    refused = viewer.page.request.post(f"{viewer.address}/segue/offers/explain", form=asked)
    assert (refused.status, asked["account_id"] in refused.text()) == (403, False)


def test_an_operator_asks_why_an_account_has_its_offers(platform: Platform, somebody: SomebodyOf) -> None:
    operator, account = somebody("operator"), an_account(platform)
    frame = operator.view("", "segue-nav-segue-offers")
    frame.get_by_label("Account").fill(account)
    frame.get_by_role("button", name="Why these offers?").click()

    words(frame, f"{account} on {LAST_DAY}", "SELECTED")
    served = (Path(platform.state_dir) / "roles/api-server.log").read_text()
    assert "account_explained" in served
    assert account not in served


def test_results_of_the_gate_and_dbts_documentation_need_no_internet(somebody: SomebodyOf) -> None:
    admin = somebody("admin")
    admin.page.goto(f"{admin.address}/segue/days/{LAST_DAY}")
    admin.page.get_by_role("link", name="All results").click()
    # The table is made by the libraries.
    admin.page.get_by_role("button", name="Clear Filters").first.wait_for(timeout=30_000)
    assert admin.page.evaluate("typeof jQuery") == "function"

    admin.page.goto(f"{admin.address}/segue/dbt/index.html#!/model/model.segue.agg_subscribers_daily")
    admin.page.get_by_text("opening_subscriptions").first.wait_for(state="attached", timeout=30_000)
    assert admin.elsewhere == []


def an_account(platform: Platform) -> str:
    """An account that has an offer on the last day."""
    settings = platform.settings
    [row] = warehouse_of(settings).run(
        f"select min(account_id) as account_id from {settings.marts_dataset}.offer_segments "
        f"where segment_date = date '{LAST_DAY}' and array_length(offers) > 0"
    )
    return str(row.account_id)
