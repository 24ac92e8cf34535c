"""Contentful's Sync API, through its SDK, against a space on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import app
from loaders.cms.attempts import TransientError, asked_wait
from loaders.cms.contract import ContentError
from loaders.cms.pull import PullResult, pull_content
from loaders.cms.sources import open_source
from segue.settings import Settings
from tests.loaders.cms.contentful_server import SPACE, TOKEN, Answer, Space, error, serve
from tests.loaders.cms.landed import current_content, landed_files, landed_rows

SLOW_DOWN = '{"sys": {"type": "Error", "id": "RateLimitExceeded"}, "message": "Too many requests"}'


@pytest.fixture
def space() -> Space:
    """A space with two offers; pages of one item, so that every sync is a chain."""
    space = Space(page_size=1)
    space.publish("trial", {"title": {"en-US": "30 days free", "sv-SE": "30 dagar gratis"}})
    space.publish("winback", {"title": {"en-US": "Welcome back"}, "validUntil": {"en-US": "2026-12-31"}})
    return space


@pytest.fixture
def settings(space: Space, tmp_path: Path) -> Iterator[Settings]:
    """Settings that point at the space, with waits too short to notice."""
    with serve(space) as url:
        yield Settings(
            _env_file=None,
            contentful_space_id=SPACE,
            contentful_token=TOKEN,
            contentful_base_url=url,
            content_first_wait_seconds=0.001,
            content_attempts=4,
            landing_files_uri=(tmp_path / "landing").as_uri(),
            state_dir=tmp_path / "state",
        )


def pull(settings: Settings, **options: bool) -> PullResult:
    return pull_content(settings, open_source(settings, "contentful"), **options)


def offer_locales(settings: Settings) -> dict[tuple[str, str], str]:
    """Titles by entry and locale."""
    return {key: fields["title"] for key, fields in current_content(settings).items()}


ALL = {
    ("trial", "en-US"): "30 days free",
    ("trial", "sv-SE"): "30 dagar gratis",
    ("winback", "en-US"): "Welcome back",
}


def test_the_first_pull_lands_every_entry_in_each_of_its_locales(settings: Settings) -> None:
    result = pull(settings)

    assert (result.is_full, result.upserts, result.tombstones) == (True, 3, 0)
    assert offer_locales(settings) == ALL
    [row] = [row for row in landed_rows(settings) if row["entry_id"] == "winback"]
    arrived = row.pop("ingested_at")
    assert landed_files(settings) == [f"content_entries/{arrived[:10]}/{Path(result.file or '').name}"]
    assert row == {
        "source": "contentful", "entry_id": "winback", "locale": "en-US", "content_type": "offer",
        "content_version": 1, "is_published": True, "published_at": "2026-03-01T00:02:00+00:00",
        "valid_from_at": None, "valid_until_at": "2026-12-31T00:00:00+00:00",
        "fields": '{"title": "Welcome back", "validUntil": "2026-12-31"}', "is_deleted": False,
    }  # fmt: skip


def test_a_field_that_is_not_localized_belongs_to_every_locale_and_nothing_falls_back(
    space: Space, settings: Settings
) -> None:
    space.publish(
        "gift",
        {"title": {"sv-SE": "Gåva"}, "validUntil": {"en-US": "2026-06-01T12:00+02:00"}},
    )
    pull(settings)

    assert {key[1]: fields for key, fields in current_content(settings).items() if key[0] == "gift"} == {
        "sv-SE": {"title": "Gåva", "validUntil": "2026-06-01T12:00+02:00"}
    }
    [row] = [row for row in landed_rows(settings) if row["entry_id"] == "gift"]
    assert row["valid_until_at"] == "2026-06-01T12:00:00+02:00"


def test_a_delta_brings_edits_and_tombstones_only(space: Space, settings: Settings) -> None:
    pull(settings)
    space.publish("trial", {"title": {"en-US": "One month free"}})
    space.unpublish("winback")

    result = pull(settings)

    assert (result.is_full, result.upserts, result.tombstones) == (False, 1, 2)
    assert offer_locales(settings) == {("trial", "en-US"): "One month free"}
    gone = [
        (row["entry_id"], row["locale"], row["content_version"], row["fields"])
        for row in landed_rows(settings)
        if row["is_deleted"]
    ]
    assert gone == [("trial", "sv-SE", 1, "{}"), ("winback", "en-US", 1, "{}")]


def test_an_entry_that_was_published_and_deleted_between_two_pulls_leaves_no_trace(
    space: Space, settings: Settings
) -> None:
    pull(settings)
    space.publish("brief", {"title": {"en-US": "Gone"}})
    space.unpublish("brief")

    assert pull(settings).file is None
    assert offer_locales(settings) == ALL


def test_without_changes_nothing_is_written(settings: Settings) -> None:
    pull(settings)
    files = landed_files(settings)

    assert pull(settings).to_dict() == {
        "source": "contentful", "is_full": False, "upserts": 0, "tombstones": 0, "file": None,
        "recovered_rows": 0,
    }  # fmt: skip
    assert landed_files(settings) == files


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(429, SLOW_DOWN, {"X-Contentful-RateLimit-Reset": "0"}),
        Answer(429, SLOW_DOWN, {"Retry-After": "0"}),
        Answer(429, SLOW_DOWN),
        Answer(500, "Internal Server Error"),
        error(502, "Hibernated", "The requested space is hibernated."),
        Answer(503, "<html>Service Unavailable</html>", {"Retry-After": "0"}),
        Answer(200, '{"sys": {"type": "Array"}, "items": [{"sys": {"ty'),
        Answer(200, '{"sys": {"type": "Array"}, "items": []', is_cut=True),
        Answer(200, '{"sys": {"type": "Array"}, "items": []}'),
    ],
    ids=["429 reset", "429 retry-after", "429 bare", "500", "502", "503", "half JSON", "cut", "no next page"],
)
def test_trouble_in_the_middle_of_a_chain_is_waited_out(
    space: Space, settings: Settings, trouble: Answer
) -> None:
    space.answer_next("/sync", trouble, trouble)
    space.answer_next("/content_types", Answer(503, "busy", {"Retry-After": "0"}))

    pull(settings)

    assert offer_locales(settings) == ALL


def test_trouble_that_lasts_leaves_landing_and_cursor_as_they_were(space: Space, settings: Settings) -> None:
    pull(settings)
    files = landed_files(settings)
    space.publish("trial", {"title": {"en-US": "One month free"}})
    space.publish("gift", {"title": {"en-US": "A gift"}})
    space.broken_after_page = 1

    with pytest.raises(ContentError, match=r"contentful: sync page 2: the JSON is cut off"):
        pull(settings)
    assert landed_files(settings) == files

    space.broken_after_page = None
    result = pull(settings)
    assert (result.is_full, result.upserts, result.tombstones) == (False, 2, 1)
    assert offer_locales(settings)["gift", "en-US"] == "A gift"


def test_a_rate_limit_is_waited_for_as_long_as_contentful_says(space: Space, settings: Settings) -> None:
    space.answer_next("/sync", Answer(429, SLOW_DOWN, {"X-Contentful-RateLimit-Reset": "1"}))
    began = datetime.now(UTC)

    pull(settings)

    assert datetime.now(UTC) - began >= timedelta(seconds=1)


def test_a_wait_that_is_too_long_is_left_to_the_next_run(space: Space, settings: Settings) -> None:
    space.answer_next("/sync", Answer(429, SLOW_DOWN, {"X-Contentful-RateLimit-Reset": "3600"}))

    with pytest.raises(TransientError, match=r"HTTP 429: Too many requests") as caught:
        pull(settings)

    assert caught.value.wait_seconds == 3600
    assert landed_files(settings) == []


def test_a_date_in_retry_after_is_understood() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)

    assert asked_wait({"Retry-After": in_a_minute}) == pytest.approx(60, abs=2)
    assert asked_wait({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    assert asked_wait({"Retry-After": "soon"}) is None


def test_a_sync_token_that_is_not_accepted_any_more_is_replaced_by_a_full_sync_with_tombstones(
    space: Space, settings: Settings
) -> None:
    pull(settings)
    space.unpublish("winback")
    space.publish("trial", {"title": {"en-US": "30 days free", "de-DE": "30 Tage gratis"}})
    space.publish("gift", {"title": {"en-US": "A gift"}})
    space.expire_tokens()

    result = pull(settings)

    # What had not changed is not landed again.
    assert (result.is_full, result.upserts, result.tombstones) == (True, 3, 2)
    assert offer_locales(settings) == {
        ("trial", "en-US"): "30 days free",
        ("trial", "de-DE"): "30 Tage gratis",
        ("gift", "en-US"): "A gift",
    }
    assert not pull(settings).is_full


def test_a_cursor_of_another_environment_is_not_used(space: Space, settings: Settings) -> None:
    pull(settings)
    state = next((Path(settings.state_dir).parent / "landing/_cursors").rglob("contentful.json"))
    kept = json.loads(state.read_text())
    state.write_text(json.dumps(kept | {"origin": "elsewhere"}))
    space.unpublish("winback")

    result = pull(settings)

    assert (result.is_full, result.tombstones) == (True, 1)


def test_entries_that_vanish_all_at_once_are_taken_for_a_mistake_until_somebody_means_it(
    space: Space, settings: Settings
) -> None:
    for number in range(20):
        space.publish(f"offer-{number}", {"title": {"en-US": f"Offer {number}"}})
    pull(settings)
    for entry_id in list(space.published):
        space.unpublish(entry_id)

    with pytest.raises(ContentError, match="22 of 22 entries have vanished at once, more than 50%"):
        pull(settings)
    assert len(offer_locales(settings)) == 23

    assert pull(settings, allow_deletions=True).tombstones == 23
    assert offer_locales(settings) == {}


def test_the_preview_api_is_refused(settings: Settings) -> None:
    preview = settings.model_copy(update={"contentful_base_url": "https://preview.contentful.com"})

    with pytest.raises(ContentError, match=r"preview\.contentful\.com is the Preview API"):
        pull(preview)


def test_a_token_of_the_preview_api_is_refused_with_a_hint(settings: Settings) -> None:
    other = Settings(_env_file=None, **(settings.model_dump() | {"contentful_token": "preview-token"}))

    with pytest.raises(ContentError, match=r"HTTP 401: .* a preview token is refused") as caught:
        pull(other)

    assert "preview-token" not in str(caught.value)


def test_the_command_says_the_code_of_a_refusal_and_pulls_once_the_token_is_right(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = Settings(_env_file=None, **(settings.model_dump() | {"contentful_token": "expired"}))

    def pulled_by(of: Settings) -> Result:
        monkeypatch.setattr("segue.settings.get_settings", lambda: of)
        return CliRunner().invoke(app, ["content", "pull"])

    refused = pulled_by(expired)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("content: contentful: locales: HTTP 401: ")
    assert refused.stderr.splitlines()[-1] == "see docs/runbook.md#content"
    assert landed_files(settings) == []

    assert pulled_by(settings).exit_code == 0
    assert offer_locales(settings) == ALL


def test_a_draft_behind_the_delivery_address_is_refused(space: Space, settings: Settings) -> None:
    space.published["trial"]["sys"]["revision"] = 0

    with pytest.raises(ContentError, match="entry trial was never published: this is a preview of drafts"):
        pull(settings)
    assert landed_files(settings) == []


def test_an_environment_that_does_not_exist_is_named(settings: Settings) -> None:
    other = settings.model_copy(update={"contentful_environment": "nowhere"})

    with pytest.raises(ContentError, match="contentful: locales: HTTP 404: The resource could not be found"):
        pull(other)


def test_a_time_that_is_none_is_landed_as_it_is_for_landing_to_refuse(
    space: Space, settings: Settings
) -> None:
    space.publish("odd", {"title": {"en-US": "Odd"}, "validUntil": {"en-US": "next spring"}})
    pull(settings)

    [row] = [row for row in landed_rows(settings) if row["entry_id"] == "odd"]
    assert row["valid_until_at"] == "next spring"


def test_a_missing_setting_is_named(settings: Settings) -> None:
    with pytest.raises(ContentError, match="SEGUE_CONTENTFUL_TOKEN is not set"):
        pull(settings.model_copy(update={"contentful_token": None}))
    with pytest.raises(ContentError, match="no content source 'wordpress'; there are contentful, directus"):
        open_source(settings, "wordpress")
