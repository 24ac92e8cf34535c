"""The page of all failures that have a name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from local.site.markup import code, page, table
from segue.errors import SegueError
from segue_client.errors import SegueClientError

INTRODUCTION = """\
A failure that the product foresees is one sentence that begins with a code: on standard error of the
command line, in the log of a task, in an alert. The hint says what to do, where that is always the same, and
a code leads to its entry of the [runbook](../runbook.md), which also has the codes of a load; `--debug`
shows the traceback. The exit code is what the command line ends with."""

ROOMS = (
    "segue", "segments", "serving", "experiments", "scoring", "loaders", "expectations", "runs", "cli",
    "local", "segue_client",
)  # fmt: skip
_STARTED_ONLY = "__main__"


def errors_page() -> str:
    """Code, exit code, meaning and hint of every failure, by code."""
    rows = sorted(
        [_linked(error.code), str(getattr(error, "exit_code", 1)), _meaning(error), error.hint or "–"]
        for error in named_errors()
    )
    return page("Error codes", INTRODUCTION, [table(["code", "exit", "what it means", "what to do"], rows)])


def named_errors() -> list[type[SegueError] | type[SegueClientError]]:
    """Every failure that declares a code of its own, in all rooms."""
    for room in ROOMS:
        _import_all(room)
    found = [*_descendants(SegueError), *_descendants(SegueClientError)]
    return [error for error in dict.fromkeys(found) if "code" in vars(error)]


def _import_all(room: str) -> None:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, f"{room}."):
        if not module.name.endswith(_STARTED_ONLY) and "bigquery_emulator" not in module.name:
            importlib.import_module(module.name)


def _descendants(error: type) -> Iterator[type]:
    for child in error.__subclasses__():
        yield child
        yield from _descendants(child)


def _linked(name: str) -> str:
    return f"[{code(name)}](../runbook.md#{name})"


def _meaning(error: type) -> str:
    return (inspect.getdoc(error) or "").split("\n\n", maxsplit=1)[0]
