"""Contentful through its SDK: the Sync API of the Content Delivery API.

https://www.contentful.com/developers/docs/references/content-delivery-api/#/reference/synchronization
A sync is a chain of pages: each but the last names the next page, the last the token of the next sync. The
payload holds every locale and no fallbacks. Unpublishing and deleting look the same: ``DeletedEntry``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import contentful  # type: ignore[import-untyped]
import requests
from contentful.errors import RateLimitExceededError  # type: ignore[import-untyped]
from contentful.sync_page import SyncPage  # type: ignore[import-untyped]

from loaders.cms.answers import read_json, understood
from loaders.cms.attempts import Patience, TransientError, asked_wait
from loaders.cms.contract import Changes, ContentError, CursorExpiredError, Entry

NAME = "contentful"
_TIMEOUT_SECONDS = 30
_TYPES_PER_PAGE = 1000
_AT_ONCE = -1
"""As the SDK's longest wait: it sleeps after its last attempt too, so waiting is left to ``Patience``."""


@dataclass(frozen=True)
class _Model:
    """The default locale, and which fields of a content type have a value of their own in each locale."""

    default_locale: str
    localized: Mapping[tuple[str, str], bool]


class ContentfulSource:
    """The published entries of one environment of a space.

    Raises:
        ContentError: the address is not one of the Content Delivery API.
    """

    name = NAME

    def __init__(
        self,
        space_id: str,
        token: str,
        *,
        environment: str = "master",
        base_url: str = "https://cdn.contentful.com",
        page_size: int = 500,
        patience: Patience | None = None,
    ) -> None:
        address = urlsplit(base_url)
        if not address.netloc or address.scheme not in ("http", "https") or address.path.strip("/"):
            raise ContentError(f"contentful: {base_url!r} is not an address like https://cdn.contentful.com")
        if "preview" in (address.hostname or ""):
            raise ContentError(
                f"contentful: {address.hostname} is the Preview API, which shows drafts; offers are made of "
                "published content only: use https://cdn.contentful.com and a Content Delivery API token"
            )
        self.origin = f"{address.netloc}/spaces/{space_id}/environments/{environment}"
        self._page_size = page_size
        self._patience = patience or Patience()
        self._client = contentful.Client(
            space_id,
            token,
            api_url=address.netloc,
            https=address.scheme == "https",
            environment=environment,
            # Answers are judged here: the SDK's own error classes fail on details they do not expect.
            raw_mode=True,
            content_type_cache=False,
            timeout_s=_TIMEOUT_SECONDS,
            max_rate_limit_retries=0,
            max_rate_limit_wait=_AT_ONCE,
            application_name="segue",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: the SDK opens a connection for each request."""

    def pull(self, cursor: str | None) -> Changes:
        """The whole chain of pages since ``cursor``, of every entry only its last state.

        Raises:
            CursorExpiredError: Contentful does not accept the sync token.
            ContentError: a page cannot be read, after all attempts, or it shows drafts.
        """
        with understood("contentful: the space"):
            return self._changes(cursor)

    def _changes(self, cursor: str | None) -> Changes:
        model = self._model()
        entries: dict[str, list[Entry] | None] = {}
        token = cursor
        for number in self._page_numbers():
            page = self._page(token, number)
            for item in page.raw["items"]:
                kind, entry_id = item["sys"]["type"], item["sys"]["id"]
                if kind == "Entry":
                    entries[entry_id] = list(_in_each_locale(item, model))
                elif kind == "DeletedEntry":
                    entries[entry_id] = None
            token = page.next_sync_token
            if page.next_sync_url:
                break
        upserts = tuple(entry for locales in entries.values() for entry in locales or ())
        return Changes(
            upserts=upserts,
            tombstones=tuple(entry_id for entry_id, locales in entries.items() if locales is None),
            next_cursor=str(token),
            present=None if cursor else frozenset((entry.entry_id, entry.locale) for entry in upserts),
        )

    @staticmethod
    def _page_numbers() -> Iterator[int]:
        """1, 2, …; a chain that does not end is the system's fault, and must not fill the memory."""
        yield from range(1, 100_000)
        raise ContentError("contentful: the chain of sync pages does not end")

    def _page(self, token: str | None, number: int) -> Any:
        what = f"sync page {number}"
        query: dict[str, object] = (
            {"sync_token": token} if token else {"initial": True, "limit": self._page_size}
        )

        def request() -> Any:
            body = self._answer(lambda: self._client.sync(dict(query)), what, has_token=bool(token))
            try:
                return SyncPage(body)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise TransientError(f"contentful: {what} is not a page of a sync: {error!r}") from error

        return self._patience.ask(request)

    def _model(self) -> _Model:
        locales = self._read("locales", self._client.locales)
        default = [locale["code"] for locale in locales["items"] if locale.get("default")]
        if not default:
            raise ContentError("contentful: no locale of the environment is the default")
        localized: dict[tuple[str, str], bool] = {}
        skip, total = 0, 1
        while skip < total:
            query = {"limit": _TYPES_PER_PAGE, "skip": skip, "order": "sys.id"}
            page = self._read("content types", partial(self._client.content_types, query))
            for content_type in page["items"]:
                for field in content_type["fields"]:
                    localized[content_type["sys"]["id"], field["id"]] = bool(field.get("localized"))
            total, skip = int(page.get("total", 0)), skip + _TYPES_PER_PAGE
            if not page["items"]:
                break
        return _Model(default[0], localized)

    def _read(self, what: str, call: Callable[[], Any]) -> Any:
        return self._patience.ask(lambda: self._answer(call, what))

    def _answer(self, call: Callable[[], Any], what: str, *, has_token: bool = False) -> Any:
        """The answer's JSON object; any other answer is an error that tells whether asking again can help."""
        try:
            response = call()
        except RateLimitExceededError as error:
            response = error.response
        except KeyError as error:
            # The SDK looks for Contentful's header alone and trips over a 429 with Retry-After only.
            if not isinstance(error.__context__, RateLimitExceededError):
                raise
            response = error.__context__.response
        except requests.RequestException as error:
            raise TransientError(f"contentful: {what}: {error}") from error
        status = response.status_code
        if status == requests.codes.ok:
            body = read_json(f"contentful: {what}", response.content)
            if not isinstance(body, dict) or not isinstance(body.get("items"), list):
                raise TransientError(f"contentful: {what}: the answer has no items")
            return body
        reason = f"contentful: {what}: HTTP {status}: {_message(response)}"
        if status == requests.codes.too_many_requests or status >= requests.codes.server_error:
            raise TransientError(reason, asked_wait(response.headers))
        if status == requests.codes.bad_request and has_token:
            raise CursorExpiredError(reason)
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            reason += " (a Content Delivery API token of the space is needed; a preview token is refused)"
        raise ContentError(reason)


def _message(response: Any) -> str:
    try:
        return str(response.json()["message"])
    except (requests.RequestException, LookupError, TypeError, RecursionError):
        return " ".join(response.text.split())[:200]


def _in_each_locale(item: Mapping[str, Any], model: _Model) -> Iterator[Entry]:
    """The entry in every locale in which one of its localized fields has a value.

    Fields that are not localized are stored under the default locale and belong to every one. An entry
    without any localized value is in the default locale only.
    """
    entry_id = item["sys"]["id"]
    try:
        content_type = item["sys"]["contentType"]["sys"]["id"]
        revision = item["sys"].get("revision") or 0
        # Contentful updates an entry of the Delivery API when it is published.
        published_at = datetime.fromisoformat(item["sys"].get("publishedAt") or item["sys"]["updatedAt"])
    except (KeyError, TypeError, ValueError) as error:
        raise ContentError(f"contentful: entry {entry_id}: sys cannot be read: {error!r}") from error
    if revision < 1:
        raise ContentError(
            f"contentful: entry {entry_id} was never published: this is a preview of drafts, not the "
            "Content Delivery API"
        )
    own: dict[str, dict[str, Any]] = {}
    common: dict[str, Any] = {}
    for field, values in item.get("fields", {}).items():
        if model.localized.get((content_type, field), True):
            for locale, value in values.items():
                own.setdefault(locale, {})[field] = value
        elif model.default_locale in values:
            common[field] = values[model.default_locale]
    for locale, fields in (own or {model.default_locale: {}}).items():
        yield Entry(
            entry_id=entry_id,
            locale=locale,
            content_type=content_type,
            content_version=revision,
            is_published=True,
            published_at=published_at,
            fields=common | fields,
        )
