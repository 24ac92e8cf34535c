"""A pull that is killed anywhere, and any history of a space: the same content as in the CMS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.cms.contract import ContentError
from loaders.cms.pull import PullResult, pull_content
from loaders.cms.sources import open_source
from loaders.cms.state import Landing
from loaders.objects.folder import FolderStore
from loaders.objects.store import ObjectConflictError
from segue.settings import Settings
from tests.gcs_fixture import Gcs
from tests.loaders.cms.contentful_server import SPACE, TOKEN, Answer, Space, serve
from tests.loaders.cms.landed import current_content, landed_files, landed_rows, landing_folder

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class KilledError(BaseException):
    """The process is gone at this point."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def world(page_size: int = 2) -> Iterator[tuple[Space, Settings]]:
    """An empty space on loopback and settings that point at it."""
    space = Space(page_size)
    with serve(space) as url, tempfile.TemporaryDirectory() as folder:
        yield (
            space,
            Settings(
                _env_file=None,
                contentful_space_id=SPACE,
                contentful_token=TOKEN,
                contentful_base_url=url,
                content_first_wait_seconds=0,
                content_attempts=30,
                landing_files_uri=(Path(folder) / "landing").as_uri(),
                state_dir=Path(folder) / "state",
            ),
        )


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Kill at the given step of the writes: odd ones before a file is moved into place, even ones after."""
    steps = iter(range(step, -1_000_000, -1))
    write = Landing.write

    def interrupted(self: Landing, path: str, text: str) -> None:
        if next(steps) == 1:
            target = landing_folder_of(self) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (target.parent / f"_unfinished_.{target.name}").write_text(text[: len(text) // 2])
            raise KilledError
        write(self, path, text)
        if next(steps) == 1:
            raise KilledError

    with mock.patch.object(Landing, "write", interrupted):
        yield


def landing_folder_of(landing: Landing) -> Path:
    assert isinstance(landing._store, FolderStore)
    return landing._store.root


def pull(of: Settings, clock: Clock | None = None) -> PullResult:
    return pull_content(of, open_source(of, "contentful"), clock=clock or Clock(), allow_deletions=True)


def titles(space: Space) -> dict[tuple[str, str], dict[str, Any]]:
    """What the space has published, by entry and locale."""
    return {
        (entry_id, locale): {"title": title}
        for entry_id, entry in space.published.items()
        for locale, title in entry["fields"]["title"].items()
    }


@pytest.mark.parametrize("step", range(1, 7))
def test_a_pull_killed_at_any_write_lands_the_same_rows_in_the_same_file_when_it_runs_again(
    step: int,
) -> None:
    with world() as (space, of):
        clock = Clock()
        space.publish("trial", {"title": {"en-US": "Trial", "sv-SE": "Prov"}})
        space.publish("gift", {"title": {"en-US": "Gift"}})
        pull(of, clock)
        space.publish("trial", {"title": {"en-US": "Free trial"}})
        space.unpublish("gift")

        clock.now += timedelta(hours=1)
        with pytest.raises(KilledError), killed_at(step):
            pull(of, clock)
        clock.now += timedelta(hours=1)
        pull(of, clock)

        assert [Path(name).name.split("-")[1] for name in landed_files(of)] == ["00000001", "00000002"]
        rows = [(row["entry_id"], row["locale"], row["is_deleted"]) for row in landed_rows(of)[3:]]
        assert rows == [("trial", "en-US", False), ("trial", "sv-SE", True), ("gift", "en-US", True)]
        assert current_content(of) == titles(space)


def test_of_two_pulls_at_once_one_lands_what_changed_and_the_other_nothing() -> None:
    with world() as (space, of):
        space.publish("trial", {"title": {"en-US": "Trial"}})
        source = open_source(of, "contentful")
        read = source.pull

        def read_while_another_lands(cursor: str | None) -> Any:
            changes = read(cursor)
            pull(of)
            return changes

        with (
            mock.patch.object(source, "pull", read_while_another_lands),
            pytest.raises(ObjectConflictError, match=r"^_cursors/content_entries/contentful"),
        ):
            pull_content(of, source, clock=Clock())

        assert [row["entry_id"] for row in landed_rows(of)] == ["trial"]
        assert pull(of).file is None


def test_into_a_bucket_a_pull_needs_rights_on_objects_alone(gcs: Gcs, tmp_path: Path) -> None:
    gcs.refused.clear()
    with world() as (space, of):
        bucket = f"gs://content-{uuid4().hex[:8]}"
        of = gcs.bucket_of(
            of.model_copy(update={"landing_uri": bucket, "landing_files_uri": tmp_path.as_uri()})
        )
        space.publish("trial", {"title": {"en-US": "Trial"}})
        pull(of)
        space.publish("trial", {"title": {"en-US": "Free trial"}})
        # The answer to the first write, of the state, is lost: it is written again, and found there.
        gcs.lose_answers = 1
        pull(of)

        assert [name.split("-0000")[0] for name in gcs.names(of)] == [
            "_cursors/content_entries/contentful.json",
            "content_entries/2026-03-10/contentful",
            "content_entries/2026-03-10/contentful",
        ]
        assert pull(of).file is None
        assert [each for each in gcs.refused if not each.startswith("412")] == []


def test_what_was_decided_before_a_kill_arrives_on_the_day_on_which_it_is_written() -> None:
    with world() as (space, of):
        clock = Clock()
        space.publish("trial", {"title": {"en-US": "Trial"}})
        with pytest.raises(KilledError), killed_at(2):
            pull(of, clock)
        assert landed_files(of) == []
        # Deleted before the next pull, so that only the pending rows know of it.
        space.unpublish("trial")

        clock.now += timedelta(days=1)
        result = pull(of, clock)

        assert (result.recovered_rows, result.tombstones) == (1, 1)
        assert {name.split("/")[1] for name in landed_files(of)} == {"2026-03-11"}
        assert [row["ingested_at"][:10] for row in landed_rows(of)] == ["2026-03-11", "2026-03-11"]
        assert current_content(of) == {}


def test_later_rows_arrive_later_even_when_the_clock_is_set_back() -> None:
    with world() as (space, of):
        clock = Clock()
        space.publish("trial", {"title": {"en-US": "Trial"}})
        pull(of, clock)
        space.publish("trial", {"title": {"en-US": "Free trial"}})
        clock.now -= timedelta(minutes=5)
        pull(of, clock)

        assert [row["ingested_at"] for row in landed_rows(of)] == [
            "2026-03-10T12:00:00.000000+00:00",
            "2026-03-10T12:00:00.000001+00:00",
        ]


def test_a_state_that_cannot_be_understood_is_not_overwritten() -> None:
    with world() as (space, of):
        space.publish("trial", {"title": {"en-US": "Trial"}})
        pull(of)
        state = landing_folder(of) / "_cursors/content_entries/contentful.json"
        state.write_text("{")

        with pytest.raises(ContentError, match=r"_cursors/content_entries/contentful\.json cannot be"):
            pull(of)
        assert state.read_text() == "{"


ENTRIES = st.sampled_from(["a", "b", "c", "d"])
TITLES = st.dictionaries(st.sampled_from(["en-US", "sv-SE", "de-DE"]), st.text(max_size=5), min_size=1)
ACTIONS = st.one_of(
    st.tuples(st.just("publish"), ENTRIES, TITLES),
    st.tuples(st.just("unpublish"), ENTRIES),
    st.tuples(st.just("page size"), st.integers(1, 4)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("break"), st.integers(0, 2)),
    st.tuples(st.just("trouble"), st.sampled_from([429, 500, 503])),
    st.tuples(st.just("pull")),
    st.tuples(st.just("kill"), st.integers(1, 6)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(ACTIONS, max_size=20))
def test_after_any_history_the_landed_content_is_the_published_one(
    history: list[tuple[Any, ...]],
) -> None:
    with world() as (space, of):
        clock = Clock()
        for action in history:
            clock.now += timedelta(hours=5)
            match action:
                case ("publish", entry_id, values):
                    space.publish(entry_id, {"title": values})
                case ("unpublish", entry_id):
                    space.unpublish(entry_id)
                case ("page size", size):
                    space.page_size = size
                case ("expire",):
                    space.expire_tokens()
                case ("break", after):
                    space.broken_after_page = after
                    with suppress(ContentError):
                        pull(of, clock)
                    space.broken_after_page = None
                case ("trouble", status):
                    space.answer_next("/sync", Answer(status, "trouble", {"Retry-After": "0"}))
                case ("pull",):
                    pull(of, clock)
                case ("kill", step):
                    with suppress(KilledError), killed_at(step):
                        pull(of, clock)
        pull(of, clock)

        assert current_content(of) == titles(space)
        assert pull(of, clock).file is None
        keys = [(row["entry_id"], row["locale"], row["ingested_at"]) for row in landed_rows(of)]
        assert len(keys) == len(set(keys))
