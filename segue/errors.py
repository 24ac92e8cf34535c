"""The root of every failure that the product foresees."""

from __future__ import annotations


class SegueError(Exception):
    """Something that can go wrong in operation, in words for whoever operates it.

    ``code`` names the kind of failure for logs, alerts and the runbook; ``hint`` says what to do about it,
    where that is always the same; ``exit_code`` is what the command line ends with; ``is_final`` says that
    trying again cannot help before somebody has changed something.
    """

    code: str = "failed"
    hint: str | None = None
    exit_code: int = 1
    is_final: bool = False


def runbook_entry(code: str) -> str:
    """Where the runbook says, by its code, what a failure means and what to do about it."""
    return f"docs/runbook.md#{code}"


class SettingsError(SegueError):
    """A setting has no possible value."""

    code = "wrong_setting"
    hint = "every setting is an environment variable or a line of the file that SEGUE_ENV_FILE names"
    exit_code = 2
