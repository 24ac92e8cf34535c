"""The online store of the offers, and how it is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class BigtableSettings(BaseSettings):
    """The online store of the offers, and how it is loaded."""

    bigtable_emulator_host: str | None = Field(default=None, description="host:port, without TLS.")
    bigtable_instance: str = Field(default="segue", description="Bigtable instance of the offers.")
    bigtable_table: str = Field(default="offers", description="Bigtable table of the offers.")
    bigtable_load_app_profile: str = Field(
        default="default",
        description="App profile of what writes: one cluster, single-row transactions allowed.",
    )
    bigtable_read_app_profile: str = Field(
        default="default", description="App profile of lookups; may route to the nearest of many clusters."
    )
    bigtable_load_dataset: str = Field(
        default="bigtable_load",
        description="Dataset of rows that a load has staged; empty between loads.",
    )
    bigtable_load_mode: Literal["delta", "full", "export"] = Field(
        default="delta",
        description="What a load sends: rows that changed, all rows, or all rows by BigQuery's EXPORT DATA.",
    )
    bigtable_rows_per_shard: int = Field(
        default=250_000, ge=1, description="Rows that one task loads: about 100 bytes of memory each."
    )
    bigtable_load_deadline_seconds: float = Field(
        default=2 * 60 * 60, description="A load that has not written every row by then is given up."
    )
    max_dead_letters: int = Field(
        default=10, ge=0, description="Refused rows a shard that are tolerated whatever its size."
    )
    max_dead_letter_share: float = Field(
        default=0.0001, ge=0, le=1, description="A shard with a larger share of refused rows fails."
    )
    erasure_salt: SecretStr | None = Field(
        default=None, description="Secret that account ids are hashed with in the list of erased accounts."
    )
