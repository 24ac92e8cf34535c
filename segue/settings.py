"""The one place where Segue is configured.

Every value comes from an environment variable with the prefix ``SEGUE_`` or from the env file that
``segue local up`` writes. Embedded and cloud deployments differ by endpoints and credentials only:
an endpoint that is ``None`` means "the Google Cloud service", a value means "this address".
"""

from __future__ import annotations

import os
from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """All settings of all rooms; immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix="SEGUE_",
        env_file=os.environ.get("SEGUE_ENV_FILE", str(PROJECT_ROOT / ".segue" / "segue.env")),
        frozen=True,
        extra="ignore",
    )

    state_dir: Path = Field(
        default=PROJECT_ROOT / ".segue",
        description="Folder for pid files, logs, emulator data, dbt artefacts and data docs.",
    )

    # BigQuery
    project_id: str = Field(default="segue-local", description="Google Cloud project.")
    location: str = Field(default="US", description="BigQuery location of every dataset.")
    bigquery_endpoint: str | None = Field(
        default=None, description="REST address of a BigQuery emulator, http://host:port."
    )
    bigquery_storage_endpoint: str | None = Field(
        default=None, description="host:port of the emulator's Storage Read API, without TLS."
    )
    raw_dataset: str = "raw"
    quarantine_dataset: str = "quarantine"
    history_dataset: str = "history"
    marts_dataset: str = "marts"
    ops_dataset: str = "ops"
    audit_dataset_prefix: str = "audit"
    as_of_dataset_prefix: str = "as_of"
    bigquery_deadline_seconds: float = Field(
        default=600, description="A BigQuery job that takes longer is given up."
    )

    # Landing
    landing_uri: str = Field(
        default="gs://segue-landing",
        description="Root of the landing files as BigQuery load jobs address them.",
    )
    landing_files_uri: str | None = Field(
        default=None,
        description="The same root as Python addresses it (pyarrow.fs URI, e.g. file:///…); "
        "None means landing_uri itself.",
    )
    history_start_date: date = Field(
        default=date(2020, 1, 1), description="First arrival day; no model scans before it."
    )
    restatement_days: int = Field(
        default=14, description="How many days back late events restate published days."
    )
    max_quarantined_share: float = Field(
        default=0.05, description="A table's day with a larger refused share fails to land."
    )

    # dbt
    dbt_project_dir: Path = PROJECT_ROOT / "dbt"
    dbt_threads: int = 4

    @property
    def dbt_target(self) -> str:
        """The profile's target: it decides endpoint and credentials, nothing else."""
        return "embedded" if self.bigquery_endpoint else "cloud"

    # Airflow
    task_retries: int = Field(default=3, description="Retries of a task before its run fails.")
    task_retry_delay_seconds: float = Field(
        default=60, description="Wait before the first retry; doubles with each."
    )

    # Bigtable
    bigtable_emulator_host: str | None = Field(default=None, description="host:port, without TLS.")
    bigtable_instance: str = "segue"
    bigtable_table: str = "offers"
    bigtable_app_profile: str = "default"

    # Validation
    row_count_drift: float = Field(
        default=0.5, description="Warn when a day's rows differ from the trailing week by more."
    )

    def audit_dataset(self, end_date: date) -> str:
        """Name of the dataset in which the run that ends on ``end_date`` builds and validates.

        One dataset per run: overlapping backfills restate the same days, and each must validate and
        publish exactly what it built.
        """
        return f"{self.audit_dataset_prefix}_{end_date:%Y%m%d}"

    @property
    def dbt_target_dir(self) -> Path:
        """Where ``dbt parse`` leaves manifest.json for Airflow, the gate and the publisher."""
        return self.state_dir / "dbt_target"

    @property
    def data_docs_dir(self) -> Path:
        """Folder of the Great Expectations data docs site; its front page is ``index.html``."""
        return self.state_dir / "data_docs"

    @property
    def landing_files_root(self) -> str:
        """Root of the landing files as Python addresses it."""
        return self.landing_files_uri or self.landing_uri


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process-wide settings, read once from the environment."""
    return Settings()
