"""Statements that differ in their days and datasets only are translated once.

A run of another day sends the same three hundred statements with other dates and another audit dataset, and
translating them took two thirds of the emulator's time. What varies is replaced by stand-ins of its kind, the
rest is translated and remembered, and then what varies is put back.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

from bqemulator.domain.result import Ok
from bqemulator.scripting.ast import Script, SqlStmt
from bqemulator.scripting.parser import parse_script
from bqemulator.sql.translator import SQLTranslator
from kept_translations import SHORTEST, open_kept

REMEMBERED = 2_000
"""Translations: those of a few kinds of runs, some ten megabytes."""

_VARYING = re.compile(
    # a day, an instant, an id or an attempt's name, as a whole literal
    r"""(?P<quote>['"])"""
    r"(?:(?P<day>\d{4}-\d\d-\d\d(?P<time>T[\d:.]+(?:[+-]\d\d:\d\d)?)?)"
    r"|(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?P<attempt>[a-z]\w*_\d{8}_\d{14}_[0-9a-f]{4}))"
    r"(?P=quote)"
    # how many of something a statement expects
    r"""|(?<=<>\ )(?P<count>[1-9]\d{1,8})\b(?!\.)"""
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
_NUMBER = "9007{number:05}"
_STAND_IN = re.compile(r"90\d\d-\d\d-\d\d(?:T00:00:00\+00:00)?|stand-in-\d+-x|stand_in_\d+_x|\b9007\d{5}\b")


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
            if found["attempt"]:
                return quote + stand_in(found["attempt"], _PLAIN) + quote
            if found["count"]:
                return stand_in(found["count"], _NUMBER)
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

    def __init__(self, name: str) -> None:
        self._name = name
        self._remembered: OrderedDict[Hashable, str] = OrderedDict()

    def find(self, sql: str, context: Hashable, translate: Callable[[str], str]) -> str:
        """``translate(sql)``, from memory if there is one of the same template in the same ``context``."""
        template = Template.of(sql)
        key = (template.sql, context)
        translated = self._remembered.get(key)
        if translated is None:
            translated = self._kept(template.sql, context, translate)
            self._remembered[key] = translated
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(key)
        return template.fill_in(translated)

    def _kept(self, sql: str, context: Hashable, translate: Callable[[str], str]) -> str:
        """As another process left it."""
        kept = _open_kept() if len(sql) >= SHORTEST else None
        if kept is None:
            return translate(sql)
        key = hashlib.sha256(repr((self._name, sql, context)).encode()).hexdigest()
        found: str | None = kept.find(key)
        if found is not None:
            return found
        translated = translate(sql)
        kept.keep(key, translated)
        return translated


_open_kept = cache(open_kept)


class _UntranslatedError(Exception):
    """Not to be remembered: its message would speak of stand-ins."""


_translate = SQLTranslator.translate
_translations = Translations("translated")


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


_scripts: OrderedDict[str, Script] = OrderedDict()


def split_once(source: str) -> Script:
    """``parse_script``: the statements of a script, of which most have one."""
    template = Template.of(source)
    script = _scripts.get(template.sql)
    if script is None:
        script = parse_script(source)
        if template.values:
            split: Script = parse_script(template.sql)
            if not all(isinstance(statement, SqlStmt) for statement in split.statements):
                return script
            _scripts[template.sql] = split
            while len(_scripts) > REMEMBERED:
                _scripts.popitem(last=False)
        return script
    statements = (replace(each, sql=template.fill_in(each.sql)) for each in script.statements)
    return Script(statements=tuple(statements))
