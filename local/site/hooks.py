"""What MkDocs calls while it builds the site: generated pages come in, links out of ``docs/`` become text."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from local.site.command_line_page import command_line_page
from local.site.errors_page import errors_page
from local.site.feeds_page import feeds_page
from local.site.grpc_page import grpc_page
from local.site.marts_page import marts_page, metrics_page
from local.site.settings_page import settings_page
from segue.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"\[([^\]]*)\]\(([^):#]+)(?:#[^)]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of the reference."""
    from mkdocs.structure.files import File

    for name, content in reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def reference() -> dict[str, str]:
    """The pages of the reference by name; dbt's project is parsed when it has changed."""
    from runs.dbt import ensure_parsed
    from runs.placement import placed_manifest
    from segue.settings import get_settings

    settings = get_settings()
    ensure_parsed(settings)
    manifest = placed_manifest(settings, settings.marts_dataset)
    return {
        "marts": marts_page(manifest),
        "metrics": metrics_page(manifest),
        "feeds": feeds_page(),
        "settings": settings_page(),
        "command-line": command_line_page(),
        "grpc": grpc_page(),
        "errors": errors_page(),
    }


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Name the files of the sources that a page links to: the site does not hold them."""

    def named(link: re.Match[str]) -> str:
        text, target = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
        is_of_the_sources = path.startswith("../") and (PROJECT_ROOT / "docs" / path).exists()
        is_example = (PROJECT_ROOT / "docs" / path).exists() and files.get_file_from_path(path) is None
        if not (is_of_the_sources or is_example):
            return link.group()
        source = path.removeprefix("../") if is_of_the_sources else f"docs/{path}"
        return text if source in text else f"{text} (`{source}`)"

    return _LINK.sub(named, markdown)
