"""Directus, self-hosted, started for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loaders.cms.contract import ContentError, CursorExpiredError
from loaders.cms.directus import DirectusSource
from loaders.cms.pull import PullResult, pull_content
from loaders.cms.sources import open_source
from segue.settings import Settings
from tests.conftest import open_folder
from tests.loaders.cms.directus_server import ADMIN_TOKEN, COLLECTION, Directus, serve
from tests.loaders.cms.landed import current_content, landed_rows

# The first run on a machine installs Directus.
pytestmark = [pytest.mark.emulator, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def server() -> Iterator[Directus]:
    with open_folder() as folder, serve(folder) as directus:
        yield directus


@pytest.fixture
def directus(server: Directus) -> Directus:
    """The server with two offers and nothing else."""
    for item in server.send("GET", f"/items/{COLLECTION}?fields=id&limit=-1"):
        server.delete(item["id"])
    server.save(
        "trial",
        status="published",
        valid_until="2026-12-31T00:00:00Z",
        translations={"en": {"title": "30 days free"}, "sv": {"title": "30 dagar gratis"}},
    )
    server.save("winback", status="published", translations={"en": {"title": "Welcome back"}})
    return server


@pytest.fixture
def settings(directus: Directus, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        directus_url=directus.url,
        directus_token=ADMIN_TOKEN,
        content_page_size=1,
        content_attempts=3,
        content_first_wait_seconds=0.01,
        landing_files_uri=(tmp_path / "landing").as_uri(),
        state_dir=tmp_path / "state",
    )


def pull(settings: Settings) -> PullResult:
    with open_source(settings, "directus") as source:
        return pull_content(settings, source)


def titles(settings: Settings) -> dict[tuple[str, str], str | None]:
    return {key: fields.get("title") for key, fields in current_content(settings).items()}


ALL = {("trial", "en"): "30 days free", ("trial", "sv"): "30 dagar gratis", ("winback", "en"): "Welcome back"}


def test_the_first_pull_lands_every_item_in_each_of_its_locales(settings: Settings) -> None:
    result = pull(settings)

    assert (result.is_full, result.upserts, result.tombstones) == (True, 3, 0)
    assert titles(settings) == ALL
    row = landed_rows(settings)[1]
    assert row["content_version"] > 1_700_000_000_000
    assert {name: row[name] for name in ("entry_id", "locale", "content_type", "is_published")} == {
        "entry_id": "trial", "locale": "sv", "content_type": "offer_content", "is_published": True,
    }  # fmt: skip
    assert (row["valid_from_at"], row["valid_until_at"]) == (None, "2026-12-31T00:00:00+00:00")
    assert row["fields"] == '{"title": "30 dagar gratis", "valid_until": "2026-12-31T00:00:00.000Z"}'


def test_without_changes_nothing_is_landed(settings: Settings) -> None:
    pull(settings)

    assert (pull(settings).is_full, pull(settings).file) == (False, None)


def test_edits_new_items_and_new_translations_arrive_with_the_next_pull(
    directus: Directus, settings: Settings
) -> None:
    pull(settings)
    directus.save("winback", valid_from="2026-06-01T00:00:00Z")
    directus.save("gift", status="published", translations={"de": {"title": "Geschenk"}})
    translation = directus.translation_id("trial", "sv")
    directus.send("PATCH", f"/items/{COLLECTION}_translations/{translation}", {"title": "En månad gratis"})

    result = pull(settings)

    assert (result.is_full, result.tombstones) == (False, 0)
    assert titles(settings) == ALL | {("trial", "sv"): "En månad gratis", ("gift", "de"): "Geschenk"}
    first, second = [
        row for row in landed_rows(settings) if (row["entry_id"], row["locale"]) == ("trial", "sv")
    ]
    assert first["content_version"] < second["content_version"]


def test_a_deleted_item_and_a_deleted_translation_become_tombstones(
    directus: Directus, settings: Settings
) -> None:
    pull(settings)
    directus.delete("winback")
    translation = directus.translation_id("trial", "sv")
    directus.send("DELETE", f"/items/{COLLECTION}_translations/{translation}")

    result = pull(settings)

    assert (result.upserts, result.tombstones) == (0, 2)
    assert titles(settings) == {("trial", "en"): "30 days free"}


def test_what_is_unpublished_keeps_its_place_but_not_its_words(
    directus: Directus, settings: Settings
) -> None:
    pull(settings)
    directus.save("winback", status="archived")
    directus.save("secret", status="draft", translations={"en": {"title": "Not yet announced"}})
    pull(settings)

    rows = [row for row in landed_rows(settings) if not row["is_published"]]
    assert [(row["entry_id"], row["published_at"], row["fields"], row["is_deleted"]) for row in rows] == [
        ("secret", None, "{}", False),
        ("winback", None, "{}", False),
    ]


def test_an_item_that_appears_without_having_changed_leads_to_a_full_pull(
    directus: Directus, settings: Settings
) -> None:
    pull(settings)
    directus.save("old", status="published", translations={"en": {"title": "From a backup"}})
    # As a restored backup or a new right of the token would show it: stamped long before the cursor.
    long_ago = {"date_created": "2020-01-01T00:00:00Z", "date_updated": "2020-01-01T00:00:00Z"}
    translation = directus.translation_id("old", "en")
    directus.send("PATCH", f"/items/{COLLECTION}_translations/{translation}", long_ago)
    directus.send("PATCH", f"/items/{COLLECTION}/old", long_ago)

    pull(settings)

    assert titles(settings)["old", "en"] == "From a backup"


def test_a_cursor_that_is_none_is_refused(settings: Settings) -> None:
    with open_source(settings, "directus") as source, pytest.raises(CursorExpiredError, match="'w5ZGw'"):
        source.pull("w5ZGw")


def test_a_wrong_token_and_a_missing_collection_are_named(directus: Directus) -> None:
    def source(token: str, collection: str) -> DirectusSource:
        return DirectusSource(directus.url, token, collection=collection, default_locale="en")

    with (
        source("nobody", COLLECTION) as unknown,
        pytest.raises(ContentError, match=r"directus: the listing: HTTP 401: Invalid user credentials"),
    ):
        unknown.pull(None)
    with (
        source(ADMIN_TOKEN, "no_such_collection") as missing,
        pytest.raises(ContentError, match=r"HTTP 403: .*no_such_collection"),
    ):
        missing.pull(None)


def test_a_server_that_is_away_is_asked_again_and_then_named(settings: Settings) -> None:
    away = settings.model_copy(update={"directus_url": "http://127.0.0.1:9"})

    with pytest.raises(ContentError, match=r"directus: the listing: .*[Cc]onnect"):
        pull(away)
