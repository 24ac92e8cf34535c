"""ReadRows as bytes: requests put together from parts that stay the same, responses merged chunk by chunk.

Nothing here does I/O. The stock client spends most of a point lookup building the request, wrapping the
response and watching the call; what the contract needs of ReadRows is small enough to say directly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigtable_v2.types import bigtable as messages
from google.cloud.bigtable_v2.types import data

from segue_client.bigtable import schema

READ_ROWS: Final = "/google.bigtable.v2.Bigtable/ReadRows"
PING_AND_WARM: Final = "/google.bigtable.v2.Bigtable/PingAndWarm"

ReadRowsResponse: Any = messages.ReadRowsResponse.meta.pb
_Request: Any = messages.ReadRowsRequest.meta.pb
_WarmUp: Any = messages.PingAndWarmRequest.meta.pb
_RowSet: Any = data.RowSet.meta.pb
_Filter: Any = data.RowFilter.meta.pb


@dataclass(frozen=True)
class TableAddress:
    """Which table is read, and through which app profile."""

    table_name: str
    app_profile_id: str

    @classmethod
    def of(
        cls, project: str, instance: str, table: str = "offers", app_profile: str = "default"
    ) -> TableAddress:
        """The address of a table by its short names."""
        return cls(f"projects/{project}/instances/{instance}/tables/{table}", app_profile)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The header by which Bigtable's front end routes a call."""
        return (to_grpc_metadata([("table_name", self.table_name), ("app_profile_id", self.app_profile_id)]),)


def warm_up_request(address: TableAddress) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """A ``PingAndWarmRequest`` for the table's instance and app profile, and its metadata."""
    instance = address.table_name.partition("/tables/")[0]
    request: bytes = _WarmUp(name=instance, app_profile_id=address.app_profile_id).SerializeToString()
    return request, (to_grpc_metadata([("name", instance), ("app_profile_id", address.app_profile_id)]),)


def pointer_request(address: TableAddress) -> bytes:
    """A request for the pointer row."""
    pointer = _chain(
        _Filter(family_name_regex_filter=schema.POINTER_FAMILY), _Filter(cells_per_column_limit_filter=1)
    )
    return with_keys(_without_keys(address, pointer), [schema.POINTER_ROW_KEY])


def offers_request(address: TableAddress, generation: int) -> bytes:
    """A request for what ``generation`` (milliseconds) shows, still without row keys: see ``with_keys``.

    At most one cell an account, the newest that is not newer, so nothing is read in vain.
    """
    visible = _chain(
        _Filter(family_name_regex_filter=schema.OFFERS_FAMILY),
        _Filter(column_qualifier_regex_filter=schema.OFFERS_QUALIFIER),
        # the end of a timestamp range is exclusive
        _Filter(timestamp_range_filter={"end_timestamp_micros": (generation + 1) * 1000}),
        _Filter(cells_per_column_limit_filter=1),
    )
    return _without_keys(address, visible)


def with_keys(request: bytes, keys: Iterable[bytes]) -> bytes:
    """``request`` for these rows: protobuf messages are merged by writing one behind the other."""
    rows: bytes = _Request(rows=_RowSet(row_keys=keys)).SerializeToString()
    return request + rows


def _chain(*filters: Any) -> Any:
    return _Filter(chain={"filters": filters})


def _without_keys(address: TableAddress, row_filter: Any) -> bytes:
    request: bytes = _Request(
        table_name=address.table_name, app_profile_id=address.app_profile_id, filter=row_filter
    ).SerializeToString()
    return request


class RowMerger:
    """Puts rows together from the chunks of a ReadRows stream, for requests of one family.

    ``rows`` holds what is committed: row key → column qualifier → newest value.
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, dict[bytes, bytes]] = {}
        self._key = b""
        self._qualifier = b""
        self._value = b""
        self._row: dict[bytes, bytes] = {}

    def add(self, response: Any) -> None:
        """Takes the next message of the stream."""
        for chunk in response.chunks:
            if chunk.reset_row:
                # the server begins the row anew, for example on another tablet server
                self._start_over()
                continue
            if chunk.row_key:
                self._key = chunk.row_key
            if chunk.HasField("qualifier"):
                self._qualifier = chunk.qualifier.value
            self._value += chunk.value
            if chunk.value_size:
                # a size is given exactly when the value goes on in the next chunk
                continue
            self._row.setdefault(self._qualifier, self._value)
            self._value = b""
            if chunk.commit_row:
                self.rows[self._key] = self._row
                self._start_over()

    @property
    def is_incomplete(self) -> bool:
        """True when a row was begun and not committed: a stream must not end like this."""
        return bool(self._key)

    def _start_over(self) -> None:
        self._key = b""
        self._qualifier = b""
        self._value = b""
        self._row = {}
