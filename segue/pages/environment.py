"""The templates of a room's pages, and those that all pages share."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segue.pages.plots import number


def environment(folder: Path) -> Environment:
    """Jinja as pages are made with it: texts are escaped, and a name that is not there is a mistake.

    A page of ``folder`` extends ``frame.html.jinja`` and draws by the macros of ``picture.html.jinja``.
    """
    made = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    return made
