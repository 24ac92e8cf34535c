"""What a run's steps tell those who watch from outside: one trace a run, and measures of every step.

In OpenTelemetry's words. In a task of an Airflow that traces, spans are children of the task's own; elsewhere
the trace's id comes from the run's, so that steps in other processes are in the same trace. Nothing is sent,
and nothing of the SDK loaded, unless ``SEGUE_OTLP_ENDPOINT`` is set; a collector that does not answer costs a
step seconds, never its success. No name and no attribute holds an account's id.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from segue.logs import lines_of
from segue.settings import Settings

Attribute = str | int | float | bool
_TRACE_PARENT: Final = "traceparent"

MEASURES: Final[Mapping[str, tuple[str, str]]] = {
    "segue.step.duration": ("s", "How long a step took, by step and outcome: done or failed."),
    "segue.step.finished": ("s", "When a step ended, in seconds since 1970, by step and outcome."),
    "segue.bigquery.jobs": ("{job}", "BigQuery jobs of a step."),
    "segue.bigquery.processed": ("By", "Bytes that the BigQuery jobs of a step read."),
    "segue.landing.files": ("{file}", "Files that landed, by table."),
    "segue.landing.bytes": ("By", "Bytes of files that landed, by table."),
    "segue.landing.rows": (
        "{row}",
        "Rows of files that landed, by table and outcome: accepted, quarantined, ignored or erased.",
    ),
    "segue.models.built": ("{model}", "Models that a step built, by status."),
    "segue.expectations.judged": (
        "{expectation}",
        "Expectations, by outcome: held, or the severity of those that failed.",
    ),
    "segue.scores.rows": ("{row}", "Accounts that trained models scored, by model."),
    "segue.scores.failures": ("{failure}", "Trained models that could not score a run's days, by model."),
    "segue.published.rows": ("{row}", "Rows of the partitions that a run published, by mart."),
    "segue.published.until": ("s", "End of the last day that a run published, in seconds since 1970."),
    "segue.load.rows": (
        "{row}",
        "Accounts of a load, by outcome: written, unchanged, removed, dead_lettered or erased.",
    ),
    "segue.load.generation": ("ms", "The generation that a load published."),
}
"""Name → unit and description. Gauges, of what the newest step did: its process ends with it, so that a
counter would begin anew at every step."""

_SENDING_SECONDS: Final = 2.0


@dataclass
class Step:
    """A step that is going on in this process. May be used from any of its threads.

    Without a ``tracer`` nobody watches, and all methods do nothing.
    """

    tracer: trace.Tracer | None = None
    context: Context | None = None
    amounts: dict[str, dict[tuple[tuple[str, Attribute], ...], float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    _lock: Any = field(default_factory=Lock)

    @property
    def trace_parent(self) -> str | None:
        """What names its span to whatever it starts, as https://www.w3.org/TR/trace-context/ has it."""
        carrier: dict[str, str] = {}
        if self.tracer is not None:
            TraceContextTextMapPropagator().inject(carrier, self.context)
        return carrier.get(_TRACE_PARENT)

    def count(self, measure: str, amount: float, **attributes: Attribute) -> None:
        """Add to one of ``MEASURES``; it is sent when the step ends."""
        if self.tracer is not None:
            with self._lock:
                self.amounts[measure][tuple(sorted(attributes.items()))] += amount

    @contextmanager
    def span(self, name: str, **attributes: Attribute) -> Iterator[Span]:
        """A part of the step; what fails within marks it."""
        if self.tracer is None:
            yield INVALID_SPAN
            return
        of_this_thread = trace.get_current_span().get_span_context().is_valid
        context = None if of_this_thread else self.context
        with _span(self.tracer, name, context, attributes) as current:
            yield current

    def past_span(
        self, name: str, began_ns: int, ended_ns: int, failure: str | None, **attributes: Attribute
    ) -> None:
        """A part of the step that is over, as a library tells it afterwards; times since 1970."""
        if self.tracer is None:
            return
        done = self.tracer.start_span(name, context=self.context, start_time=began_ns, attributes=attributes)
        if failure:
            done.set_status(trace.Status(trace.StatusCode.ERROR, failure))
        done.end(ended_ns)


_NOBODY_WATCHES: Final = Step()
_step: ContextVar[Step] = ContextVar("step", default=_NOBODY_WATCHES)


def present_step() -> Step:
    """The step that this thread is in; other threads are given it."""
    return _step.get()


@contextmanager
def step_of_run(
    settings: Settings,
    run_id: str,
    day: date,
    step: str,
    *,
    started_by: Iterable[str] = (),
    **attributes: Attribute,
) -> Iterator[None]:
    """Have all that is logged, traced and counted meanwhile say of which run, day and step it is.

    ``attributes`` tell apart what is alike, as the shards of a load. ``started_by`` are the trace parents of
    steps of other runs that this one's run was started by: spans in traces of their own, which are linked.
    """
    with lines_of(run_id, day, step):
        if settings.otlp_endpoint is None:
            yield
            return
        sender = _sender(settings.otlp_endpoint)
        told = {"run_id": run_id, "day": day.isoformat(), "step": step, **attributes}
        began, outcome = time.monotonic(), "failed"
        try:
            with _span(
                sender.tracer,
                f"segue.{step}",
                _context_of(f"{attributes.get('dag', '')}/{run_id}"),
                {f"segue.{name}": value for name, value in told.items()},
                _links(started_by),
            ) as whole:
                now = Step(sender.tracer, trace.set_span_in_context(whole))
                token = _step.set(now)
                try:
                    yield
                    outcome = "done"
                finally:
                    _step.reset(token)
                    now.count("segue.step.duration", time.monotonic() - began, outcome=outcome)
                    now.count("segue.step.finished", time.time(), outcome=outcome)
                    sender.measure(now, {"step": step, **attributes})
        finally:
            # Not when the process ends: Airflow ends a task's at once.
            sender.flush()


@contextmanager
def _span(
    tracer: trace.Tracer,
    name: str,
    context: Context | None,
    attributes: Mapping[str, Attribute],
    links: Iterable[Link] = (),
) -> Iterator[Span]:
    """A span that what fails within marks by its code alone: its text may show what it was given."""
    with tracer.start_as_current_span(
        name,
        context,
        attributes=attributes,
        links=list(links),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            code = getattr(error, "code", None)
            failure = code if isinstance(code, str) else type(error).__name__
            span.set_status(trace.Status(trace.StatusCode.ERROR, failure))
            raise


def _links(trace_parents: Iterable[str]) -> Iterator[Link]:
    for each in dict.fromkeys(trace_parents):
        span = trace.get_current_span(
            TraceContextTextMapPropagator().extract({_TRACE_PARENT: each}, Context())
        )
        if span.get_span_context().is_valid:
            yield Link(span.get_span_context())


def _context_of(run: str) -> Context | None:
    """The trace of a run, unless the thread is in one already: then that goes on."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    if trace.get_current_span().get_span_context().trace_flags.sampled:
        return None
    digest = sha256(run.encode()).digest()
    root = SpanContext(
        trace_id=int.from_bytes(digest[:16], "big"),
        span_id=int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(root))


class _Sender:
    """Sends the spans and measures of this process to a collector."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        where: Any = {
            "endpoint": endpoint,
            "insecure": not endpoint.startswith("https://"),
            "timeout": _SENDING_SECONDS,
        }
        resource = Resource.create({"service.name": "segue"})
        tracers = trace.get_tracer_provider()
        # Airflow's own, where it traces, sends ours too.
        if not isinstance(tracers, TracerProvider):
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**where)))
        self._tracers = tracers
        self.tracer = tracers.get_tracer("segue")
        # At the end of each step, and at no other time.
        when_flushed = PeriodicExportingMetricReader(OTLPMetricExporter(**where), math.inf)
        self._meters = MeterProvider([when_flushed], resource=resource, shutdown_on_exit=False)
        meter = self._meters.get_meter("segue")
        self._gauges = {
            name: meter.create_gauge(name, unit, description)
            for name, (unit, description) in MEASURES.items()
        }

    def measure(self, step: Step, of_step: Mapping[str, Attribute]) -> None:
        for name, amounts in step.amounts.items():
            for attributes, amount in amounts.items():
                self._gauges[name].set(amount, {**of_step, **dict(attributes)})

    def flush(self) -> None:
        milliseconds = int(_SENDING_SECONDS * 1000)
        # The SDK raises where the collector is slow, and a step that is done is done.
        with suppress(Exception):
            self._meters.force_flush(milliseconds)
        with suppress(Exception):
            self._tracers.force_flush(milliseconds)


@lru_cache(maxsize=1)
def _sender(endpoint: str) -> _Sender:
    return _Sender(endpoint)
