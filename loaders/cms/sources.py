"""The content management systems that are configured, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from loaders.cms.attempts import Patience
from loaders.cms.contract import ContentError, ContentSource
from segue.settings import Settings

if TYPE_CHECKING:
    from loaders.cms.contentful import ContentfulSource
    from loaders.cms.directus import DirectusSource


def configured_sources(settings: Settings) -> list[str]:
    """Names of the systems that the settings point at."""
    configured = {"contentful": settings.contentful_space_id, "directus": settings.directus_url}
    return [name for name, address in configured.items() if address]


def open_source(settings: Settings, name: str) -> ContentSource:
    """The system of that name, ready to be pulled.

    Raises:
        ContentError: there is none of that name, or a setting of it is missing or wrong.
    """
    if name not in SOURCES:
        raise ContentError(f"no content source {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name](settings)


def _contentful(settings: Settings) -> ContentfulSource:
    # Each SDK is imported for its own system only.
    from loaders.cms.contentful import ContentfulSource

    return ContentfulSource(
        _needed(settings.contentful_space_id, "SEGUE_CONTENTFUL_SPACE_ID"),
        _secret(settings.contentful_token, "SEGUE_CONTENTFUL_TOKEN"),
        environment=settings.contentful_environment,
        base_url=settings.contentful_base_url,
        page_size=settings.content_page_size,
        patience=_patience(settings),
    )


def _directus(settings: Settings) -> DirectusSource:
    from loaders.cms.directus import DirectusSource

    return DirectusSource(
        _needed(settings.directus_url, "SEGUE_DIRECTUS_URL"),
        _secret(settings.directus_token, "SEGUE_DIRECTUS_TOKEN"),
        collection=settings.directus_collection,
        default_locale=settings.directus_default_locale,
        page_size=settings.content_page_size,
        patience=_patience(settings),
    )


def _patience(settings: Settings) -> Patience:
    return Patience(
        attempts=settings.content_attempts,
        first_wait_seconds=settings.content_first_wait_seconds,
        longest_wait_seconds=settings.content_longest_wait_seconds,
    )


def _needed(value: str | None, variable: str) -> str:
    if not value:
        raise ContentError(f"{variable} is not set; see docs/content.md")
    return value


def _secret(value: SecretStr | None, variable: str) -> str:
    return _needed(value.get_secret_value() if value else None, variable)


SOURCES: Mapping[str, Callable[[Settings], ContentSource]] = {
    "contentful": _contentful,
    "directus": _directus,
}
"""Every system that is spoken; a further one is added here."""
