"""Google's analyzer comes as WebAssembly: compiled once for a machine, and fed in blocks.

The package compiles its 28 MB anew in every process (30 s of CPU) and copies requests and answers byte by
byte in Python. What was compiled is kept in Wasmtime's cache in the home folder.
"""

from __future__ import annotations

import ctypes
from typing import Any

from wasmtime import Config
from zetasql.core import wasm_client


def _caching() -> Config:
    config = Config()
    config.cache = True
    return config


def _address(client: Any, pointer: int) -> int:
    return ctypes.addressof(client.memory.data_ptr().contents) + pointer


def _write(client: Any, pointer: int, data: bytes) -> None:
    ctypes.memmove(_address(client, pointer), data, len(data))


def _read(client: Any, pointer: int, size: int) -> bytes:
    return ctypes.string_at(_address(client, pointer), size)


def use_compiled() -> None:
    """Make the package load what was compiled before; it loads at its first statement."""
    wasm_client.Config = _caching
    wasm_client.WasmClient.write_bytes = _write
    wasm_client.WasmClient.read_bytes = _read
