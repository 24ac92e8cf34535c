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
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from segue.errors import SettingsError
from segue.setting_groups.alerts import AlertSettings
from segue.setting_groups.bigtable import BigtableSettings
from segue.setting_groups.content import ContentSettings
from segue.setting_groups.lookups import LookupSettings
from segue.shipped import DBT_PROJECT_DIR, WORKING_DIR

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(AlertSettings, ContentSettings, BigtableSettings, LookupSettings):
    """All settings of all rooms; immutable once read. Those of a subject of its own are in a group."""

    model_config = SettingsConfigDict(
        env_prefix="SEGUE_",
        env_file=os.environ.get("SEGUE_ENV_FILE", str(WORKING_DIR / ".segue" / "segue.env")),
        frozen=True,
        extra="ignore",
    )

    state_dir: Path = Field(
        default=WORKING_DIR / ".segue",
        description="Folder for pid files, logs, emulator data, dbt artefacts and data docs.",
    )

    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="How the command line logs: `text`, `json` (an object a line), or `auto`: text at a "
        "terminal, else JSON. Tasks log as Airflow does.",
    )

    openlineage_url: str | None = Field(
        default=None,
        description="OpenLineage receiver that is told what was made of what, http(s)://host:port.",
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
    raw_dataset: str = Field(default="raw", description="Landed rows.")
    quarantine_dataset: str = Field(default="quarantine", description="Refused rows, each with its reason.")
    history_dataset: str = Field(
        default="history", description="What is kept of past days so that a run need not build it again."
    )
    marts_dataset: str = Field(
        default="marts", description="What analysts query; only publications write it."
    )
    ops_dataset: str = Field(
        default="ops", description="Ledger, verdicts, publications, restatements, readouts."
    )
    audit_dataset_prefix: str = Field(
        default="audit", description="Every attempt builds in a dataset of this prefix."
    )
    as_of_dataset_prefix: str = Field(
        default="as_of", description="`segue as-of` builds in a dataset of this prefix."
    )
    audit_retention_days: float = Field(
        default=3, gt=0, description="What an attempt that was not published has built is kept for so long."
    )
    bigquery_deadline_seconds: float = Field(
        default=600,
        gt=0,
        description="A BigQuery job that takes longer is cancelled, where its step has no own deadline.",
    )
    land_deadline_seconds: float = Field(
        default=1_800, gt=0, description="The same for each load and transaction of landing."
    )
    build_deadline_seconds: float = Field(
        default=3_600, gt=0, description="The same for each statement of dbt: a model."
    )
    publish_deadline_seconds: float = Field(
        default=1_800, gt=0, description="The same for the transaction of a publication."
    )
    bigquery_max_bytes_billed: int | None = Field(
        default=None,
        ge=10 << 20,
        description="A statement that BigQuery would bill for more bytes is refused, at no cost; dbt's own "
        "have no such bound; None: no bound.",
    )
    bigquery_request_seconds: float = Field(
        default=60,
        gt=0,
        description="A request to BigQuery that is not answered by then is made again; no job runs twice.",
    )
    bigquery_retry_seconds: float = Field(
        default=30,
        ge=0,
        description="How long a request is made again that BigQuery refuses, or that cannot reach it.",
    )
    query_confirm_bytes: int = Field(
        default=10 << 30,
        ge=0,
        description="`segue query` asks, or wants --yes, before it reads more than so many bytes.",
    )

    # Landing
    landing_uri: str = Field(
        default="gs://segue-landing",
        description="Root of the landing files as BigQuery load jobs address them.",
    )
    landing_files_uri: str | None = Field(
        default=None,
        description="The same root as Python addresses it (gs://… or file:///…); "
        "None means landing_uri itself.",
    )
    storage_endpoint: str | None = Field(
        default=None,
        description="Address of a Cloud Storage emulator, http://host:port; what STORAGE_EMULATOR_HOST is "
        "elsewhere.",
    )
    feeds: Annotated[frozenset[str] | None, NoDecode] = Field(
        default=None,
        description="Tables whose files must be there every day, comma-separated; None: those that ever "
        "delivered. Other files are landed when they come.",
    )
    manifest_feeds: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Tables whose arrival days are complete, and land, only with a _manifest.json, "
        "comma-separated; of others a manifest is believed where there is one.",
    )
    landing_quiet_minutes: float = Field(
        default=10,
        ge=0,
        description="An arrival day without a manifest is complete when none of its files has been new or "
        "changed for this long, counted from the day's end at the earliest.",
    )
    landing_deadline_hours: float = Field(
        default=6,
        ge=0,
        description="A scheduled run waits for complete arrival days until this long after its last day's "
        "end, then lands what is there, or fails at what has to be there and is not. 0: it never waits.",
    )
    late_files: Literal["restate", "refuse"] = Field(
        default="restate",
        description="What comes or changes in an arrival day of the last restatement_days after it has "
        "landed: it lands and restates what it reaches, or the run stops and names it.",
    )
    history_start_date: date = Field(
        default=date(2020, 1, 1), description="First arrival day; no model scans before it."
    )
    restatement_days: int = Field(
        default=14, ge=0, description="How many days back late events and corrections restate published days."
    )
    landing_processes: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1),
        ge=1,
        description="Processes that read a large landing's files side by side, each in about 0.3 GB.",
    )
    landing_processes_from_bytes: int = Field(
        default=256 << 20,
        ge=0,
        description="Bytes of files from which on a landing is large; for fewer, one process is done before "
        "others have started.",
    )
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="A table's day with a larger refused share fails to land."
    )

    mapped_providers: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Providers (google_play, app_store, stripe) whose purchases do not carry the account: "
        "the feed provider_accounts says whose their customers are; comma-separated.",
    )
    app_store_roots_file: Path | None = Field(
        default=None,
        description="Root certificates (PEM, or one in DER) that the App Store's signed notifications must "
        "lead to; None: their signatures are not verified.",
    )
    app_store_bundle_ids: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Bundle ids of the apps whose signed notifications land, others are refused (the App "
        "Store signs for everybody's apps); empty: any app's. Comma-separated.",
    )

    # dbt
    dbt_project_dir: Path = Field(default=DBT_PROJECT_DIR, description="The dbt project that is parsed.")
    dbt_parsed_dir: Path | None = Field(
        default=None,
        description="Where `segue parse` leaves the parsed project, to travel with the code; None: in "
        "state_dir.",
    )
    dbt_threads: int = Field(default=4, ge=1, description="Models that dbt builds at the same time.")

    @property
    def dbt_target(self) -> str:
        """The profile's target: it decides endpoint and credentials, nothing else."""
        return "embedded" if self.bigquery_endpoint else "cloud"

    # Airflow
    task_retries: int = Field(default=3, ge=0, description="Retries of a task before its run fails.")
    task_retry_delay_seconds: float = Field(
        default=60, description="Wait before the first retry; doubles with each."
    )

    # Pages in the Airflow UI
    pages_max_bytes: int = Field(
        default=1 << 30,
        ge=10 << 20,
        description="A statement of a page in the Airflow UI that would be billed for more bytes is refused; "
        "BigQuery bills 10 MB at least for each table.",
    )

    # Experiments
    experiments_dir: Path | None = Field(
        default=None,
        description="Folder of declared experiments and metrics that counts instead of the code's own.",
    )

    # Models
    models_dir: Path | None = Field(
        default=None, description="Folder of declared models that counts instead of the code's own."
    )
    models_uri: str | None = Field(
        default=None,
        description="Where trained models are kept, gs://… or file:///…; None: in state_dir, which several "
        "workers do not share.",
    )
    score_deadline_seconds: float = Field(
        default=1_800,
        gt=0,
        description="A run that has not scored its days by then goes on with earlier scores; "
        "its jobs in BigQuery end then, too.",
    )
    score_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Batches of accounts that are scored at the same time, a core each.",
    )
    score_in: Literal["workers", "bigquery"] = Field(
        default="workers",
        description="workers: LightGBM scores in the task; bigquery: the same trees score as SQL, and the "
        "scores are exported to the landing, which has to be gs://….",
    )

    # Validation
    max_unpriced_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Days on which nobody tells the price of a larger share of the subscriptions stop a run.",
    )
    max_rate_age_days: int = Field(
        default=35,
        ge=0,
        description="Revenue at an exchange rate that is older stops a run; 35: a rate a month.",
    )
    results_uri: str | None = Field(
        default=None,
        description="Where validation results and data docs are kept, gs://… or file:///…, by attempt; None: "
        "in state_dir, which several workers do not share.",
    )
    row_count_drift: float = Field(
        default=0.5, ge=0, description="Warn when a day's rows differ from the trailing week by more."
    )

    @field_validator("feeds", "manifest_feeds", "mapped_providers", "app_store_bundle_ids", mode="before")
    @classmethod
    def _split(cls, value: object, info: ValidationInfo) -> object:
        """An environment variable is one text, names between commas; an empty one says nothing."""
        if isinstance(value, str):
            names = {name.strip() for name in value.split(",") if name.strip()}
            return names or cls.model_fields[str(info.field_name)].default
        return value

    def audit_dataset(self, end_date: date) -> str:
        """What the names of datasets begin with in which runs that end on ``end_date`` build."""
        return f"{self.audit_dataset_prefix}_{end_date:%Y%m%d}"

    def step_deadline_seconds(self, step: str) -> float:
        """How long a BigQuery job of a run's step may take."""
        own = {
            "land": self.land_deadline_seconds,
            "build": self.build_deadline_seconds,
            "score": self.build_deadline_seconds,
            "publish": self.publish_deadline_seconds,
        }
        return own.get(step, self.bigquery_deadline_seconds)

    @property
    def dbt_target_dir(self) -> Path:
        """Where ``dbt parse`` leaves its artefacts."""
        return self.dbt_parsed_dir or self.state_dir / "dbt_target"

    @property
    def dbt_manifest(self) -> Path:
        """The parsed project, for Airflow, the history and the publisher."""
        return self.dbt_target_dir / "manifest.json"

    @property
    def results_root(self) -> str:
        """Root of validation results and data docs."""
        return self.results_uri or str(self.state_dir)

    @property
    def models_root(self) -> str:
        """Root of the trained models."""
        return self.models_uri or str(self.state_dir / "models")

    @property
    def landing_files_root(self) -> str:
        """Root of the landing files as Python addresses it."""
        return self.landing_files_uri or self.landing_uri


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process-wide settings, read once from the environment.

    Raises:
        SettingsError: a value is impossible; the message names its variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"SEGUE_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()
        ]
        raise SettingsError("; ".join(problems)) from error
