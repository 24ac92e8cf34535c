"""The documentation site: it builds without a warning, and its reference holds what the code declares."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from local.site.command_line_page import command_line_page
from local.site.errors_page import errors_page, named_errors
from local.site.feeds_page import feeds_page
from local.site.grpc_page import grpc_page
from local.site.markup import table
from local.site.settings_page import settings_page
from segue.settings import PROJECT_ROOT, Settings


def test_a_cell_stays_on_one_line_and_in_its_column() -> None:
    assert table(["a", "b"], [["x | y", "two\nlines"]]) == "| a | b |\n| --- | --- |\n| x \\| y | two lines |"


def test_every_setting_is_described() -> None:
    page = settings_page()

    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undescribed == []
    for name in Settings.model_fields:
        assert f"| `SEGUE_{name.upper()}` |" in page


def test_a_setting_shows_its_values_and_its_default_without_the_machine_that_built_the_page() -> None:
    lines = settings_page().splitlines()

    assert (
        "| `SEGUE_MARTS_DATASET` | text | `marts` | What analysts query; only publications write it. |"
        in lines
    )
    assert "| `SEGUE_DBT_PROJECT_DIR` | path | `dbt` | The dbt project that is parsed. |" in lines
    assert str(PROJECT_ROOT) not in "\n".join(lines)


def test_every_failure_has_a_code_of_its_own_and_a_meaning() -> None:
    errors = named_errors()

    codes = [error.code for error in errors]
    assert sorted(codes) == sorted(set(codes))
    assert [error.__name__ for error in errors if not (error.__doc__ or "").strip()] == []
    assert "| [`validation_failed`](../runbook.md#validation_failed) | 1 |" in errors_page()


def test_the_command_line_has_every_command_with_its_options() -> None:
    page = command_line_page()

    assert "### `segue segments plan`" in page
    assert "* `--arrival-date <%Y-%m-%d>`: " in page


def test_a_feed_shows_which_columns_are_required_and_what_they_may_hold() -> None:
    page = feeds_page()

    fx_rates = page.split("## fx_rates")[1].split("\n## ")[0].splitlines()
    assert "| `usd_rate` | Decimal | yes | above 0; to 1000; decimal places at most 12 |" in fx_rates
    assert "*key: `day`, `currency`*" in fx_rates


def test_a_message_shows_its_fields_with_the_comments_of_the_proto() -> None:
    page = grpc_page()

    assert "| 4 | `priority` | `sfixed32` | Lower comes first; offers are already in order. |" in page
    assert "| 2 | `offers` | repeated `Offer` | To be shown, best first. |" in page
    assert "| `Lookup` | `LookupRequest` | `LookupResponse` |" in page


@pytest.fixture(scope="module")
def site(parsed_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs (a dead link, an anchor that is not there) fails it."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    settings = Settings(_env_file=None, state_dir=folder / "state")  # type: ignore[call-arg]
    shutil.copytree(parsed_project.parent, settings.dbt_target_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.settings.get_settings", lambda: settings)
        patch.chdir(PROJECT_ROOT)
        build(load_config(str(PROJECT_ROOT / "mkdocs.yml"), site_dir=str(folder / "site"), strict=True))
    return folder / "site"


def test_the_site_builds_without_a_warning_and_has_every_page(site: Path) -> None:
    pages = {page.stem for page in (PROJECT_ROOT / "docs").glob("*.md")}

    assert {page.stem for page in site.glob("*.html")} == pages | {"404"}
    assert (site / "reference" / "marts.html").exists()


def test_every_published_mart_and_each_of_its_columns_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "marts.html").read_text()

    assert 'id="fct_subscriber_daily"' in page
    assert "<td><code>mrr_usd_amount</code></td>" in page
    assert re.findall(r"<td><code>(\w+)</code></td>\s*<td>\w+</td>\s*<td></td>", page) == []


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(?:https?:)?//")

    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text()), page.name


def test_what_the_pages_link_to_among_the_sources_is_named(site: Path) -> None:
    page = (site / "google-cloud.html").read_text()

    assert 'href="../segue/settings.py"' not in page
    assert "segue/settings.py" in page
