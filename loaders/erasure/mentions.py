"""Finding ids in any text, however it is written: as JSON, JSON inside JSON, HTML, or a line of a log.

A whole id only: ``a-1`` is not in ``a-10``. An id that is short or a number may mean something else; it
counts where it is quoted, or, among the rows of others, where it stands under the name of an id.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

from loaders.landing.subjects import KIND_OF_KEY
from loaders.warehouse.erasures import TELLING_LENGTH

_WORD: Final = "0-9A-Za-z_-"
_KEYS: Final = "[a-z_]*(?:account|subscription)_id[a-z_]*|" + "|".join(sorted(KIND_OF_KEY))
_AS_WORD: Final = (rf"(^|[^{_WORD}]|\\[bfnrt])", rf"($|[^{_WORD}])")
_QUOTED: Final = (r"""(["'>])""", r"""(\\*["'<])""")
_UNDER_KEY: Final = (rf'("(?:{_KEYS})\\*"\s*:\s*\[?\\*"?)', rf"($|[^{_WORD}])")


def mention_patterns(ids: Iterable[str], *, quoted_is_enough: bool) -> list[str]:
    """Regular expressions, for RE2 and for Python, whose second group is one of the ids.

    ``quoted_is_enough``: also for a short id, as in texts that hardly have anything else in quotes.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for each in sorted(set(ids), key=len, reverse=True):
        if len(each) >= TELLING_LENGTH and not each.isdecimal():
            places = [_AS_WORD]
        elif len(each) >= TELLING_LENGTH or quoted_is_enough:
            places = [_QUOTED, _UNDER_KEY]
        else:
            places = [_UNDER_KEY]
        for place in places:
            found.setdefault(place, []).append("".join(_spellings(character) for character in each))
    return [f"{before}({'|'.join(spelt)}){after}" for (before, after), spelt in found.items()]


def _spellings(character: str) -> str:
    """The character as it is, escaped as in JSON (once or more often), or as in HTML."""
    if character.isascii() and (character.isalnum() or character in "-_.:@+ #"):
        return re.escape(character)
    code = character.encode("utf-16-be")
    units = [f"{code[at]:02x}{code[at + 1]:02x}" for at in range(0, len(code), 2)]
    escaped = "".join(
        r"\\+u" + "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in unit)
        for unit in units
    )
    spelt = {re.escape(character), escaped, re.escape(html.escape(character)), rf"&#{ord(character)};"}
    if character in '"\\/':
        spelt.add(r"\\+" + re.escape(character))
    return f"(?:{'|'.join(sorted(spelt, key=len, reverse=True))})"
