"""From a content management system to what a model reads: pull, land, stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner

from cli import app
from loaders.cms.pull import pull_content
from loaders.cms.sources import open_source
from loaders.landing.land import land_days
from loaders.warehouse.client import warehouse_of
from runs.dbt import build
from segue.settings import Settings
from segue.window import RunWindow
from tests.loaders.cms.contentful_server import SPACE, TOKEN, Space, error, serve
from tests.pages import typed

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MODEL = "stg_content__entries"


def test_content_is_landed_with_its_day_and_staged_as_it_is_now(dbt_world: Callable[..., Settings]) -> None:
    space = Space(page_size=2)
    with serve(space) as url:
        settings = dbt_world(
            "content", contentful_space_id=SPACE, contentful_token=TOKEN, contentful_base_url=url
        )

        def pull() -> None:
            with open_source(settings, "contentful") as source:
                pull_content(settings, source, clock=lambda: NOON)

        space.publish("trial", {"title": {"en-US": '30 days "free"', "sv-SE": "30 dagar\u2028gratis"}})
        space.publish(
            "gift", {"title": {"en-US": "A gift"}, "validUntil": {"en-US": "2026-12-31T08:00+01:00"}}
        )
        space.publish("odd", {"title": {"en-US": "Odd"}, "validUntil": {"en-US": "next spring"}})
        pull()
        space.publish("gift", {"title": {"en-US": "A better gift"}})
        space.unpublish("trial")
        pull()

    [landing] = land_days(settings, [NOON.date()], ["content_entries"])
    build(settings, RunWindow.whole(settings, NOON.date(), NOON.date()), [MODEL])

    assert (landing.files, landing.rows_in, landing.rows_out, landing.rows_quarantined) == (2, 7, 6, 1)
    warehouse = warehouse_of(settings)
    [refused] = warehouse.run("select column_name, reason from quarantine.content_entries")
    assert refused.column_name == "valid_until_at"
    assert refused.reason.startswith("valid_until_at: Input should be a valid datetime")
    columns = "entry_id, locale, content_version, is_published, is_deleted, content_fields, valid_until_at"
    dataset = settings.audit_dataset(NOON.date())
    rows = warehouse.run(f"select {columns} from {dataset}.{MODEL} order by 1, 2")
    assert [row.values() for row in rows] == [
        ("gift", "en-US", 2, True, False, '{"title": "A better gift"}', None),
        ("trial", "en-US", 1, False, True, "{}", None),
        ("trial", "sv-SE", 1, False, True, "{}", None),
    ]


def command_line(url: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``segue content pull``."""
    from segue.settings import get_settings

    environment = {
        "SEGUE_CONTENTFUL_SPACE_ID": SPACE,
        "SEGUE_CONTENTFUL_TOKEN": TOKEN,
        "SEGUE_CONTENTFUL_BASE_URL": url,
        "SEGUE_CONTENT_ATTEMPTS": "1",
        "SEGUE_LANDING_FILES_URI": (folder / "landing").as_uri(),
        "SEGUE_STATE_DIR": str(folder / "state"),
    }
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(
            app, [*typed("docs/operate.md", "segue content pull"), *arguments], env=environment
        )
    finally:
        get_settings.cache_clear()
    return result.exit_code, result.stdout, result.stderr


def test_the_command_line_pulls_what_is_configured_and_says_what_it_did(tmp_path: Path) -> None:
    space = Space()
    space.publish("trial", {"title": {"en-US": "Trial"}})
    with serve(space) as url:
        code, out, _ = command_line(url, tmp_path)
        assert (code, out.split(", in ")[0]) == (0, "contentful: 1 new or changed, 0 gone")
        code, out, _ = command_line(url, tmp_path, "--source", "contentful", "--json")
        assert code == 0
        assert json.loads(out) == [
            {"source": "contentful", "is_full": False, "upserts": 0, "tombstones": 0, "file": None,
             "recovered_rows": 0}
        ]  # fmt: skip


def test_the_command_line_fails_when_a_system_could_not_be_pulled(tmp_path: Path) -> None:
    space = Space()
    space.answer_next("/locales", error(503, "ServiceUnavailable", "Back in a minute"))
    with serve(space) as url:
        code, _, problem = command_line(url, tmp_path)
        assert (code, problem.splitlines()[0]) == (
            1,
            "content: contentful: locales: HTTP 503: Back in a minute",
        )
        # An hour later.
        assert command_line(url, tmp_path)[0] == 0
        code, _, problem = command_line(url, tmp_path, "--source", "wordpress")
        assert code == 2
        assert "unknown wordpress" in problem
