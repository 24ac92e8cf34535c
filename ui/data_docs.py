"""Great Expectations' pages as they were kept, without the internet: what they load is served with the pages.

They name libraries on public networks for content. The same versions, from npm, lie in ``static/data_docs``;
what has no copy there (Vega, for plots that our suites do not make, and a logo) is left out.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Final

from loaders.erasure.files import SITE
from loaders.objects.store import ABSENT, open_store
from segue.settings import Settings

STATIC: Final = Path(__file__).parent / "static"
FOLDER: Final = "data_docs"
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; frame-ancestors 'self'"
)

_COPIES: Final = {
    "bootstrap-datepicker.min.css": "bootstrap-datepicker.min.css",
    "bootstrap-datepicker.min.js": "bootstrap-datepicker.min.js",
    "bootstrap-prefers-dark.css": "bootstrap-prefers-dark.min.css",
    "bootstrap-table-filter-control.css": "bootstrap-table-filter-control.min.css",
    "bootstrap-table-filter-control.min.css": "bootstrap-table-filter-control.min.css",
    "bootstrap-table-filter-control.min.js": "bootstrap-table-filter-control.min.js",
    "bootstrap-table.min.css": "bootstrap-table.min.css",
    "bootstrap-table.min.js": "bootstrap-table.min.js",
    "bootstrap.min.css": "bootstrap.min.css",
    "bootstrap.min.js": "bootstrap.min.js",
    "all.min.css": "font-awesome.min.css",
    "jquery-3.7.1.min.js": "jquery.min.js",
    "popper.min.js": "popper.min.js",
}
"""What a page loads, by the last part of its address, and the copy of it."""
_LOADED = re.compile(
    r'<script\s[^>]*src="https://(?P<script>[^"]+)"[^>]*>\s*</script>'
    r'|<link\s[^>]*rel="stylesheet"[^>]*href="https://(?P<style>[^"]+)"[^>]*>'
    r'|<img\s[^>]*src="https://[^"]+"[^>]*>'
)
_PLACE = re.compile(r"[\w.-]+(/[\w.-]+)*")


def kept_page(settings: Settings, attempt: str, path: str, base: str) -> tuple[bytes, str] | None:
    """A file of an attempt's site and its media type; None when there is none.

    ``base`` is the path that the pages lie below.

    Raises:
        ObjectStoreError: it cannot be read.
    """
    place = f"{attempt}/{path}"
    if not _PLACE.fullmatch(place) or ".." in place.split("/"):
        return None
    content, generation = open_store(settings, settings.results_root).read(f"{SITE}/{place}")
    if generation == ABSENT:
        return None
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if kind == "text/html":
        content = without_internet(content.decode(), f"{base}/static/{FOLDER}").encode()
    return content, kind


def without_internet(page: str, assets: str) -> str:
    """The page with its scripts and styles from below the path ``assets``."""

    def local(tag: re.Match[str]) -> str:
        address = tag["script"] or tag["style"] or ""
        copy = _COPIES.get(address.rpartition("/")[2])
        if copy is None:
            return ""
        if tag["script"]:
            return f'<script src="{assets}/{copy}"></script>'
        return f'<link rel="stylesheet" href="{assets}/{copy}">'

    return _LOADED.sub(local, page)
