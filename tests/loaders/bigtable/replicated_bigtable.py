"""Two replicated clusters, made of one emulator: the second has its rows in a project of its own.

Writes go to the first. Each row comes to the second some time later, in no order but that of its own writes;
the pointer's comes at once, so that nothing a load has written is there before it. Reads through the app
profile ``READERS`` are answered by either.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.bigtable_admin_v2.types import bigtable_table_admin as admin
from google.cloud.bigtable_v2.types import bigtable as data

from segue.settings import Settings
from segue_client.bigtable import schema

READERS = "readers"
_DATA, _ADMIN = "/google.bigtable.v2.Bigtable/", "/google.bigtable.admin.v2.BigtableTableAdmin/"
_MutateRow: Any = data.MutateRowRequest.meta.pb
_MutateRows: Any = data.MutateRowsRequest.meta.pb
_MutateRowsResponse: Any = data.MutateRowsResponse.meta.pb
_CheckAndMutate: Any = data.CheckAndMutateRowRequest.meta.pb
_CheckAndMutateResponse: Any = data.CheckAndMutateRowResponse.meta.pb
_ReadRows: Any = data.ReadRowsRequest.meta.pb
_CreateTable: Any = admin.CreateTableRequest.meta.pb
_ModifyFamilies: Any = admin.ModifyColumnFamiliesRequest.meta.pb
_Token: Any = admin.GenerateConsistencyTokenResponse.meta.pb
_Check: Any = admin.CheckConsistencyRequest.meta.pb
_Checked: Any = admin.CheckConsistencyResponse.meta.pb


class ReplicatedBigtable(grpc.GenericRpcHandler):
    """The server; what happens when is drawn by ``seed``, and nothing takes longer than ``lag_seconds``."""

    def __init__(self, emulator: str, seed: int, lag_seconds: float) -> None:
        self._channel = grpc.insecure_channel(emulator)
        self._draw = random.Random(f"replication {seed}")
        self._lag_seconds = lag_seconds
        self._lock = threading.Lock()
        self._written = 0
        self._on_their_way: list[tuple[float, int, str, bytes, list[Any]]] = []
        self._missing: set[int] = set()
        self._last_of_row: dict[bytes, float] = {}
        self._ended = threading.Event()
        self.is_cut_off = False
        self._replicating = threading.Thread(target=self._replicate, daemon=True)
        self._replicating.start()

    def close(self) -> None:
        self._ended.set()
        self._replicating.join()
        self._channel.close()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                yield from self._answer(method, request)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_stream_rpc_method_handler(answer)

    def _answer(self, method: str, request: bytes) -> Iterator[bytes]:
        if method == _DATA + "ReadRows":
            read = _ReadRows.FromString(request)
            if read.app_profile_id == READERS and self._choose_the_second():
                read.table_name = _second(read.table_name)
            yield from self._pass_on(method, read.SerializeToString())
        elif method == _DATA + "MutateRow":
            row = _MutateRow.FromString(request)
            answers = list(self._pass_on(method, request))
            self._wrote(row.table_name, row.row_key, list(row.mutations))
            yield from answers
        elif method == _DATA + "MutateRows":
            rows = _MutateRows.FromString(request)
            for raw in self._pass_on(method, request):
                for each in _MutateRowsResponse.FromString(raw).entries:
                    if not each.status.code:
                        entry = rows.entries[each.index]
                        self._wrote(rows.table_name, entry.row_key, list(entry.mutations))
                yield raw
        elif method == _DATA + "CheckAndMutateRow":
            check = _CheckAndMutate.FromString(request)
            [raw] = self._pass_on(method, request)
            held = _CheckAndMutateResponse.FromString(raw).predicate_matched
            self._wrote(
                check.table_name, check.row_key, list(check.true_mutations if held else check.false_mutations)
            )
            yield raw
        elif method == _ADMIN + "CreateTable":
            create = _CreateTable.FromString(request)
            answers = list(self._pass_on(method, request))
            create.parent = _second(create.parent)
            list(self._pass_on(method, create.SerializeToString()))
            yield from answers
        elif method == _ADMIN + "GenerateConsistencyToken":
            with self._lock:
                yield _Token(consistency_token=str(self._written)).SerializeToString()
        elif method == _ADMIN + "CheckConsistency":
            token = int(_Check.FromString(request).consistency_token)
            with self._lock:
                consistent = all(each > token for each in self._missing)
            yield _Checked(consistent=consistent).SerializeToString()
        else:
            yield from self._pass_on(method, request)

    def _pass_on(self, method: str, request: bytes) -> Iterator[bytes]:
        yield from self._channel.unary_stream(method)(request, timeout=30)

    def _choose_the_second(self) -> bool:
        with self._lock:
            return self._draw.random() < 0.7

    def _wrote(self, table_name: str, key: bytes, mutations: list[Any]) -> None:
        """One write to the first cluster sets out for the second, before its writer hears of it."""
        if not mutations:
            return
        if key == schema.POINTER_ROW_KEY and not self.is_cut_off:
            self._write_to_the_second(table_name, {key: mutations})
            return
        with self._lock:
            self._written += 1
            arrives = time.monotonic() + self._draw.uniform(0.2, 1.0) * self._lag_seconds
            arrives = max(arrives, self._last_of_row.get(key, 0.0))
            self._last_of_row[key] = arrives
            self._missing.add(self._written)
            heapq.heappush(self._on_their_way, (arrives, self._written, table_name, key, mutations))

    def _replicate(self) -> None:
        while not self._ended.wait(0.01):
            arrived: dict[str, dict[bytes, list[Any]]] = {}
            numbers = set()
            with self._lock:
                while (
                    self._on_their_way
                    and not self.is_cut_off
                    and self._on_their_way[0][0] <= time.monotonic()
                ):
                    _, number, table_name, key, mutations = heapq.heappop(self._on_their_way)
                    arrived.setdefault(table_name, {}).setdefault(key, []).extend(mutations)
                    numbers.add(number)
            for table_name, rows in arrived.items():
                self._write_to_the_second(table_name, rows)
            with self._lock:
                self._missing -= numbers

    def _write_to_the_second(self, table_name: str, rows: dict[bytes, list[Any]]) -> None:
        request = _MutateRows(table_name=_second(table_name))
        for key, mutations in rows.items():
            request.entries.add(row_key=key).mutations.extend(mutations)
        for raw in self._pass_on(_DATA + "MutateRows", request.SerializeToString()):
            assert not any(each.status.code for each in _MutateRowsResponse.FromString(raw).entries)


def _second(name: str) -> str:
    """The name of a table, or of its instance, at the second cluster."""
    return name.replace("/instances/", "-elsewhere/instances/")


@contextmanager
def replicated_bigtable(
    settings: Settings, seed: int, lag_seconds: float
) -> Iterator[tuple[ReplicatedBigtable, Settings]]:
    """The two clusters before the emulator of ``settings``, and the settings that lead there."""
    clusters = ReplicatedBigtable(str(settings.bigtable_emulator_host), seed, lag_seconds)
    server = grpc.server(ThreadPoolExecutor(16), handlers=(clusters,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield (
            clusters,
            settings.model_copy(
                update={
                    "bigtable_emulator_host": f"127.0.0.1:{port}",
                    "bigtable_load_app_profile": "loader",
                    "bigtable_read_app_profile": READERS,
                }
            ),
        )
    finally:
        server.stop(0).wait()
        clusters.close()
