"""The runbook's entries, as the tests read them: by section, each with what stands below its code."""

from __future__ import annotations

import re

from segue.settings import PROJECT_ROOT

RUNBOOK = (PROJECT_ROOT / "docs" / "runbook.md").read_text()
_SECTION = re.compile(r"^## (.*)$", flags=re.MULTILINE)
_ENTRY = re.compile(r"^### (.*)$", flags=re.MULTILINE)


def _parts_of(heading: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """(heading, what stands below it), in order."""
    split = heading.split(text)[1:]
    return list(zip(split[::2], split[1::2], strict=True))


SECTIONS = {
    section: [code for code, _ in _parts_of(_ENTRY, below)] for section, below in _parts_of(_SECTION, RUNBOOK)
}
ENTRIES = [entry for _, below in _parts_of(_SECTION, RUNBOOK) for entry in _parts_of(_ENTRY, below)]
