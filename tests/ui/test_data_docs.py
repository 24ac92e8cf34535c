"""Great Expectations' pages without the internet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loaders.erasure.files import SITE
from loaders.objects.store import open_store
from segue.settings import Settings
from tests.ui.browser import browser_of
from ui.data_docs import FOLDER, STATIC, kept_page, without_internet
from ui.visitor import Visitor

SAMPLE = "a-sampled"
PAGE = f"""
<link rel="stylesheet" href="https://maxcdn.bootstrapcdn.com/bootstrap/4.3.1/css/bootstrap.min.css"/>
<script src="https://cdn.jsdelivr.net/npm/vega@5"></script>
<script src="https://code.jquery.com/jquery-3.7.1.min.js" integrity="sha384-x"></script>
<script>$(function () {{}})</script>
<img
  src="https://great-expectations-web-assets.example/logo-long.png"
  alt="a logo" />
<td>{SAMPLE}</td>
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(_env_file=None, state_dir=tmp_path, results_uri=None)
    store = open_store(made, made.results_root)
    store.write(f"{SITE}/audit_1/index.html", PAGE.encode())
    store.write(f"{SITE}/audit_1/validations/dim_account/run.html", b"<p>all</p>")
    store.write("secrets.txt", b"secret")
    return made


def test_what_a_page_loads_comes_from_beside_it() -> None:
    assert without_internet(PAGE, "/segue/static/data_docs").split("\n") == [
        "",
        '<link rel="stylesheet" href="/segue/static/data_docs/bootstrap.min.css">',
        "",
        '<script src="/segue/static/data_docs/jquery.min.js"></script>',
        "<script>$(function () {})</script>",
        "",
        f"<td>{SAMPLE}</td>",
        "",
    ]


def test_everything_that_great_expectations_templates_load_has_a_copy_but_vega() -> None:
    import great_expectations

    templates = Path(great_expectations.__file__).parent / "render/view/templates"
    told = "\n".join(path.read_text() for path in sorted(templates.glob("*.j2")))
    loaded = re.findall(r"<(?:script|link)\s[^>]*https://[^>]+>(?:\s*</script>)?", told)
    kept = [without_internet(tag, f"/{FOLDER}") for tag in loaded]

    assert not [tag for tag in kept if "https://" in tag]
    assert {tag for tag, local in zip(loaded, kept, strict=True) if not local} == {
        f'<script src="https://cdn.jsdelivr.net/npm/{name}"></script>'
        for name in ("vega@5", "vega-lite@5", "vega-embed@6")
    }
    copies = {copy for local in kept for copy in re.findall(rf'"/{FOLDER}/([^"]+)"', local)}
    assert copies == {path.name for path in (STATIC / FOLDER).iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "path",
    ["../../secrets.txt", "..%2F..%2Fsecrets.txt", "validations/../../../secrets.txt", "none.html", ""],
)
def test_nothing_but_the_attempts_own_pages_is_given(settings: Settings, path: str) -> None:
    assert kept_page(settings, "audit_1", path, "") is None


def test_results_are_for_those_who_may_see_accounts(settings: Settings) -> None:
    viewer, operator = (
        browser_of(settings)(Visitor("somebody", sees_accounts=sees)).get("/checks/audit_1/index.html")
        for sees in (False, True)
    )

    assert (viewer.status_code, SAMPLE in viewer.text) == (403, False)
    assert (operator.status_code, SAMPLE in operator.text) == (200, True)
    assert "https://" not in operator.headers["content-security-policy"]


def test_the_copies_are_served_to_anybody(settings: Settings) -> None:
    answer = browser_of(settings)(None).get(f"/static/{FOLDER}/jquery.min.js")

    assert answer.status_code == 200
    assert "jQuery v3.7.1" in answer.text[:100]
