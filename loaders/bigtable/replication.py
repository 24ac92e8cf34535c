"""Replicated Bigtable: what a load has written is on every cluster before readers are told of it.

Clusters get writes from each other some time later, and not in the order in which they were made: a reader
that is routed to another cluster could see the pointer before the cells that it points to. On one cluster,
and on an emulator, the first answer is yes.
https://cloud.google.com/bigtable/docs/replication-overview
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from google.api_core.exceptions import Aborted, DeadlineExceeded, ServiceUnavailable
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    wait_random_exponential,
)

from loaders.bigtable.deadline import StopAt
from loaders.bigtable.errors import LoadCode, LoadError
from loaders.bigtable.table import admin_client, table_name
from segue.settings import Settings

_TIMEOUT_SECONDS: Final = 60.0
_TRANSIENT: Final = (Aborted, DeadlineExceeded, ServiceUnavailable)

_log = structlog.get_logger()


def wait_until_replicated(settings: Settings, deadline_at: float) -> None:
    """Waits until every cluster has what was written to the offers table before this call.

    Raises:
        LoadError: ``NOT_REPLICATED``: some cluster has not at ``deadline_at`` (``time.monotonic``).
        google.api_core.exceptions.GoogleAPIError: Bigtable refused the question.
    """
    name, started = table_name(settings), time.monotonic()
    asking = Retrying(
        retry=retry_if_result(lambda answer: not answer) | retry_if_exception_type(_TRANSIENT),
        wait=wait_random_exponential(multiplier=0.1, max=10),
        stop=StopAt(deadline_at),
    )
    with admin_client(settings) as client:
        try:
            token = asking(
                lambda: (
                    client.generate_consistency_token(
                        name=name, retry=None, timeout=_TIMEOUT_SECONDS
                    ).consistency_token
                )
            )
            asking(
                lambda: (
                    client.check_consistency(
                        name=name, consistency_token=token, retry=None, timeout=_TIMEOUT_SECONDS
                    ).consistent
                )
            )
        except RetryError as error:
            raise LoadError(
                LoadCode.NOT_REPLICATED, f"not every cluster has what was written to {name}"
            ) from error
    waited = time.monotonic() - started
    if waited > 1:
        _log.info("every cluster has what was written", seconds=round(waited, 1))
