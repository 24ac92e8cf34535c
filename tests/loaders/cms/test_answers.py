"""Whatever a content system answers, a pull brings its entries or a ContentError; its requests are small."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.cms.attempts import Patience
from loaders.cms.contentful import ContentfulSource
from loaders.cms.contract import Changes, ContentError
from loaders.cms.directus import DirectusSource
from tests.loaders.cms.contentful_server import SPACE, TOKEN, Answer, Request, Space
from tests.loaders.cms.contentful_server import serve as serve_space

Item = dict[str, Any]
ONCE = Patience(attempts=1)


def item(key: Any, **fields: Any) -> Item:
    return {
        "id": key, "status": "published", "date_created": "2026-01-01T00:00:00Z", "date_updated": None,
        "title": "x", "translations": [],
    } | fields  # fmt: skip


class Collection:
    """A collection of Directus on loopback, which answers as it is told."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.request_bytes: list[int] = []
        self.answered: Callable[[Any], bytes] = lambda body: json.dumps(body).encode()

    def answer(self, path: str) -> bytes:
        self.request_bytes.append(len(path))
        wanted = parse_qs(urlsplit(path).query).get("filter[id][_in]")
        keys = set(wanted[0].split(",")) if wanted else None
        found = [each for each in self.items if keys is None or str(each.get("id")) in keys]
        return self.answered({"data": found, "meta": {"filter_count": len(self.items)}})


@contextmanager
def serve(collection: Collection) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = collection.answer(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Collection, DirectusSource]]:
    collection = Collection()
    with serve(collection) as url:
        source = DirectusSource(url, "t", collection="offer_content", default_locale="en", patience=ONCE)
        with source:
            yield collection, source


@pytest.fixture
def collection(running: tuple[Collection, DirectusSource]) -> Collection:
    running[0].__init__()  # type: ignore[misc]
    return running[0]


@pytest.fixture
def source(running: tuple[Collection, DirectusSource]) -> DirectusSource:
    return running[1]


def refused(source: DirectusSource) -> str:
    with pytest.raises(ContentError) as raised:
        source.pull(None)
    return str(raised.value)


def test_keys_of_any_kind_travel_in_requests_of_bounded_bytes(
    collection: Collection, source: DirectusSource
) -> None:
    keys = [str(UUID(int=n)) for n in range(500)] + [f"e{n}" for n in range(400)] + ["é" * 100, "x" * 4_000]
    collection.items = [item(key) for key in keys]

    changes = source.pull(None)

    assert {entry.entry_id for entry in changes.upserts} == set(keys)
    assert max(collection.request_bytes) < 6_000
    assert len(collection.request_bytes) < 12


def test_numbers_are_keys_too_and_a_comma_is_in_none(collection: Collection, source: DirectusSource) -> None:
    collection.items = [item(7)]
    assert [entry.entry_id for entry in source.pull(None).upserts] == ["7"]
    collection.items = [item("a,b")]
    assert refused(source) == "directus: item 'a,b': a key with a comma cannot be asked for"


@pytest.mark.parametrize("field", ["status", "translations"])
def test_a_field_that_the_role_may_not_read_is_named(
    collection: Collection, source: DirectusSource, field: str
) -> None:
    collection.items = [item("e1"), item("e2")]
    del collection.items[1][field]

    assert refused(source) == (
        f"directus: item e2 has no {field}: the collection lacks it, or the token's role may not read it"
    )


def test_a_relation_that_the_role_may_not_read_is_named(
    collection: Collection, source: DirectusSource
) -> None:
    for translations in ([1, 2], [{"title": "x"}], [{"languages_code": None}], "en", None):
        collection.items = [item("e1", translations=translations)]
        assert refused(source).startswith(
            "directus: item e1: translations is no list of objects with a language"
        )
    collection.items = [{"status": "published"}]
    assert refused(source) == "directus: an item has no id: may the token's role read it?"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"data": [{"id": NaN}]}', "the answer holds NaN, which is no JSON"),
        (b'{"data": ["\\ud800"]}', "the answer holds half of a surrogate pair"),
        (b'{"data": ' + b"[" * 100_000, "the answer is nested too deeply"),
        (b'{"data": [' + b"9" * 5_000 + b"]}", "the JSON is cut off"),
        (b'{"data": [], "meta": 3}', "the answer is not what the documentation says"),
        (b'{"data": [], "meta": {"filter_count": 1}}', "the listing has 0 of 1 items"),
        (b'{"data": {}}', "does not answer like a collection"),
        (b"\xff\xfe\xfd", "the JSON is cut off"),
        (b"", "the JSON is cut off"),
    ],
)
def test_an_answer_that_nobody_understands_says_so(
    collection: Collection, source: DirectusSource, content: bytes, says: str
) -> None:
    collection.answered = lambda _: content
    assert says in refused(source)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("2026-01-01T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


@st.composite
def damages(draw: st.DrawFn) -> Callable[[Any], Any]:
    """What puts junk in one place of a value, or takes out what was there."""
    chosen, junk, is_gone = draw(st.integers(0, 999)), draw(JUNK), draw(st.booleans())

    def damage(value: Any) -> Any:
        value = deepcopy(value)
        paths = places(value)
        *outer, key = paths[chosen % len(paths)] or (None,)
        if key is None:
            return junk
        holder = value
        for each in outer:
            holder = holder[each]
        if is_gone:
            del holder[key]
        else:
            holder[key] = junk
        return value

    return damage


FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def pulled(pull: Callable[[], Changes]) -> None:
    try:
        changes = pull()
    except ContentError:
        return
    for entry in changes.upserts:
        assert json.dumps(dict(entry.fields), ensure_ascii=False, allow_nan=False).encode()


@FEW
@given(damage=damages(), number=st.integers(0, 1))
def test_any_damage_to_directus_answers_is_an_answer_or_a_content_error(
    collection: Collection, source: DirectusSource, damage: Callable[[Any], Any], number: int
) -> None:
    translation = {"languages_code": "sv", "date_updated": "2026-01-02T00:00:00Z", "title": "y"}
    collection.items = [item("e1"), item("e2", translations=[translation])]
    answers = iter([damage if number == n else lambda body: body for n in range(2)])
    collection.answered = lambda body: json.dumps(next(answers, damage)(body)).encode()
    pulled(lambda: source.pull(None))


class DamagedSpace(Space):
    """A space of Contentful one of whose answers is damaged."""

    damage: Callable[[Any], Any]
    number = 0

    def answer(self, request: Request) -> Answer:
        """The regular answer, or what is left of it."""
        answer = super().answer(request)
        if len(self.requests) != self.number + 1:
            return answer
        return Answer(answer.status, json.dumps(self.damage(json.loads(answer.body))), answer.headers)


@pytest.fixture(scope="module")
def space() -> Iterator[tuple[DamagedSpace, ContentfulSource]]:
    space = DamagedSpace(page_size=2)
    space.publish("trial", {"title": {"en-US": "30 days free", "sv-SE": "30 dagar gratis"}})
    space.publish("winback", {"title": {"en-US": "Welcome back"}, "validUntil": {"en-US": "2026-12-31"}})
    with serve_space(space) as url, ContentfulSource(SPACE, TOKEN, base_url=url, patience=ONCE) as source:
        yield space, source


@FEW
@given(damage=damages(), number=st.integers(0, 3))
def test_any_damage_to_contentful_answers_is_an_answer_or_a_content_error(
    space: tuple[DamagedSpace, ContentfulSource], damage: Callable[[Any], Any], number: int
) -> None:
    damaged, source = space
    damaged.requests.clear()
    damaged.damage, damaged.number = damage, number
    pulled(lambda: source.pull(None))
