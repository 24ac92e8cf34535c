"""A TCP proxy that fails as a network does: every connection is reset at once, or no byte comes through."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""

HASTY_KEEPALIVE = (
    # No client asks more often.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 1_000),
    ("grpc.http2.ping_timeout_ms", 1_000),
)
"""``segue_client.keepalive.KEEPALIVE`` for who does not wait half a minute."""


class TcpProxy:
    """Forwards connections to ``host:port`` until ``close``."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._forgotten: set[socket.socket] = set()
        self._up = threading.Event()
        self._up.set()
        self.accepted = 0
        self.resets = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """host:port to connect to."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def reset(self) -> None:
        """Breaks every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.resets += 1
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.close()

    def cut(self) -> None:
        """From now on no byte comes through, and nobody is told: as when a cable is pulled."""
        self._up.clear()

    def mend(self, *, forgotten: bool = False) -> None:
        """What is sent comes through again, and what was sent meanwhile.

        ``forgotten``: not on connections that there were: a router that started anew knows nothing of them,
        and says nothing.
        """
        with self._lock:
            if forgotten:
                self._forgotten |= {client for client, _ in self._pairs}
        self._up.set()

    def close(self) -> None:
        """Stops listening and breaks every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._up.set()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with contextlib.suppress(OSError, ValueError):
            while True:
                for end in select.select([client, server], [], [], 5)[0]:
                    self._up.wait()
                    if client in self._forgotten:
                        # Both ends stay open, and nobody reads them.
                        return
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    other[end].sendall(data)
        if client in self._forgotten:
            return
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.close()
