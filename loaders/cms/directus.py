"""Directus, self-hosted: one collection with translations, over its REST API.

Two kinds of requests: a listing of all ids with the times of their last change, in one answer, so that
nothing slips between two pages while editors work; then the changed items, by id. What is not listed is gone.
https://directus.io/docs/api/items
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from loaders.cms.answers import read_json, understood
from loaders.cms.attempts import Patience, TransientError, asked_wait
from loaders.cms.contract import Changes, ContentError, CursorExpiredError, Entry

NAME = "directus"
OVERLAP = timedelta(minutes=5)
"""How far a pull looks back before its cursor: a change is stamped before its transaction is visible."""
PUBLISHED = "published"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LISTED = "id,date_created,date_updated,translations.languages_code,translations.date_updated"
_SYSTEM_FIELDS = frozenset(
    {
        *("id", "status", "sort", "translations", "languages_code"),
        *("user_created", "user_updated", "date_created", "date_updated"),
    }
)
_LISTED_FIELDS = ("translations",)
_ITEM_FIELDS = ("status", "translations")
_TIMEOUT_SECONDS = 30
_REQUEST_BYTES = 4_096
"""Of the keys in one request: Node takes 16 KiB for all of a request's head, many proxies 8."""

Item = Mapping[str, Any]


class DirectusSource:
    """The items of one collection."""

    name = NAME

    def __init__(
        self,
        url: str,
        token: str,
        *,
        collection: str,
        default_locale: str,
        page_size: int = 500,
        patience: Patience | None = None,
    ) -> None:
        self.origin = f"{url.rstrip('/')}/items/{collection}"
        self._collection = collection
        self._default_locale = default_locale
        self._page_size = page_size
        self._patience = patience or Patience()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS, follow_redirects=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def pull(self, cursor: str | None) -> Changes:
        """Items that changed since shortly before ``cursor``, and all that exist.

        The cursor is the time of the latest change that was seen, by Directus' clock.

        Raises:
            CursorExpiredError: the cursor is not one of ours.
            ContentError: the collection cannot be read, or lacks the fields of docs/content.md.
        """
        since = self._since(cursor)
        with understood("directus: the collection"):
            return self._changes(cursor, since)

    def _changes(self, cursor: str | None, since: datetime | None) -> Changes:
        listed = {str(item["id"]): item for item in self._listing()}
        changed = [
            entry_id for entry_id, item in listed.items() if since is None or _changed_at(item) >= since
        ]
        chunks = _bounded(changed, self._page_size)
        found = {str(item["id"]): item for ids in chunks for item in self._items(ids)}
        # Deleted between the two requests.
        for entry_id in set(changed) - set(found):
            del listed[entry_id]
        upserts = tuple(entry for item in found.values() for entry in self._in_each_locale(item))
        known_at = datetime.fromisoformat(cursor) if cursor else _EPOCH
        latest = max([known_at, *map(_changed_at, listed.values())])
        present = {(entry_id, locale) for entry_id, item in listed.items() for locale in self._locales(item)}
        return Changes(
            upserts=upserts,
            tombstones=(),
            next_cursor=latest.isoformat(),
            present=frozenset(present | {(entry.entry_id, entry.locale) for entry in upserts}),
        )

    @staticmethod
    def _since(cursor: str | None) -> datetime | None:
        if cursor is None:
            return None
        try:
            return datetime.fromisoformat(cursor) - OVERLAP
        except (ValueError, OverflowError) as error:
            raise CursorExpiredError(f"directus: {cursor!r} is not a cursor: {error}") from error

    def _listing(self) -> list[Item]:
        body = self._get({"fields": _LISTED, "limit": "-1", "meta": "filter_count"}, "the listing")
        items = [_checked(item, _LISTED_FIELDS) for item in body["data"]]
        count = body.get("meta", {}).get("filter_count")
        if count != len(items):
            raise ContentError(
                f"directus: the listing has {len(items)} of {count} items: raise the server's QUERY_LIMIT_MAX"
            )
        return items

    def _items(self, ids: Sequence[str]) -> list[Item]:
        query = {"fields": "*,translations.*", "limit": "-1", "filter[id][_in]": ",".join(ids)}
        return [_checked(item, _ITEM_FIELDS) for item in self._get(query, f"{len(ids)} items")["data"]]

    def _get(self, query: Mapping[str, str], what: str) -> Any:
        return self._patience.ask(
            lambda: self._answer({**query, "sort": "id", "deep[translations][_limit]": "-1"}, what)
        )

    def _answer(self, query: Mapping[str, str], what: str) -> Any:
        """The answer's JSON object; any other answer is an error that tells whether asking again can help."""
        try:
            response = self._client.get(self.origin, params=dict(query))
        except httpx.RequestError as error:
            raise TransientError(f"directus: {what}: {error or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise ContentError(f"directus: {self.origin} is no address: {error}") from error
        if response.is_success:
            body = read_json(f"directus: {what}", response.content)
            if not isinstance(body, dict) or not isinstance(body.get("data"), list):
                raise ContentError(f"directus: {what}: {self.origin} does not answer like a collection")
            return body
        reason = f"directus: {what}: HTTP {response.status_code}: {_message(response)}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise TransientError(reason, asked_wait(response.headers))
        raise ContentError(reason)

    def _locales(self, item: Item) -> list[str]:
        return [each["languages_code"] for each in item["translations"]] or [self._default_locale]

    def _in_each_locale(self, item: Item) -> Iterator[Entry]:
        """The item in every locale that it is translated to; without translations, in the default locale.

        What is not published keeps its place but not its words: a draft is nobody's business outside.
        """
        entry_id, is_published = str(item["id"]), item["status"] == PUBLISHED
        relation = f"{self._collection}_id"
        translations: list[Item] = item["translations"] or [{"languages_code": self._default_locale}]
        for translation in translations:
            changed_at = _changed_at({**item, "translations": [translation]})
            values = {**item, **{name: value for name, value in translation.items() if name != relation}}
            yield Entry(
                entry_id=entry_id,
                locale=translation["languages_code"],
                content_type=self._collection,
                # Directus counts no versions: the milliseconds of the last change grow with every one. Those
                # of this locale alone: a version must not fall when another translation is removed.
                content_version=(changed_at - _EPOCH) // timedelta(milliseconds=1),
                is_published=is_published,
                published_at=changed_at if is_published else None,
                fields={
                    name: value
                    for name, value in values.items()
                    if is_published and name not in _SYSTEM_FIELDS and value is not None
                },
            )


def _bounded(ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """The ids in requests of at most ``most``, and of bounded bytes: servers and proxies refuse longer ones.

    Raises:
        ContentError: an id cannot travel in a list.
    """
    chunk: list[str] = []
    size = 0
    for each in ids:
        if "," in each:
            raise ContentError(f"directus: item {each!r}: a key with a comma cannot be asked for")
        # With the comma as it is escaped.
        needed = len(quote(each, safe="")) + 3
        if chunk and (len(chunk) == most or size + needed > _REQUEST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += needed
    if chunk:
        yield chunk


def _checked(item: Any, fields: Sequence[str]) -> Item:
    """The item, when it has the fields; a role that may not read one leaves it out of every item.

    Raises:
        ContentError: names the item and the field.
    """
    if not isinstance(item, dict) or not isinstance(item.get("id"), str | int):
        raise ContentError("directus: an item has no id: may the token's role read it?")
    for field in fields:
        if field not in item:
            raise ContentError(
                f"directus: item {item['id']} has no {field}: the collection lacks it, or the token's role "
                "may not read it"
            )
    translations = item["translations"]
    if not isinstance(translations, list) or not all(
        isinstance(each, dict) and isinstance(each.get("languages_code"), str) and each["languages_code"]
        for each in translations
    ):
        raise ContentError(
            f"directus: item {item['id']}: translations is no list of objects with a languages_code: may the "
            "token's role read them?"
        )
    return item


def _changed_at(item: Item) -> datetime:
    """When the item or a translation of it last changed, by Directus' clock."""
    times = [item.get("date_created"), item.get("date_updated")]
    times += [translation.get("date_updated") for translation in item["translations"]]
    try:
        moments = [datetime.fromisoformat(time) for time in times if time]
    except ValueError as error:
        raise ContentError(f"directus: item {item['id']}: {error}") from error
    if not moments:
        raise ContentError(f"directus: item {item['id']} has neither date_created nor date_updated")
    # Fields of type `datetime` have no zone; Directus writes them in UTC.
    return max(moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments)


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["errors"][0]["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return " ".join(response.text.split())[:200]
