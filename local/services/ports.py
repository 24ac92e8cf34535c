"""Free ports on loopback, chosen once and remembered in ``<state>/ports.json``."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """True when nobody listens on this TCP port of loopback."""
    with socket.socket() as probe:
        # A port whose last connections are still closing is free: servers bind with the same option.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class Ports:
    """The ports of one state folder by name; addresses stay the same from start to start when they can."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}
        if path.exists():
            try:
                self._ports = {str(name): int(port) for name, port in json.loads(path.read_text()).items()}
            except (ValueError, AttributeError):
                # Only a convenience: new ports are chosen.
                self._ports = {}

    def get(self, name: str) -> int:
        """The remembered port, or a new free one, remembered from now on."""
        with self._lock:
            if name not in self._ports:
                self._choose(name)
            return self._ports[name]

    def known(self, name: str) -> int | None:
        """The remembered port, or None when none was ever chosen."""
        return self._ports.get(name)

    def replace_taken(self, names: Iterable[str]) -> None:
        """Choose anew those of ``names`` that somebody listens on; their owner has to be stopped."""
        with self._lock:
            for name in names:
                if name in self._ports and not is_free(self._ports[name]):
                    self._choose(name)

    def _choose(self, name: str) -> None:
        others = {port for other, port in self._ports.items() if other != name}
        while True:
            with socket.socket() as probe:
                probe.bind((LOOPBACK, 0))
                port = int(probe.getsockname()[1])
            if port not in others:
                break
        self._ports[name] = port
        write_atomically(self._path, json.dumps(self._ports, indent=2) + "\n")


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file so that no reader, and no kill, ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as output:
        output.write(text)
    draft.replace(path)
