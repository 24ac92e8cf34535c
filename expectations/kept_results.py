"""What Great Expectations leaves of a run: a site of pages, and the results that they are made of.

Both are kept by attempt, in a folder or a bucket. So a site is of one run, costs the same after a year of
runs, and workers need neither a common disk nor a lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from loaders.erasure.files import RESULTS, SITE
from loaders.objects.store import open_store
from segue.settings import Settings

_UNUSED: Final = "static"
"""Images and fonts of pages that a site of results does not have; its own pages load from a CDN."""


def keep_results(settings: Settings, folder: Path, attempt: str) -> str:
    """Keep what a run has left in ``folder``; returns where the front page of its site is.

    Judging an attempt again adds to it: every result has its time in its name.

    Raises:
        ObjectStoreError: it cannot be written.
    """
    store = open_store(settings, settings.results_root)
    for kind in (RESULTS, SITE):
        for path in sorted(path for path in (folder / kind).rglob("*") if path.is_file()):
            inner = path.relative_to(folder / kind)
            if inner.parts[0] != _UNUSED and not path.name.startswith("."):
                store.write(f"{kind}/{attempt}/{inner.as_posix()}", path.read_bytes())
    return front_page(settings, attempt)


def front_page(settings: Settings, attempt: str) -> str:
    """Where an attempt's site begins."""
    return f"{settings.results_root.rstrip('/')}/{SITE}/{attempt}/index.html"
