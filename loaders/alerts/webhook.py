"""Posting an alert as JSON, again for as long as that can help."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from loaders.alerts.alert import AlertNotSentError

ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.5


class _BusyError(AlertNotSentError):
    """Another attempt may be taken."""


def post(channel: str, url: str, body: Mapping[str, Any], timeout_seconds: float) -> None:
    """Post ``body``; once more after a refusal for the moment (429, 5xx) or a lost connection.

    Raises:
        AlertNotSentError: it was not taken. Neither it nor a log has the address, which may be a secret.
    """
    # httpx logs every request with its address, which is the secret of a Slack webhook.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def once() -> None:
        try:
            answer = httpx.post(url, json=body, timeout=timeout_seconds)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _BusyError(f"{channel}: {type(error).__name__}") from None
        if answer.is_success:
            return
        kind = _BusyError if answer.status_code == 429 or answer.is_server_error else AlertNotSentError
        raise kind(f"{channel}: HTTP {answer.status_code}: {answer.text[:100]}")

    Retrying(
        retry=retry_if_exception_type(_BusyError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=10),
        reraise=True,
    )(once)
