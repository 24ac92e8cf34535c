"""Jobs of BigQuery: each is sent until it is taken, waited for, found again, and given up for good.

A job goes on when whoever sent it does not wait any longer, and an answer that is lost says nothing about the
job. So a job has an id before it is sent: sent again it is answered with HTTP 409 and found, it never runs
twice. What is given up is cancelled, and the end of that is waited for: nothing is committed behind the back
of a task that has failed.
https://docs.cloud.google.com/bigquery/docs/running-jobs#generate-jobid
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import structlog
from google.api_core.exceptions import Conflict, GoogleAPICallError, GoogleAPIError, NotFound, RetryError
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from opentelemetry.trace import Span
from requests.exceptions import RequestException, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from segue.errors import SegueError
from segue.redaction import redacted
from segue.settings import Settings
from segue.telemetry import present_step

log = structlog.get_logger(__name__)

Job: TypeAlias = bigquery.QueryJob | bigquery.LoadJob
Send: TypeAlias = Callable[[str], Job]
"""Sends a job under an id, once; how often is decided here."""

UNREACHABLE = (GoogleAPIError, GoogleAuthError, RequestException, ConnectionError, TimeoutError)
"""What a call can fail with that was made in vain, or whose answer was lost."""

_CONFLICT_MARKS = ("concurrent update", "transaction is aborted", "transactioncontext", "conflict")
_PASSING_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
    }
)
"""Of a job that failed by no fault of its statement.
https://docs.cloud.google.com/bigquery/docs/error-messages"""
_NOTHING = {"step": "given_up"}
"""Labels of what takes the id of a job that never arrived."""
_JOBS = 6
_CANCEL_SECONDS = 30.0
_AGAIN_SECONDS = 0.5
_CLOCKS_APART = timedelta(minutes=1)
_ENVELOPE = re.compile(r"^(?:\d{3} )?(?:GET|POST) https?://\S+: |\s+Location: \S+\s+Job ID: \S+\s*$")
"""What the client puts around BigQuery's words: the request, and the job that there is none of any more."""
_SOON = Retry(predicate=if_exception_type(NotFound), initial=0.2, maximum=2, timeout=10)


class WarehouseError(SegueError):
    """A statement or load job failed; the message is the warehouse's reason, on one line."""

    code = "warehouse"
    hint = "the message is BigQuery's own; nothing was changed by the statement that failed"


class JobAdriftError(WarehouseError):
    """A job was given up, and whether it ends, and how, is not known."""

    code = "job_adrift"
    hint = "look the job up in BigQuery and cancel it; trying again waits for it first"


class _GivenUpError(Exception):
    """A job did not end within its deadline, or BigQuery could not be reached."""


def is_transient(error: BaseException) -> bool:
    """Whether another job may succeed where this one failed: a transaction conflict, or a busy service."""
    if not isinstance(error, GoogleAPICallError):
        return False
    reasons = {each.get("reason") for each in error.errors if isinstance(each, dict)}
    if reasons & _PASSING_REASONS:
        return True
    message = str(error).lower()
    return any(mark in message for mark in _CONFLICT_MARKS)


def reason(error: BaseException) -> str:
    """The first sentence of a BigQuery error that says what is wrong, on one line; without values of rows."""
    return redacted(said(error))


def said(error: BaseException) -> str:
    """The same as BigQuery says it, for whoever has written the statement and may see rows."""
    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    text = str(getattr(error, "message", None) or error)
    return " ".join(_ENVELOPE.sub("", text.split("; reason:")[0]).split())


def _tell(job: Job, span: Span) -> None:
    """What a job was and what it read, for who watches the step."""
    read = (job.total_bytes_processed or 0) if isinstance(job, bigquery.QueryJob) else 0
    span.set_attributes({"kind": job.job_type, "bytes_processed": read})
    present_step().count("segue.bigquery.jobs", 1)
    present_step().count("segue.bigquery.processed", read)


@dataclass(frozen=True)
class Work:
    """What jobs are for: a step, of what, and how many seconds each of its jobs may take."""

    step: str
    subject: str
    seconds: float

    @property
    def prefix(self) -> str:
        """How the ids of all its jobs begin."""
        subject = re.sub("[^A-Za-z0-9]+", "", self.subject)
        return "_".join(["segue", self.step, *([subject] if subject else []), ""])


_work: ContextVar[Work | None] = ContextVar("work", default=None)


class Jobs:
    """Sends jobs for a warehouse and brings them to an end."""

    def __init__(self, settings: Settings, client: bigquery.Client) -> None:
        self._settings = settings
        self._client = client
        self.call = bigquery.DEFAULT_RETRY.with_delay(0.2, 8, 2).with_timeout(settings.bigquery_retry_seconds)
        """For calls that do the same when they are made again: HTTP 429, 500, 502 and 503, rateLimitExceeded,
        backendError, broken connections and answers that do not come."""

    @property
    def work(self) -> Work:
        """What the jobs are for that are sent now."""
        return _work.get() or Work("other", "", self._settings.bigquery_deadline_seconds)

    @contextmanager
    def of_step(self, step: str, subject: str) -> Iterator[None]:
        """Name what is sent within: its deadline is the step's, and a later try finds what an earlier left.

        Raises:
            WarehouseError: a job of an earlier try neither ends nor can be cancelled.
        """
        work = Work(step, subject, self._settings.step_deadline_seconds(step))
        self._settle(work)
        token = _work.set(work)
        try:
            yield
        finally:
            _work.reset(token)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give each job that is sent within so many seconds, if the present work gives it no fewer."""
        token = _work.set(replace(self.work, seconds=min(self.work.seconds, seconds)))
        try:
            yield
        finally:
            _work.reset(token)

    def job_config(self, config: Any) -> Any:
        """The configuration with what all jobs of the present work have: a label, and an end of their own."""
        work = self.work
        config.labels = {"step": work.step}
        config.job_timeout_ms = int(work.seconds * 1000)
        return config

    def complete(self, send: Send, begun: Job | None = None) -> Any:
        """Send a job and wait for its end; returns what the job's ``result`` does.

        One that failed by no fault of its own, as by a transaction conflict, is sent anew under another id a
        few times, with growing, random waits: a failed job has changed nothing. ``begun`` is already sent.

        Raises:
            WarehouseError: it failed, or was not done within the deadline of the present work and cancelled.
            JobAdriftError: it could not be cancelled either.
        """
        try:
            for attempt in Retrying(
                retry=retry_if_exception(is_transient),
                stop=stop_after_attempt(_JOBS),
                wait=wait_random_exponential(multiplier=0.5, max=20),
                reraise=True,
            ):
                with attempt:
                    job, begun = begun, None
                    return self._complete_once(send, job)
        except UNREACHABLE as error:
            raise WarehouseError(reason(error)) from error
        raise AssertionError("tenacity returned without a result")  # pragma: no cover

    def begin(self, send: Send) -> Job:
        """Send a job that ``complete`` waits for later.

        Raises:
            WarehouseError: it was refused, or could not be sent.
        """
        try:
            return self._sent(send, self._new_id(), time.monotonic() + self.work.seconds)
        except (*UNREACHABLE, _GivenUpError) as error:
            raise WarehouseError(reason(error)) from error

    def _new_id(self) -> str:
        return f"{self.work.prefix}{uuid.uuid4().hex}"

    def _complete_once(self, send: Send, job: Job | None) -> Any:
        work = self.work
        job_id = job.job_id if job is not None else self._new_id()
        until = time.monotonic() + work.seconds
        try:
            with present_step().span("bigquery.job", job_id=job_id) as span:
                job = job or self._sent(send, job_id, until)
                result = self._ended(job, until)
                _tell(job, span)
                return result
        except _GivenUpError as why:
            done = self._cancelled(job_id)
            if done is not None and done.error_result is None:
                return done.result(retry=self.call, timeout=self._settings.bigquery_request_seconds)
            raise WarehouseError(f"{why}; job {job_id} was cancelled") from why.__cause__
        except Exception:
            raise
        except BaseException:
            # Airflow ends a task so, and a person a command: nobody waits for this job any more.
            with suppress(WarehouseError):
                self._cancelled(job_id)
            raise

    def _sent(self, send: Send, job_id: str, until: float) -> Job:
        """The job, taken by BigQuery; when it was taken before, and the answer lost, as it is now."""
        try:
            return self._persistently(lambda: send(job_id), until)
        except Conflict as error:
            try:
                job = self._persistently(lambda: self._found(job_id), until)
            except NotFound:
                # It was not the job that there is already.
                raise error from None
            log.info("job_found_again", job_id=job_id)
            return job

    def _found(self, job_id: str) -> Job:
        """BigQuery does not always find a job at once that it has just said it has."""
        seconds = self._settings.bigquery_request_seconds
        try:
            return _SOON(self._client.get_job)(job_id, retry=None, timeout=seconds)
        except RetryError as error:
            raise (error.cause or error) from None

    def _persistently(self, call: Callable[[], Job], until: float) -> Job:
        """Make a call until it is answered: a server that is busy may take as long as the job may."""
        while True:
            try:
                left = max(until - time.monotonic(), 0.1)
                return self.call.with_timeout(min(self._settings.bigquery_retry_seconds, left))(call)()
            except RetryError as error:
                if not isinstance(error.cause, Timeout) or time.monotonic() > until:
                    raise _GivenUpError(reason(error)) from error

    def _ended(self, job: Job, until: float) -> Any:
        """What the job leaves, once it has ended.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: the job failed.
        """
        # Not more than a request at a time: the stock client repeats a call that answers with the failure of
        # the job for as long as it may.
        longest = self._settings.bigquery_request_seconds
        while True:
            left = until - time.monotonic()
            try:
                return job.result(retry=self.call, timeout=max(min(left, longest), 1.0))
            except (RetryError, TimeoutError) as error:
                if time.monotonic() > until:
                    raise _GivenUpError(f"not done within {self.work.seconds:g} s") from error
                if isinstance(error, RetryError):
                    # The job goes on while nobody can ask for it.
                    time.sleep(_AGAIN_SECONDS)

    def _cancelled(self, job_id: str) -> Job | None:
        """Cancel a job and wait for its end, which may be a good one; None: it never began, and never will.

        Raises:
            JobAdriftError: it cannot be cancelled, or does not end.
        """
        seconds = self._settings.bigquery_request_seconds
        call = self.call.with_timeout(min(self._settings.bigquery_retry_seconds, _CANCEL_SECONDS))
        until = time.monotonic() + _CANCEL_SECONDS
        try:
            while time.monotonic() < until:
                try:
                    self._client.cancel_job(job_id, retry=call, timeout=seconds)
                    job = self._client.get_job(job_id, retry=call, timeout=seconds)
                except NotFound:
                    self._take(job_id, call)
                    continue
                if job.labels == _NOTHING:
                    log.warning("job_given_up", job_id=job_id, outcome="never began")
                    return None
                while not job.done(retry=call, timeout=seconds) and time.monotonic() < until:
                    time.sleep(_AGAIN_SECONDS)
                if job.done(retry=call, timeout=seconds):
                    outcome = "failed" if job.error_result else "done"
                    log.warning("job_given_up", job_id=job_id, outcome=outcome)
                    return job
        except UNREACHABLE as error:
            raise JobAdriftError(
                f"job {job_id} was given up and cannot be cancelled: {reason(error)}"
            ) from error
        raise JobAdriftError(f"job {job_id} was given up and has not ended {_CANCEL_SECONDS:g} s after")

    def _take(self, job_id: str, call: Retry) -> None:
        """Have a statement that does nothing take the id: what is still under way is refused then."""
        config = bigquery.QueryJobConfig(labels=_NOTHING)
        seconds = self._settings.bigquery_request_seconds
        with suppress(Conflict):
            self._client.query(
                "select 1", job_config=config, job_id=job_id, retry=call, job_retry=None, timeout=seconds
            )

    def _settle(self, work: Work) -> None:
        """Wait for what an earlier try of the same work has left running; what takes too long is cancelled.

        An earlier try's jobs are this try's work half done: beside them it would only be in their way.
        """
        since = datetime.now(UTC) - timedelta(seconds=work.seconds) - _CLOCKS_APART
        try:
            left = [
                job
                for state in ("running", "pending")
                for job in self._client.list_jobs(
                    state_filter=state, min_creation_time=since, retry=self.call
                )
                if job.job_id.startswith(work.prefix)
            ]
            for job in left:
                log.info("job_of_earlier_try", job_id=job.job_id, step=work.step)
                age = (datetime.now(UTC) - job.created).total_seconds() if job.created else 0.0
                until = time.monotonic() + max(work.seconds - age, 0.0)
                while not job.done(retry=self.call) and time.monotonic() < until:
                    time.sleep(_AGAIN_SECONDS)
                if not job.done(retry=self.call):
                    self._cancelled(job.job_id)
        except UNREACHABLE as error:
            raise WarehouseError(f"jobs of an earlier try: {reason(error)}") from error
