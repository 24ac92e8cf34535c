"""A folder and a bucket behave alike; a bucket with rights on objects alone."""

from __future__ import annotations

import io
from pathlib import Path
from uuid import uuid4

import pytest

from loaders.objects.store import (
    ABSENT,
    Level,
    ObjectConflictError,
    ObjectStore,
    ObjectStoreError,
    open_store,
)
from segue.errors import SettingsError
from segue.settings import Settings
from tests.gcs_fixture import Gcs


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind, below a root of its own."""
    uri = f"gs://shop-{uuid4().hex[:8]}/landing/root"
    settings = Settings(_env_file=None, landing_uri=uri, landing_files_uri=tmp_path.as_uri())
    if request.param == "folder":
        return open_store(settings, settings.landing_files_root)
    gcs: Gcs = request.getfixturevalue("gcs")
    return open_store(gcs.bucket_of(settings), uri)


def names(store: ObjectStore, prefix: str, start: str = "", end: str = "") -> list[str]:
    return [each.name for each in store.objects(prefix, start=start, end=end)]


def test_what_lies_below_a_prefix_is_told_by_level_and_whole(store: ObjectStore) -> None:
    for name in ("t/2026-03-02/b", "t/2026-03-01/a", "t/2026-03-02/c/d", "t/readme", "u/1/x", "top"):
        store.write(name, name.encode())

    assert store.level("") == Level(("t", "u"), ("top",))
    assert store.level("t/") == Level(("2026-03-01", "2026-03-02"), ("readme",))
    assert store.level("nothing/") == Level((), ())
    assert names(store, "t/") == ["t/2026-03-01/a", "t/2026-03-02/b", "t/2026-03-02/c/d", "t/readme"]
    assert names(store, "t/", "t/2026-03-02/", "t/2026-03-03") == ["t/2026-03-02/b", "t/2026-03-02/c/d"]
    assert names(store, "t/", end="t/2026-03-02") == ["t/2026-03-01/a"]
    assert names(store, "nothing/") == []


def test_an_object_is_told_with_its_size_and_a_generation_that_grows(store: ObjectStore) -> None:
    first = store.write("a/b", b"four")
    second = store.write("a/b", io.BytesIO(b"seven..."))

    [stored] = store.objects("a/")
    assert (stored.name, stored.base_name, stored.size, stored.generation) == ("a/b", "b", 8, second)
    assert 0 < first < second
    assert store.find("a/b") == stored
    assert store.find("a/c") is None


def test_what_was_listed_is_read_or_nothing(store: ObjectStore) -> None:
    store.write("a", b"the first")
    [listed] = store.objects("")
    with store.open(listed) as source:
        assert source.read(3) == b"the"
        source.seek(4)
        assert source.read() == b"first"
    assert store.read("a") == (b"the first", listed.generation)
    assert store.read("b") == (b"", ABSENT)

    store.write("a", b"the second")
    with pytest.raises(ObjectConflictError, match="a"), store.open(listed) as source:
        source.read()

    store.delete("a")
    store.delete("a")
    with pytest.raises(ObjectConflictError, match="a"), store.open(listed) as source:
        source.read()


def test_nobodys_write_is_displaced(store: ObjectStore) -> None:
    mine = store.write("state", b"1", replacing=ABSENT)
    with pytest.raises(ObjectConflictError, match="state"):
        store.write("state", b"another's", replacing=ABSENT)
    theirs = store.write("state", b"2", replacing=mine)
    with pytest.raises(ObjectConflictError, match="state"):
        store.write("state", b"3", replacing=mine)

    assert store.read("state") == (b"2", theirs)
    assert names(store, "") == ["state"]


def test_a_root_that_is_neither_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="s3://lake: objects lie in"):
        open_store(Settings(_env_file=None), "s3://lake")


@pytest.fixture
def bucket(gcs: Gcs, tmp_path: Path) -> Settings:
    uri = f"gs://shop-{uuid4().hex[:8]}"
    return gcs.bucket_of(
        Settings(_env_file=None, landing_uri=uri, landing_files_uri=tmp_path.as_uri(), project_id="p")
    )


def test_a_write_whose_answer_is_lost_is_written_once(gcs: Gcs, bucket: Settings) -> None:
    store = open_store(bucket, bucket.landing_uri)
    gcs.lose_answers = 1

    generation = store.write("state", b"1", replacing=ABSENT)

    assert gcs.lose_answers == 0
    assert store.read("state") == (b"1", generation)


def test_a_folder_marker_is_no_object(gcs: Gcs, bucket: Settings) -> None:
    gcs.put(bucket, "plans/")
    gcs.put(bucket, "payments/2026-03-01/p0.csv")
    store = open_store(bucket, bucket.landing_uri)

    assert store.level("plans/") == Level((), ())
    assert names(store, "") == ["payments/2026-03-01/p0.csv"]


def test_what_is_forbidden_names_the_object_and_the_right(gcs: Gcs, bucket: Settings) -> None:
    store = open_store(bucket, bucket.landing_uri)

    with pytest.raises(ObjectStoreError, match=f"{bucket.landing_uri}/marker/: forbidden") as error:
        store.write("marker/", b"")

    assert "Storage Object Admin" in str(error.value.hint)
    assert [each for each in gcs.refused if "marker" in each] != []


def test_an_identity_that_gets_its_role_back_goes_on(gcs: Gcs, bucket: Settings) -> None:
    store = open_store(bucket, bucket.landing_uri)
    gcs.is_role_gone = True
    try:
        for attempt in (lambda: store.objects(""), lambda: store.write("state", b"1")):
            with pytest.raises(ObjectStoreError, match=": forbidden: "):
                attempt()
    finally:
        gcs.is_role_gone = False

    store.write("state", b"1")
    assert names(store, "") == ["state"]
