"""Where offers' content comes from, and how it is pulled."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ContentSettings(BaseSettings):
    """Where offers' content comes from, and how it is pulled."""

    contentful_space_id: str | None = Field(default=None, description="None: Contentful is not pulled.")
    contentful_environment: str = Field(default="master", description="Contentful environment that is read.")
    contentful_token: SecretStr | None = Field(
        default=None, description="Content Delivery API token; a preview token is refused."
    )
    contentful_base_url: str = Field(
        default="https://cdn.contentful.com",
        description="The Delivery API; EU: https://cdn.eu.contentful.com.",
    )
    directus_url: str | None = Field(default=None, description="None: Directus is not pulled.")
    directus_token: SecretStr | None = Field(default=None, description="Static token of a reading user.")
    directus_collection: str = Field(default="offer_content", description="Collection with the entries.")
    directus_default_locale: str = Field(default="en", description="Locale of items without translations.")
    content_page_size: int = Field(default=500, ge=1, le=1000, description="Entries per request.")
    content_attempts: int = Field(default=6, ge=1, description="Attempts of a request that may yet succeed.")
    content_first_wait_seconds: float = Field(default=0.5, description="Wait after the first; doubles.")
    content_longest_wait_seconds: float = Field(
        default=60, description="A system that asks to wait longer is left to the next run."
    )
    content_max_deleted_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A pull after which a larger share of the entries is gone is refused.",
    )
