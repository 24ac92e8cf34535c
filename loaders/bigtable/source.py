"""Where a generation's rows come from: BigQuery's published segments, staged once for all shards.

Staging fixes what a load reads, however long it takes and however often it is interrupted, leaves erased
accounts out, and computes the row key, by which the staged table is clustered: a shard reads its part only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

import pyarrow as pa
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from loaders.bigtable import dead_letters
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.manifest import GenerationManifest
from loaders.bigtable.payload import UnknownColumnError
from loaders.bigtable.rows import ROW_KEY, Refused, source_columns
from loaders.bigtable.scan import KeyRange, key_range
from loaders.warehouse.client import WarehouseError, warehouse_of
from loaders.warehouse.erasures import ErasedSubjects, Place, unerased
from loaders.warehouse.ledger_time import ledger_time
from loaders.warehouse.ops import literal, ops_table
from segue.settings import Settings

SEGMENTS_TABLE: Final = "offer_segments"
ROW_KEY_SQL: Final = (
    "concat(substr(to_hex(sha256(coalesce(account_id, ''))), 1, 4), '#', coalesce(account_id, ''))"
)
"""``segue_client.bigtable.row_key.row_key`` in GoogleSQL; of a null id, which no account has, that of an
empty one."""

_STAGED_KEPT: Final = timedelta(days=3)


@dataclass(frozen=True)
class Staged:
    """Rows that are fixed now: ``name`` finds them again in another process."""

    name: str
    rows: int
    rows_erased: int = 0


class SegmentSource(Protocol):
    """What a load needs of the side that it reads from."""

    def now(self) -> datetime:
        """The present moment, by the clock that erasures are recorded by."""

    def fingerprint(self, segment_date: date) -> str:
        """Changes whenever the day's segments change."""

    def stage(self, segment_date: date, generation: int) -> Staged:
        """Fixes the day's rows for one generation (milliseconds)."""

    def is_staged(self, name: str) -> bool:
        """Whether staged rows are still there."""

    def erased_since(self, began: datetime) -> ErasedSubjects | None:
        """Accounts that rows staged from ``began`` on may be of although they are erased; None: nobody."""

    def take_out(self, name: str, erased: ErasedSubjects, shards: int) -> list[int]:
        """Removes staged rows of erased accounts; returns how many each shard has now."""

    def rows(self, name: str, accounts: KeyRange) -> Iterator[pa.RecordBatch]:
        """The staged rows of a key range, with ``row_key`` and the columns of the payload."""

    def forget_refused(self, manifest: GenerationManifest, complete: Collection[int]) -> None:
        """Removes what earlier attempts at a generation kept, but for its shards that are ``complete``."""

    def keep_refused(
        self, manifest: GenerationManifest, shard: int, refused: Sequence[Refused], *, instead: bool
    ) -> None:
        """Keeps what a shard could not load, ``instead`` of what an earlier attempt at it may have kept."""

    def drop(self, name: str) -> None:
        """Removes staged rows."""


class WarehouseSource:
    """BigQuery's published ``offer_segments``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warehouse = warehouse_of(settings)
        self._mart = f"{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}"

    def now(self) -> datetime:
        """Raises LoadError ``SOURCE`` when BigQuery does not answer."""
        try:
            return ledger_time(self._warehouse)
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot ask for the time: {error}") from error

    def fingerprint(self, segment_date: date) -> str:
        """The day's latest publication.

        Raises:
            LoadError: ``SOURCE``.
        """
        try:
            return self._publication(segment_date)
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot read the publications: {error}") from error

    def _publication(self, segment_date: date) -> str:
        """The id of the day's latest publication, empty before there is one."""
        publications = ops_table(self._settings, "publications")
        if self._warehouse.find_table(publications) is None:
            return ""
        rows = self._warehouse.run(
            f"select publication_id from `{publications}` "
            f"where run_date >= {literal(self._settings.history_start_date)} "
            f"and mart = {literal(SEGMENTS_TABLE)} and partition_date = {literal(segment_date)} "
            "order by published_at desc limit 1",
        )
        return next((str(row.publication_id) for row in rows), "")

    def stage(self, segment_date: date, generation: int) -> Staged:
        """Copies the day's rows, less erased accounts, into a table of the generation's own.

        Raises:
            LoadError: ``SOURCE``: the mart is missing or BigQuery does not answer; ``NOT_PUBLISHED``: the day
                was never published; ``INVALID_ROW``: the mart lacks a column or lists an account twice.
        """
        name = f"{self._settings.project_id}.{self._settings.bigtable_load_dataset}.segments_{generation}"
        day = f"segment_date = {literal(segment_date)}"
        try:
            mart = self._warehouse.find_table(self._mart)
            if mart is None:
                raise LoadError(LoadCode.SOURCE, f"there is no table {self._mart}")
            columns = source_columns([field.name for field in mart.schema])
            selected = ", ".join(dict.fromkeys(["account_id", *columns]))
            began = self.now()
            keep, parameters = unerased(self._warehouse, "account", "account_id")
            self._warehouse.ensure_dataset(self._settings.bigtable_load_dataset)
            self._warehouse.run(
                f"create or replace table `{name}` cluster by {ROW_KEY} as "
                f"select {ROW_KEY_SQL} as {ROW_KEY}, {selected} from `{self._mart}` where {day} and {keep}",
                parameters=parameters,
            )
            self._warehouse.expire_table(name, datetime.now(UTC) + _STAGED_KEPT)
            # Whoever was erased while the statement ran would stay in what a dead load leaves behind.
            erased = ErasedSubjects.read(self._warehouse, began)
            if erased:
                self._delete(name, erased)
            [counted] = self._warehouse.run(
                f"select count(*) as found, count(distinct {ROW_KEY}) as accounts, "
                f"(select count(*) from `{self._mart}` where {day}) as published from `{name}`",
            )
            if not counted.published and not self._publication(segment_date):
                self.drop(name)
                raise LoadError(LoadCode.NOT_PUBLISHED, f"{segment_date} has no published segments")
        except UnknownColumnError as error:
            raise LoadError(LoadCode.INVALID_ROW, f"{self._mart}: {error}") from error
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(
                LoadCode.SOURCE, f"cannot stage {self._mart} of {segment_date}: {error}"
            ) from error
        if counted.accounts != counted.found:
            self.drop(name)
            raise LoadError(
                LoadCode.INVALID_ROW,
                f"{self._mart} of {segment_date} lists accounts twice",
                {"rows": int(counted.found), "accounts": int(counted.accounts)},
            )
        return Staged(name, int(counted.found), int(counted.published) - int(counted.found))

    def is_staged(self, name: str) -> bool:
        """Whether the staged table exists."""
        return bool(name) and self._warehouse.find_table(name) is not None

    def erased_since(self, began: datetime) -> ErasedSubjects | None:
        """Raises LoadError ``SOURCE`` when the list cannot be read."""
        try:
            return ErasedSubjects.read(self._warehouse, began) or None
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot read who was erased: {error}") from error

    def take_out(self, name: str, erased: ErasedSubjects, shards: int) -> list[int]:
        """Raises LoadError ``SOURCE`` when BigQuery does not answer."""
        starts = [key_range(shard, shards).first.decode() for shard in range(shards)]
        try:
            self._delete(name, erased)
            counted = self._warehouse.run(
                "select shard, count(*) as found "
                f"from (select range_bucket(substr({ROW_KEY}, 1, 4), @starts) - 1 as shard from `{name}`) "
                "group by shard",
                parameters=[bigquery.ArrayQueryParameter("starts", "STRING", starts)],
            )
            found = {int(row.shard): int(row.found) for row in counted}
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot take erased accounts out: {error}") from error
        return [found.get(shard, 0) for shard in range(shards)]

    def _delete(self, name: str, erased: ErasedSubjects) -> None:
        condition = erased.condition([Place("account", "account_id")])
        if condition:
            self._warehouse.run(f"delete from `{name}` where {condition}", parameters=erased.parameters)

    def rows(self, name: str, accounts: KeyRange) -> Iterator[pa.RecordBatch]:
        """Streams a key range over the Storage Read API; memory holds one page.

        Raises:
            LoadError: ``SOURCE``: the staged table is gone or BigQuery does not answer.
        """
        first, after = literal(accounts.first.decode()), literal(accounts.after.decode())
        part = f"{ROW_KEY} >= {first} and {ROW_KEY} < {after}"
        try:
            yield from self._warehouse.read_arrow(name, row_restriction=part)
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot read {name}: {error}") from error

    def forget_refused(self, manifest: GenerationManifest, complete: Collection[int]) -> None:
        """Clears ``ops.dead_letters`` for a load that begins.

        Raises:
            LoadError: ``SOURCE``: BigQuery does not answer.
        """
        try:
            dead_letters.forget(self._warehouse, manifest, complete)
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.SOURCE, f"cannot clear refused rows: {error}") from error

    def keep_refused(
        self, manifest: GenerationManifest, shard: int, refused: Sequence[Refused], *, instead: bool
    ) -> None:
        """Writes ``ops.dead_letters``.

        Raises:
            LoadError: ``LEDGER``: BigQuery did not take it; the shard is not complete.
        """
        try:
            dead_letters.keep(self._warehouse, manifest, shard, refused, instead=instead)
        except (GoogleAPIError, WarehouseError) as error:
            raise LoadError(LoadCode.LEDGER, f"cannot keep refused rows: {error}") from error

    def drop(self, name: str) -> None:
        """Removes the staged table; a killed load's removes BigQuery itself after three days."""
        if name:
            self._warehouse.drop_table(name)


def latest_segment_date(settings: Settings) -> date | None:
    """The newest day with published segments, or ``None``.

    Raises:
        LoadError: ``SOURCE``: the table is missing or BigQuery does not answer.
    """
    table_id = f"{settings.project_id}.{settings.marts_dataset}.{SEGMENTS_TABLE}"
    sql = (
        f"select max(segment_date) as segment_date from `{table_id}`"
        f" where segment_date >= date '{settings.history_start_date}'"
    )
    try:
        rows = warehouse_of(settings).run(sql)
        found: date | None = next(iter(rows)).segment_date
    except (GoogleAPIError, WarehouseError) as error:
        raise LoadError(LoadCode.SOURCE, f"cannot find the newest segments: {error}") from error
    return found
