"""Google's Bigtable emulator for the test session, and a proxy before it that can misbehave."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.cloud.bigtable_v2.types import bigtable as messages

from loaders.bigtable.rows import Refused
from local.segment_rows import SegmentRows
from segue.settings import Settings

MutateRowsRequest: Any = messages.MutateRowsRequest.meta.pb
MutateRowsResponse: Any = messages.MutateRowsResponse.meta.pb

FAR_FUTURE = datetime(2200, 1, 1, tzinfo=UTC)


def emulator_binary() -> str:
    """Path of a Bigtable emulator on this machine."""
    candidates = [
        os.environ.get("SEGUE_CBTEMULATOR_BIN"),
        "/usr/lib/google-cloud-sdk/platform/bigtable-emulator/cbtemulator",
        shutil.which("cbtemulator"),
        *map(str, Path(__file__).parent.parent.glob(".segue/**/cbtemulator")),
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return candidate
    pytest.fail("no Bigtable emulator: run `make up` once or set SEGUE_CBTEMULATOR_BIN", pytrace=False)


@pytest.fixture(scope="session")
def bigtable_emulator() -> Iterator[str]:
    """host:port of one emulator for the whole session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [emulator_binary(), "-host", "127.0.0.1", "-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("the Bigtable emulator did not start", pytrace=False)
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bigtable_world(bigtable_emulator: str) -> Settings:
    """Settings of a project that is empty and shared with no other test; it has no BigQuery."""
    return Settings(
        _env_file=None,
        project_id=f"segue-{uuid4().hex[:12]}",
        bigtable_emulator_host=bigtable_emulator,
    )


def offer(offer_id: str = "offer-1", **changes: Any) -> dict[str, Any]:
    """An offer of the mart with every value set."""
    return {
        "offer_id": offer_id,
        "rule_id": "winback",
        "rule_version": 3,
        "priority": 10,
        "score": 0.5,
        "reason_code": "SELECTED",
        "experiment_id": None,
        "variant": None,
        "is_control": False,
        "content_id": "cms-7",
        "content_version": 2,
        "valid_until_at": FAR_FUTURE,
        "content_locale": "de-DE",
    } | changes


def account(account_id: str, *offers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A row of the mart."""
    return {
        "account_id": account_id,
        "offers": list(offers),
        "held_back": [],
        "suppressed_reason": None,
        "valid_until_at": FAR_FUTURE,
        "market": "DE",
    } | changes


class MemorySource(SegmentRows):
    """Made-up segments that keep what is refused of them."""

    def __init__(self, rows: Sequence[dict[str, Any]], batch_rows: int = 1000) -> None:
        super().__init__(rows, batch_rows)
        self.refused: dict[int, list[Refused]] = {}

    def forget_refused(self, _manifest: Any, complete: Collection[int]) -> None:
        self.refused = {shard: kept for shard, kept in self.refused.items() if shard in complete}

    def keep_refused(self, _manifest: Any, shard: int, refused: Sequence[Refused], *, instead: bool) -> None:
        assert instead or shard not in self.refused
        self.refused[shard] = list(refused)


def source(*rows: dict[str, Any], batch_rows: int = 1000) -> MemorySource:
    """A source that gives these rows whatever the day, for ``load_generation``."""
    return MemorySource(rows, batch_rows)


class FaultyBigtable(grpc.GenericRpcHandler):
    """Passes every call on to the emulator, after ``fault`` had its say on MutateRows requests.

    ``fault`` gets the request and returns the response to give (nothing reaches the emulator), raises
    ``grpc.StatusCode`` through ``abort``, or returns ``None`` to pass the request on. ``lose`` gets the
    response and may take acknowledgements out of it. ``corrupt`` may change a value on the way in.

    ReadRows: requests that name the row ``refuse_reads_of``, and the next ``reads_to_refuse``, are answered
    UNAVAILABLE; the next ``reads_to_delay`` are answered after ``DELAY_SECONDS``. ``calls`` has the method
    and the request of every call.
    """

    DELAY_SECONDS = 3.0

    def __init__(self, emulator: str) -> None:
        self._channel = grpc.insecure_channel(emulator)
        self.fault: Callable[[Any, grpc.ServicerContext], Any] = lambda _request, _context: None
        self.lose: Callable[[Any], None] = lambda _response: None
        self.corrupt: Callable[[bytes], bytes] = lambda value: value
        self.mutations_seen = 0
        self.calls: list[tuple[str, bytes]] = []
        self.refuse_reads_of: bytes | None = None
        self.reads_to_refuse = 0
        self.reads_to_delay = 0

    def apply(self, request: Any, code_of: Callable[[Any], int]) -> Any:
        """Passes on the entries for which ``code_of`` says 0 and answers for the others with their code."""
        codes = [code_of(entry) for entry in request.entries]
        passed = [index for index, code in enumerate(codes) if not code]
        answer = MutateRowsResponse()
        for index, code in enumerate(codes):
            if code:
                answer.entries.add(index=index).status.code = code
        if passed:
            part = MutateRowsRequest(table_name=request.table_name, app_profile_id=request.app_profile_id)
            part.entries.extend(request.entries[index] for index in passed)
            method = "/google.bigtable.v2.Bigtable/MutateRows"
            for raw in self._channel.unary_stream(method)(part.SerializeToString(), timeout=30):
                for each in MutateRowsResponse.FromString(raw).entries:
                    answer.entries.add(index=passed[each.index]).status.CopyFrom(each.status)
        return answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def forward(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            self.calls.append((method.rpartition("/")[2], request))
            mutating = method.endswith("/MutateRows")
            if mutating:
                parsed = MutateRowsRequest.FromString(request)
                self.mutations_seen += len(parsed.entries)
                answer = self.fault(parsed, context)
                if answer is not None:
                    yield answer.SerializeToString()
                    return
                for entry in parsed.entries:
                    for mutation in entry.mutations:
                        if mutation.WhichOneof("mutation") == "set_cell":
                            mutation.set_cell.value = self.corrupt(mutation.set_cell.value)
                request = parsed.SerializeToString()
            if method.endswith("/ReadRows"):
                self._disturb_read(request, context)
            try:
                for response in self._channel.unary_stream(method)(request, timeout=30):
                    if mutating:
                        parsed_response = MutateRowsResponse.FromString(response)
                        self.lose(parsed_response)
                        yield parsed_response.SerializeToString()
                    else:
                        yield response
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_stream_rpc_method_handler(forward)

    def _disturb_read(self, request: bytes, context: grpc.ServicerContext) -> None:
        if self.refuse_reads_of is not None and self.refuse_reads_of in request:
            context.abort(grpc.StatusCode.UNAVAILABLE, "refused by the test")
        if self.reads_to_refuse:
            self.reads_to_refuse -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "refused by the test")
        if self.reads_to_delay:
            self.reads_to_delay -= 1
            time.sleep(self.DELAY_SECONDS)


@pytest.fixture
def faulty_bigtable(
    bigtable_emulator: str, bigtable_world: Settings
) -> Iterator[tuple[FaultyBigtable, Settings]]:
    """The proxy, and the settings of ``bigtable_world`` that go through it."""
    proxy = FaultyBigtable(bigtable_emulator)
    server = grpc.server(ThreadPoolExecutor(16), handlers=(proxy,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield proxy, bigtable_world.model_copy(update={"bigtable_emulator_host": f"127.0.0.1:{port}"})
    server.stop(0).wait()
