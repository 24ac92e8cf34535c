"""A statement is parsed once, and its tree is copied only for those who change it.

The emulator asks for the tree of the same text about fifteen times a statement: to classify it, to find its
tables, and in each of its rewriting steps, most of which find nothing to rewrite. Parsing took half of its
time, and copying a remembered tree for each of them still a third.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import sqlglot.expressions.core as nodes
from sqlglot.dialects.dialect import Dialect

REMEMBERED = 64
"""Statements: those that are being worked on, not those of the whole day."""

_SCRIPT = re.compile(r"\s*begin\b", re.IGNORECASE)
_PLAIN = (str, int, float, bool, type(None))
_parse = Dialect.parse
_parsed: OrderedDict[tuple[Any, ...], list[Any]] = OrderedDict()
_templates: dict[str, list[Any]] = {}
_lent: ContextVar[set[tuple[Any, ...]] | None] = ContextVar("lent", default=None)


def copy_value(value: Any, memo: Any = None) -> Any:
    """``copy.deepcopy``, without its bookkeeping for values that refer to nothing else."""
    if isinstance(value, nodes.Expr):
        return value.__deepcopy__(memo)
    if isinstance(value, _PLAIN):
        return value
    if type(value) is dict and all(isinstance(part, _PLAIN) for part in value.values()):
        return value.copy()
    if type(value) is list and all(isinstance(part, _PLAIN) for part in value):
        return value.copy()
    return copy.deepcopy(value, memo)


def parse_once(self: Any, sql: str, **options: Any) -> list[Any]:
    """``Dialect.parse``: what the same text in the same dialect gave before, copied unless it is lent."""
    if any(option is not None for option in options.values()):
        uncached: list[Any] = _parse(self, sql, **options)
        return uncached
    if type(self) is Dialect:
        # Templates of sqlglot's own, which it copies: compiled, it parses twenty for each text it writes.
        if sql not in _templates:
            _templates[sql] = _parse(self, sql)
        return _templates[sql]
    lent = _lent.get()
    if lent is not None and _SCRIPT.match(sql):
        # Its statements come by themselves; as a whole it is none that anybody looks for.
        return []
    key = (type(self), self.normalization_strategy, tuple(sorted(map(repr, self.settings.items()))), sql)
    trees = _parsed.get(key)
    if trees is None:
        trees = _parse(self, sql)
        _parsed[key] = trees
        while len(_parsed) > REMEMBERED:
            _parsed.popitem(last=False)
    else:
        _parsed.move_to_end(key)
    if lent is not None:
        lent.add(key)
        return trees
    copies: list[Any] = [tree.copy() if tree is not None else None for tree in trees]
    return copies


def only_reads(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` looks at trees and changes none: it gets the remembered ones themselves."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def reading_later(*args: Any, **kwargs: Any) -> Any:
            token = _lent.set(set())
            try:
                return await function(*args, **kwargs)
            finally:
                _lent.reset(token)

        return reading_later

    @functools.wraps(function)
    def reading(*args: Any, **kwargs: Any) -> Any:
        token = _lent.set(set())
        try:
            return function(*args, **kwargs)
        finally:
            _lent.reset(token)

    return reading


def forgets_what_it_changed(function: Callable[..., str]) -> Callable[..., str]:
    """``function`` rewrites SQL, its first argument, and returns the same text when it changed no tree.

    It gets the remembered tree itself, which is forgotten when another text comes back.
    """

    @functools.wraps(function)
    def rewriting(sql: str, *args: Any, **kwargs: Any) -> str:
        lent: set[tuple[Any, ...]] = set()
        token = _lent.set(lent)
        unchanged = False
        try:
            rewritten = function(sql, *args, **kwargs)
            unchanged = rewritten == sql
            return rewritten
        finally:
            _lent.reset(token)
            if not unchanged:
                for key in lent:
                    _parsed.pop(key, None)

    return rewriting
