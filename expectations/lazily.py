"""Libraries that Great Expectations imports for what nobody here asks of it: 1.3 s of its 5.

The standard library's ``LazyLoader`` would do, but before Python 3.12 a second ``import`` loads the module.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _LaterModule(ModuleType):
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_lazily(*names: str) -> None:
    """Let modules load when something of them is used; those already loaded stay."""
    for name in names:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is not None:
            module = _LaterModule(name)
            module.__spec__, module.__file__ = spec, spec.origin
            module.__path__ = list(spec.submodule_search_locations or [])
            sys.modules[name] = module
