"""The lint of the rules in the checkout, as every command that needs rules without mistakes runs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs.rule_lint import Linted


def linted() -> Linted:
    """The rules and what was found in them, by today's date."""
    from experiments.registry import load
    from runs.rule_lint import lint
    from segments.source import RULES_DIR

    return lint(load(), datetime.now(UTC).date(), RULES_DIR)
