"""Statements that differ in their days and datasets only are translated once.

A run of another day sends the same three hundred statements with other dates and another audit dataset, and
translating them took two thirds of the emulator's time. What varies is replaced by stand-ins of its kind, the
rest is translated and remembered, and then what varies is put back.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date
from typing import Any

from bqemulator.domain.result import Ok
from bqemulator.sql.translator import SQLTranslator

REMEMBERED = 2_000
"""Translations: those of a few kinds of runs, some ten megabytes."""

_VARYING = re.compile(
    # a day, an instant or an id, as a whole literal
    r"""(?P<quote>['"])"""
    r"(?:(?P<day>\d{4}-\d\d-\d\d(?P<time>T[\d:.]+(?:[+-]\d\d:\d\d)?)?)"
    r"|(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))"
    r"(?P=quote)"
    # a table's project: of all names only a project's may have a hyphen
    r"""|(?<=[`"])(?P<project>[a-z][a-z0-9]*(?:-[a-z0-9]+)+)(?=[`"]?\.)"""
    # a dataset that is named by a day
    r"""|(?<=[`".])(?P<dataset>[a-z]\w*?_\d{8}(?:_\d{14}_[0-9a-f]{4})?)(?=[`"]?\.)"""
)
_FIRST_DAY = date(9000, 1, 1).toordinal()
_DAY = "{day}"
_INSTANT = "{day}T00:00:00+00:00"
_HYPHENED = "stand-in-{number}-x"
_PLAIN = "stand_in_{number}_x"
_STAND_IN = re.compile(r"90\d\d-\d\d-\d\d(?:T00:00:00\+00:00)?|stand-in-\d+-x|stand_in_\d+_x")


@dataclass(frozen=True)
class Template:
    """SQL with stand-ins, and what each of them stands for."""

    sql: str
    values: dict[str, str]

    @classmethod
    def of(cls, sql: str) -> Template:
        """Each literal gets a stand-in of its own: which days coincide differs from run to run."""
        values: dict[str, str] = {}
        names: dict[str, str] = {}

        def stand_in(value: str, form: str) -> str:
            number = len(values)
            made = form.format(day=date.fromordinal(_FIRST_DAY + number), number=number)
            values[made] = value
            return made

        def replace(found: re.Match[str]) -> str:
            quote = found["quote"]
            if found["day"]:
                return quote + stand_in(found["day"], _INSTANT if found["time"] else _DAY) + quote
            if found["id"]:
                return quote + stand_in(found["id"], _HYPHENED) + quote
            name = found[0]
            if name not in names:
                names[name] = stand_in(name, _HYPHENED if found["project"] else _PLAIN)
            return names[name]

        if _STAND_IN.search(sql):
            return cls(sql, {})
        return cls(_VARYING.sub(replace, sql), values)

    def fill_in(self, translated: str) -> str:
        """``translated`` with every stand-in replaced by its value."""
        return _STAND_IN.sub(lambda found: self.values.get(found[0], found[0]), translated)


class Translations:
    """Remembered results of a function from SQL to SQL that does not care what a day or a dataset is."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[Hashable, str] = OrderedDict()

    def find(self, sql: str, context: Hashable, translate: Callable[[str], str]) -> str:
        """``translate(sql)``, from memory if there is one of the same template in the same ``context``."""
        template = Template.of(sql)
        key = (template.sql, context)
        translated = self._remembered.get(key)
        if translated is None:
            translated = translate(template.sql)
            self._remembered[key] = translated
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(key)
        return template.fill_in(translated)


class _UntranslatedError(Exception):
    """Not to be remembered: its message would speak of stand-ins."""


_translate = SQLTranslator.translate
_translations = Translations()


def translate_once(
    self: SQLTranslator, bq_sql: str, *, schema: dict[str, Any] | None = None, caller: Any = None
) -> Any:
    """``SQLTranslator.translate``: from BigQuery's SQL to DuckDB's."""

    def translate(sql: str) -> str:
        match _translate(self, sql, schema=schema, caller=caller):
            case Ok(duckdb_sql):
                return str(duckdb_sql)
            case _:
                raise _UntranslatedError

    columns = tuple((table, tuple(types.items())) for table, types in (schema or {}).items())
    try:
        return Ok(_translations.find(bq_sql, (columns, caller), translate))
    except _UntranslatedError:
        return _translate(self, bq_sql, schema=schema, caller=caller)
