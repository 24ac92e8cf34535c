"""What people of different roles do on Segue's pages in the Airflow UI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from playwright.sync_api import FrameLocator, Page


@dataclass
class Person:
    """Somebody with a login, at a browser; ``elsewhere`` is what pages asked for beyond Airflow."""

    name: str
    address: str
    page: Page
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        host = urlsplit(self.address).netloc

        def note(url: str) -> None:
            if url.startswith("http") and urlsplit(url).netloc != host:
                self.elsewhere.append(url)

        self.page.on("request", lambda request: note(request.url))

    def log_in_at(self, path: str) -> None:
        """Open a page without a login, and come back to it by way of the form."""
        self.page.goto(f"{self.address}{path}")
        self.page.locator("input[name=username]").fill(self.name)
        self.page.locator("input[name=password]").fill(self.name)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"**{path}", timeout=30_000)

    def view(self, place: str, name: str) -> FrameLocator:
        """One of Segue's views at a place of the UI, which shows it in a frame."""
        self.page.goto(f"{self.address}{place}/plugin/{name}")
        return self.page.frame_locator("iframe")

    def triggers(self, dag_id: str) -> int:
        """The answer to a run that is asked for and can never begin: its logical date is none."""
        url = f"{self.address}/api/v2/dags/{dag_id}/dagRuns"
        return self.page.request.post(url, data={"logical_date": "never"}).status


def of_run(dag_id: str, run_id: str) -> str:
    """The place of a run in the UI."""
    return f"/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def words(frame: FrameLocator, *wanted: Sequence[str]) -> None:
    """Wait until a frame shows all of them."""
    for each in wanted:
        frame.get_by_text(str(each)).first.wait_for(timeout=30_000)
