"""The pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segue.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
CLIENTS = sorted((PROJECT_ROOT / "clients").glob("*/README.md"))
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """What a page's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *CLIENTS], ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_link_of_a_page_resolves(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        # The reference is generated into the site, whose build refuses dead links to it.
        if "://" in path or path.startswith("reference/"):
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), path
        assert not anchor or anchor in anchors(linked), f"{path}#{anchor}"


def test_the_readme_leads_to_every_page() -> None:
    linked = {path for path, _ in LINK.findall(PAGES[0].read_text())}

    assert linked >= {f"docs/{page.name}" for page in PAGES[1:]}
