"""The gate, and what it leaves for publication: a verdict on the content of every table of the attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loaders.warehouse.client import warehouse_of
from runs.publish import marts_of
from runs.verdict import read_contents, record_verdict
from segue.settings import Settings
from segue.window import RunWindow

if TYPE_CHECKING:
    from expectations.gate import GateResult


def judge(settings: Settings, window: RunWindow) -> GateResult:
    """Run the gate over an attempt and record its verdict, whichever it is.

    Raises:
        ValidationFailedError: a critical expectation failed.
        NotBuiltError: a mart was not built, or the audit dataset is gone.
    """
    # Great Expectations takes seconds to import.
    from expectations.gate import ValidationFailedError
    from expectations.gate import validate as run_gate

    warehouse = warehouse_of(settings)
    # Before the gate looks: what is written meanwhile has not been judged.
    contents = read_contents(warehouse, window, marts_of(settings, window))
    try:
        result = run_gate(settings, window)
    except ValidationFailedError as error:
        record_verdict(warehouse, window, contents, error.failures)
        raise
    record_verdict(warehouse, window, contents, 0)
    return result
