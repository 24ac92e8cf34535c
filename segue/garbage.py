"""Python's collector of cycles, in processes that import much and make few of them."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Look for cycles after 50,000 new objects instead of 700.

    Objects of imported libraries, some 400,000, are no garbage, and each look at all of them takes a third of
    a second: while dbt reads its project or Great Expectations is imported there were several.
    """
    gc.set_threshold(50_000, 20, 50)


def keep_what_is_there() -> None:
    """What a process has made at its start stays: nobody looks at it again.

    Processes that are forked from it go on sharing its memory, which a look would copy.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()
