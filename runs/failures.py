"""Failures that the product foresees: a sentence with its code, and what to do about it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from segue.errors import SegueError, runbook_entry

if TYPE_CHECKING:
    from segue_client.errors import SegueClientError

_UP_HINT: Final = "`segue local status` shows whether the embedded services are up"

_ROOMS: Final = (
    "cli", "ui", "runs", "expectations", "loaders", "segments", "experiments", "scoring", "serving",
    "segue", "segue_client",
)  # fmt: skip


def describe(failure: SegueError) -> list[str]:
    """What failed, by its code, what to do about it, and where the runbook says more."""
    message = str(failure)
    if not message.startswith(f"{failure.code}:"):
        message = f"{failure.code}: {message}"
    hint = [f"hint: {failure.hint}"] if failure.hint else []
    return [message, *hint, f"see {runbook_entry(failure.code)}"]


def foreseen(error: Exception) -> SegueError | None:
    """The failure as the product names it; None for one that is a fault of the product itself."""
    from google.api_core.exceptions import GoogleAPIError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import ConnectionError as RequestsConnectionError
    from requests.exceptions import RequestException

    from segue_client.errors import LookupTimeoutError, SegueClientError, UnavailableError

    if isinstance(error, SegueError):
        cause = error.__cause__
        while isinstance(cause, SegueError):
            cause = cause.__cause__
        if isinstance(cause, RetryError):
            cause = cause.cause
        # A statement that nobody has taken is not one that BigQuery has refused.
        if error.code == "warehouse" and isinstance(cause, RequestsConnectionError):
            return ServiceUnavailableError(f"BigQuery is not there: {_one_line(error)}")
        return error
    if isinstance(error, BrokenPipeError):
        # Whoever reads what we print has seen enough (`| head`): Typer ends quietly.
        return None
    if isinstance(error, GoogleAuthError):
        return ServiceUnavailableError(
            f"Google Cloud did not accept this identity: {_one_line(error)}",
            hint="`gcloud auth application-default login`, or set the SEGUE_…_ENDPOINT of an emulator",
        )
    silent = UnavailableError | LookupTimeoutError | GoogleAPIError | RequestException | ConnectionError
    if isinstance(error, silent):
        return ServiceUnavailableError(f"a service did not answer: {_one_line(error)}")
    if isinstance(error, SegueClientError):
        return NoAnswerError(error)
    if isinstance(error, OSError):
        return FileSystemError(_one_line(error))
    return None


def raised_at(error: BaseException) -> str:
    """The innermost place of the product's own code that an error came through; empty: there is none.

    Without the frame that caught it.
    """
    frames = traceback.walk_tb(error.__traceback__ and error.__traceback__.tb_next)
    places = [
        f"{name}:{line} in {frame.f_code.co_name}"
        for frame, line in frames
        if (name := str(frame.f_globals.get("__name__"))).partition(".")[0] in _ROOMS
    ]
    return places[-1] if places else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class ServiceUnavailableError(SegueError):
    """BigQuery, Bigtable or another service could not be reached, or refused the call."""

    code = "service_unavailable"

    def __init__(self, message: str, hint: str = _UP_HINT) -> None:
        super().__init__(message)
        self.hint = hint


class NoAnswerError(SegueError):
    """A lookup that has no answer, as the client library says it."""

    def __init__(self, error: SegueClientError) -> None:
        from segue_client.errors import InvalidRequestError, NothingPublishedError

        super().__init__(_one_line(error))
        self.code = error.code
        self.hint = error.hint
        if isinstance(error, InvalidRequestError):
            self.exit_code = 2
        elif isinstance(error, NothingPublishedError):
            self.exit_code = 6


class FileSystemError(SegueError):
    """A file or folder could not be read or written, or the disk is full."""

    code = "file_system"
