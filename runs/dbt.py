"""Build a run's models in its audit dataset: dbt, in this process."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import structlog
import yaml
from filelock import FileLock

from loaders.warehouse.connections import notice_dead_connections
from runs.history import project_vars
from runs.placement import PARSED, placed_manifest
from segue.errors import SegueError
from segue.redaction import redacted
from segue.settings import Settings
from segue.telemetry import Step, present_step
from segue.window import RunWindow

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

log = structlog.get_logger(__name__)


class BuildError(SegueError):
    """dbt could not build the run; nothing of it may be published."""

    code = "build_failed"
    hint = "the audit dataset keeps what was built; mend the model and run again"


@dataclass(frozen=True)
class BuiltNode:
    """A model or test as it ended; counts are None where the warehouse tells none."""

    kind: str
    name: str
    status: str
    seconds: float
    row_count: int | None = None
    bytes_processed: int | None = None


OnNode = Callable[[BuiltNode], None]


class ProjectError(BuildError):
    """The dbt project cannot be read; nothing was built."""

    code = "dbt_project"
    hint = "the message names the file; `segue parse` reads the project again, without a warehouse"


def dbt_vars(settings: Settings, window: RunWindow) -> dict[str, Any]:
    """The variables of a run: its days, what it may read, and experiments that are declared elsewhere."""
    return _experiments(settings) | {
        "start_date": window.start_date.isoformat(),
        "known_start_date": window.first_day(as_known_then=True).isoformat(),
        "end_date": window.end_date.isoformat(),
        "as_of_date": window.as_of_date.isoformat(),
        "history_start_date": settings.history_start_date.isoformat(),
        "history_from": {model: day.isoformat() for model, day in window.history.first_days.items()},
        "goes_on_from": window.history.goes_on_from.isoformat() if window.history.goes_on_from else "",
        "published_marts": list(window.history.published_marts),
    }


def _experiments(settings: Settings) -> dict[str, Any]:
    if settings.experiments_dir is None:
        return {}
    from experiments.compiler import declared_values
    from experiments.registry import load

    registry = load(settings.experiments_dir)
    return {**declared_values(registry.experiments, registry.metrics, registry.holdouts)}


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that the dbt project reads."""
    return {
        "SEGUE_PROJECT_ID": settings.project_id,
        "SEGUE_RAW_DATASET": settings.raw_dataset,
        "SEGUE_HISTORY_DATASET": settings.history_dataset,
        "SEGUE_MARTS_DATASET": settings.marts_dataset,
        "SEGUE_BIGQUERY_ENDPOINT": settings.bigquery_endpoint or "",
        "SEGUE_LOCATION": settings.location,
        # Of whoever works by hand; a run names its own.
        "SEGUE_AUDIT_DATASET": settings.audit_dataset_prefix,
        "SEGUE_DBT_THREADS": str(settings.dbt_threads),
        # dbt counts in whole seconds.
        "SEGUE_BIGQUERY_REQUEST_SECONDS": str(ceil(settings.bigquery_request_seconds)),
        "SEGUE_BUILD_DEADLINE_SECONDS": str(ceil(settings.build_deadline_seconds)),
        "DO_NOT_TRACK": "1",
    }


def build(
    settings: Settings,
    window: RunWindow,
    select: Sequence[str] | None = None,
    *,
    exclude: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    on_node: OnNode | None = None,
) -> None:
    """Build every model of a daily run (or ``select``, less ``exclude``) in its audit dataset.

    ``variables`` of dbt count beside the run's.
    The window says whether dbt's tests run as well: they look at the structure of what leads to the marts,
    which only a change of the code can break. ``on_node`` gets every model and test as it ends.

    Raises:
        BuildError: a model or a data test failed; the message names each with its reason.
    """
    # Its manifest is the parsed project's, which is there: writing it again took a seventh of a build.
    command = ["build", "--exclude-resource-type", "unit_test", "--no-write-json"]
    if not window.data_tests:
        command += ["--exclude-resource-type", "test"]
    if select:
        command += ["--select", *select]
    if exclude:
        # A test that also looks at what is left out comes with that.
        command += ["--exclude", *exclude, "--indirect-selection", "cautious"]
    _run(settings, window, command, variables or {}, on_node)
    log.info("built", days=str(window), dataset=window.audit_dataset)


def parse(settings: Settings) -> Path:
    """Write the parsed project to ``settings.dbt_target_dir`` without a connection; returns its manifest.

    It appears whole, together with the digest of the project that it was parsed from.

    Raises:
        BuildError: the project does not parse.
    """
    target = settings.dbt_target_dir
    target.mkdir(parents=True, exist_ok=True)
    digest = project_digest(settings.dbt_project_dir)
    with FileLock(target / "parse.lock"), TemporaryDirectory(dir=target) as parsed:
        _invoke(settings, ["parse", "--no-partial-parse"], Path(parsed), {})
        _digest_file(settings).unlink(missing_ok=True)
        for name in ("manifest.json", "semantic_manifest.json", PARSED):
            (Path(parsed) / name).replace(target / name)
        project = yaml.safe_load((settings.dbt_project_dir / "dbt_project.yml").read_text())
        project_vars(settings.dbt_manifest).write_text(json.dumps(project.get("vars", {}), sort_keys=True))
        _digest_file(settings).write_text(digest)
    return settings.dbt_manifest


def ensure_parsed(settings: Settings) -> str:
    """Parse the project unless the manifest is of its present files; returns their digest.

    Raises:
        BuildError: the project does not parse.
    """
    digest = project_digest(settings.dbt_project_dir)
    if not _is_parsed(settings, digest):
        parse(settings)
    return digest


def is_parsed(settings: Settings) -> bool:
    """Whether the manifest is of the project's present files."""
    return _is_parsed(settings, project_digest(settings.dbt_project_dir))


def _is_parsed(settings: Settings, digest: str) -> bool:
    recorded = _digest_file(settings)
    written = (recorded, settings.dbt_manifest, project_vars(settings.dbt_manifest))
    return all(file.exists() for file in written) and recorded.read_text() == digest


def _digest_file(settings: Settings) -> Path:
    return settings.dbt_target_dir / "project.sha256"


_NO_SOURCES = ("target", "logs", "dbt_packages")


def project_digest(project: Path) -> str:
    """SHA-256 of what dbt parses: names and bytes of all files of the project, and dbt's version.

    By content and not by time: a checkout, a copy or an image may give files any time.
    """
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project)
        if path.is_file() and name.parts[0] not in _NO_SOURCES:
            digest.update(f"\0{name}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def dbt_artefacts(settings: Settings) -> Path:
    """Where dbt leaves what it compiled and ran, by audit dataset; for whoever looks into a failure."""
    return settings.state_dir / "dbt_runs"


def _run(
    settings: Settings,
    window: RunWindow,
    command: list[str],
    variables: Mapping[str, Any],
    on_node: OnNode | None = None,
) -> None:
    """A command of a run, on the project as it was parsed."""
    ensure_parsed(settings)
    manifest = placed_manifest(settings, window.audit_dataset)
    target = dbt_artefacts(settings) / window.audit_dataset
    _invoke(settings, command, target, {**dbt_vars(settings, window), **variables}, manifest, on_node)


def _invoke(
    settings: Settings,
    command: list[str],
    target: Path,
    variables: dict[str, Any],
    manifest: Manifest | None = None,
    on_node: OnNode | None = None,
) -> None:
    from dbt.cli.main import dbtRunner

    # dbt has a client of its own.
    notice_dead_connections()
    project = settings.dbt_project_dir
    target.mkdir(parents=True, exist_ok=True)
    arguments = [
        *command,
        "--project-dir", str(project),
        "--profiles-dir", str(project),
        "--target", settings.dbt_target,
        "--target-path", str(target),
        "--log-path", str(target / "logs"),
        "--vars", json.dumps(variables),
        # Neither to the console nor to a file: it quotes the rows that a model fails on, and its failures are
        # told by what is raised.
        "--log-level", "none",
        "--log-level-file", "none",
    ]  # fmt: skip
    with _environment(dbt_environment(settings)), _silent_logging(), same_flags():
        callbacks = [_telling(present_step()), *([_node_listener(on_node)] if on_node else [])]
        result = dbtRunner(manifest, callbacks).invoke(arguments)
    if not result.success:
        failure = _failure(command[0], result)
        if _FULL in failure:
            raise OSError(errno.ENOSPC, _FULL, str(target))
        raise (ProjectError if command[0] == "parse" else BuildError)(failure)


_FAILED = frozenset({"error", "fail", "runtime error"})
_FULL = os.strerror(errno.ENOSPC)
"""How dbt tells that it cannot write, as the failure of each model or of its own."""


def _node_listener(on_node: OnNode) -> Callable[[EventMsg], None]:
    """Takes dbt's events and passes on the end of each node."""

    def listen(event: EventMsg) -> None:
        if event.info.name == "NodeFinished":
            data: Any = event.data
            node, outcome = data.node_info, data.run_result
            told = dict(outcome.adapter_response)
            on_node(
                BuiltNode(
                    kind=node.resource_type,
                    name=node.node_name,
                    status=outcome.status,
                    seconds=outcome.execution_time,
                    row_count=_whole(told.get("rows_affected")),
                    bytes_processed=_whole(told.get("bytes_processed")),
                )
            )

    return listen


def _telling(step: Step) -> Callable[[EventMsg], None]:
    """Takes dbt's events and tells who watches the step of every node: dbt has threads of its own."""

    def listen(event: EventMsg) -> None:
        if event.info.name != "NodeFinished":
            return
        data: Any = event.data
        node, outcome = data.node_info, data.run_result
        answer = {name: str(value) for name, value in outcome.adapter_response.items()}
        failed = str(outcome.status) in _FAILED
        step.past_span(
            f"dbt.{node.resource_type}",
            _nanoseconds(node.node_started_at),
            _nanoseconds(node.node_finished_at),
            str(outcome.status) if failed else None,
            node=node.node_name,
            status=str(outcome.status),
            **{
                name: answer[name]
                for name in ("job_id", "bytes_processed", "rows_affected")
                if name in answer
            },
        )
        if node.resource_type == "model":
            step.count("segue.models.built", 1, status=str(outcome.status))
        if "job_id" in answer:
            step.count("segue.bigquery.jobs", 1)
            step.count("segue.bigquery.processed", float(answer.get("bytes_processed") or 0))

    return listen


def _nanoseconds(told: str) -> int:
    """An instant of dbt's, which is UTC without saying so."""
    instant = datetime.fromisoformat(told)
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1e9)


def _whole(told: Any) -> int | None:
    """A count as dbt's events have it: a float, or nothing."""
    return None if told is None else int(told)


def _failure(command: str, result: dbtRunnerResult) -> str:
    if result.exception is not None:
        # A project is parsed without a row in sight.
        said = str(result.exception)
        return f"dbt {command}: {said if command == 'parse' else redacted(said)}"
    lines = [
        f"{node.node.resource_type} {node.node.name}: {node.status}: {_one_line(node.message)}"
        for node in getattr(result.result, "results", [])
        if str(node.status) in _FAILED
    ]
    return f"dbt {command}: {len(lines)} node(s) failed\n" + "\n".join(lines)


def _one_line(message: str | None) -> str:
    return " ".join(redacted(message or "").split())


@contextmanager
def _silent_logging() -> Iterator[None]:
    """Have a line that dbt's log file does not take be lost: Python prints a page of frames for each."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


@contextmanager
def same_flags() -> Iterator[None]:
    """Have dbt's list of behavior flags end as it began, and cost nothing.

    Each adapter adds its own to it, again and again, and of each flag of the list dbt finds out whose it is
    by the whole stack and all modules: in a process that had built a hundred times a build took ten times as
    long as the first. Nobody is told whose a flag is.
    """
    from dbt.adapters.base.impl import DEFAULT_BASE_BEHAVIOR_FLAGS
    from dbt_common.behavior_flags import BehaviorFlagRendered

    flags, find_out = [*DEFAULT_BASE_BEHAVIOR_FLAGS], BehaviorFlagRendered._default_source
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt")  # type: ignore[method-assign]
    try:
        yield
    finally:
        BehaviorFlagRendered._default_source = staticmethod(find_out)  # type: ignore[method-assign]
        DEFAULT_BASE_BEHAVIOR_FLAGS[:] = flags


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a dbt invocation: profiles know no other parameters."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
