"""Writes rows with MutateRows over gRPC, several requests in flight, and accounts for every entry.

The stock batcher costs thirty times the CPU a row, reports failures in a list that is easy to drop, and does
not notice an entry that the server leaves out of its answer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np
import pyarrow as pa
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigtable.data import Table
from google.cloud.bigtable_v2.types import bigtable as messages
from google.rpc import code_pb2
from tenacity import RetryError, Retrying, retry_if_exception_type, wait_random_exponential

from loaders.bigtable.deadline import StopAt
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.flow import FlowControl, features_metadata
from loaders.bigtable.mutations import MAX_MUTATIONS_PER_REQUEST, request_head, slice_bytes
from loaders.bigtable.rows import Refused

ROWS_PER_REQUEST: Final = 5_000
BYTES_PER_REQUEST: Final = 16_000_000
REQUESTS_IN_FLIGHT: Final = 4

METHOD: Final = "/google.bigtable.v2.Bigtable/MutateRows"

_Response: Any = messages.MutateRowsResponse.meta.pb

TRANSIENT: Final = frozenset(
    {
        code_pb2.ABORTED,
        code_pb2.CANCELLED,
        code_pb2.DEADLINE_EXCEEDED,
        code_pb2.RESOURCE_EXHAUSTED,
        code_pb2.UNAVAILABLE,
    }
)
_OVERLOADED: Final = frozenset(
    {code_pb2.DEADLINE_EXCEEDED, code_pb2.RESOURCE_EXHAUSTED, code_pb2.UNAVAILABLE}
)


@dataclass(frozen=True)
class Entries:
    """Row keys and, in the same order, the entries of ``loaders.bigtable.mutations``."""

    keys: pa.Array
    entries: pa.Array


@dataclass
class Written:
    """What became of the entries: every one is in exactly one of the two."""

    acknowledged: int = 0
    refused: list[Refused] = field(default_factory=list)


class RowWriter:
    """Sends entries and returns only when every one of them is acknowledged or refused for good.

    ``before_request`` runs before each request and may raise to stop (a load that was overtaken). More than
    ``max_refused`` refused entries, or a request refused as a whole, end the write.
    """

    def __init__(
        self,
        table: Table,
        *,
        deadline_at: float,
        before_request: Callable[[], None] = lambda: None,
        request_timeout_seconds: float = 60.0,
        rows_per_request: int = ROWS_PER_REQUEST,
        requests_in_flight: int = REQUESTS_IN_FLIGHT,
        max_refused: int = 0,
        flow: FlowControl | None = None,
    ) -> None:
        """Writes to ``table`` until ``deadline_at`` (``time.monotonic``).

        Raises:
            ValueError: a request would hold more mutations than Bigtable takes.
        """
        if not 1 <= rows_per_request <= MAX_MUTATIONS_PER_REQUEST:
            raise ValueError(f"rows_per_request must be in [1, {MAX_MUTATIONS_PER_REQUEST}]")
        profile = table.app_profile_id or ""
        self._before_request = before_request
        self._deadline_at = deadline_at
        self._request_timeout_seconds = request_timeout_seconds
        self._rows_per_request = rows_per_request
        self._requests_in_flight = requests_in_flight
        self._max_refused = max_refused
        self._flow = flow or FlowControl()
        self._acknowledgements = _Acknowledgements(rows_per_request)
        self._head = request_head(table.table_name, profile)
        self._metadata = (
            to_grpc_metadata([("table_name", table.table_name), ("app_profile_id", profile)]),
            features_metadata(),
        )
        # The data client's own channel: endpoint, credentials and emulator are settled in one place. Without
        # serializers, because requests are bytes already.
        self._call = table.client.transport.grpc_channel.unary_stream(METHOD)

    def write(self, batches: Iterable[Entries]) -> Written:
        """Sends all entries; ``acknowledged`` plus ``refused`` is how many there were.

        Raises:
            LoadError: ``REFUSED`` with counts by status; ``UNACKNOWLEDGED`` after the deadline; or what
                ``before_request`` or the iterable raised. Some entries are then written.
        """
        written = Written()
        with ThreadPoolExecutor(self._requests_in_flight, thread_name_prefix="mutate-rows") as pool:
            running: set[Future[Written]] = set()
            try:
                for request in self._requests(batches):
                    # as many wait as are on their way, so that the next batch is made meanwhile
                    if len(running) >= 2 * self._requests_in_flight:
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        self._take(written, done)
                    running.add(pool.submit(self._send_until_settled, request))
                self._take(written, running)
            finally:
                for future in running:
                    future.cancel()
        return written

    def _take(self, written: Written, done: Iterable[Future[Written]]) -> None:
        for future in done:
            part = future.result()
            written.acknowledged += part.acknowledged
            written.refused += part.refused
        if len(written.refused) > self._max_refused:
            example = written.refused[-1]
            raise LoadError(
                LoadCode.REFUSED,
                f"Bigtable refused rows for good, one of them with: {example.told}",
                Counter(refused.code for refused in written.refused),
            )

    def _requests(self, batches: Iterable[Entries]) -> Iterator[_Request]:
        for batch in batches:
            start, rows = 0, len(batch.keys)
            places = np.frombuffer(batch.entries.buffers()[1], np.int32)[batch.entries.offset :]
            while start < rows:
                stop = (
                    int(np.searchsorted(places[: rows + 1], places[start] + BYTES_PER_REQUEST, "right")) - 1
                )
                stop = min(max(stop, start + 1), start + self._rows_per_request, rows)
                yield _Request(
                    batch.keys.slice(start, stop - start), batch.entries.slice(start, stop - start)
                )
                start = stop

    def _send_until_settled(self, request: _Request) -> Written:
        written = Written()
        pending, reasons = request, Counter[str]()
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_StillPending),
                wait=wait_random_exponential(multiplier=0.1, max=10),
                stop=StopAt(self._deadline_at),
            ):
                with attempt:
                    self._before_request()
                    pending, reasons = self._send(pending, written)
                    if len(pending):
                        raise _StillPending
        except RetryError as error:
            raise LoadError(
                LoadCode.UNACKNOWLEDGED, f"{len(pending)} rows not acknowledged before the deadline", reasons
            ) from error
        return written

    def _send(self, request: _Request, written: Written) -> tuple[_Request, Counter[str]]:
        """One request. Returns the entries that are still to be written, and why."""
        self._flow.acquire()
        unanswered = dict.fromkeys(range(len(request)), "NO_ACKNOWLEDGEMENT")
        timeout = max(0.001, min(self._request_timeout_seconds, self._deadline_at - time.monotonic()))
        try:
            for answer in self._call(self._head + request.body(), metadata=self._metadata, timeout=timeout):
                if not unanswered:
                    continue
                if len(unanswered) == len(request) and answer == self._acknowledgements.of(len(request)):
                    unanswered = {}
                    continue
                self._settle(_Response.FromString(answer), request, unanswered, written)
        except grpc.RpcError as error:
            status, details = error.code(), error.details() or ""
            code = status.value[0]
            # a stream that was reset says INTERNAL, but the server never judged the request
            if code not in TRANSIENT and not (code == code_pb2.INTERNAL and "RST_STREAM" in details):
                return self._refused_whole(request, written, status, details, error)
            if code in _OVERLOADED:
                self._flow.overloaded()
            unanswered = dict.fromkeys(unanswered, status.name)
        written.acknowledged += len(request) - len(unanswered) - request.take_refused()
        return request.only(sorted(unanswered)), Counter(unanswered.values())

    def _settle(self, response: Any, request: _Request, unanswered: dict[int, str], written: Written) -> None:
        if response.HasField("rate_limit_info"):
            info = response.rate_limit_info
            self._flow.answered(info.factor, info.period.ToTimedelta().total_seconds())
        for answer in response.entries:
            if answer.index not in unanswered:
                continue
            code = answer.status.code
            if code == code_pb2.OK:
                del unanswered[answer.index]
            elif code in TRANSIENT:
                unanswered[answer.index] = code_pb2.Code.Name(code)
            else:
                del unanswered[answer.index]
                request.refused += 1
                key = request.keys[answer.index].as_py()
                written.refused.append(Refused(key, _code_name(code), answer.status.message))

    def _refused_whole(
        self, request: _Request, written: Written, status: Any, details: str, error: grpc.RpcError
    ) -> tuple[_Request, Counter[str]]:
        """One bad entry makes a server refuse its whole request: halves of it find out which."""
        if status is not grpc.StatusCode.INVALID_ARGUMENT or len(written.refused) > self._max_refused:
            raise LoadError(
                LoadCode.REFUSED, f"Bigtable refused a request: {details}", {status.name: len(request)}
            ) from error
        if len(request) == 1:
            written.refused.append(Refused(request.keys[0].as_py(), status.name, details))
            return request.only([]), Counter()
        middle = len(request) // 2
        for part in (range(middle), range(middle, len(request))):
            half = self._send_until_settled(request.only(list(part)))
            written.acknowledged += half.acknowledged
            written.refused += half.refused
        return request.only([]), Counter()


class _Request:
    """The entries of one request."""

    def __init__(self, keys: pa.Array, entries: pa.Array) -> None:
        self.keys = keys
        self.entries = entries
        self.refused = 0

    def __len__(self) -> int:
        return len(self.keys)

    def body(self) -> memoryview:
        return slice_bytes(self.entries, 0, len(self.entries))

    def only(self, indices: list[int]) -> _Request:
        if not indices:
            return _Request(self.keys.slice(0, 0), self.entries.slice(0, 0))
        chosen = pa.array(indices, pa.int64())
        return _Request(self.keys.take(chosen), self.entries.take(chosen))

    def take_refused(self) -> int:
        refused, self.refused = self.refused, 0
        return refused


class _StillPending(Exception):  # noqa: N818 - not an error, a reason to go round again
    pass


class _Acknowledgements:
    """The answer that acknowledges every entry, in order, and says nothing else: the usual one.

    Comparing with it is a hundred times cheaper than reading it; anything else is read.
    """

    def __init__(self, most: int) -> None:
        sizes = np.zeros(most + 1, np.int64)
        parts = []
        for index in range(most):
            response = _Response()
            response.entries.add(index=index).status.SetInParent()
            parts.append(response.SerializeToString())
            sizes[index + 1] = len(parts[-1])
        self._ends = np.cumsum(sizes)
        self._answer = b"".join(parts)

    def of(self, entries: int) -> bytes:
        """The answer to a request of so many entries."""
        return self._answer[: self._ends[entries]]


def _code_name(code: int) -> str:
    try:
        return str(code_pb2.Code.Name(code))
    except ValueError:
        return str(code)
