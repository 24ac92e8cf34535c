"""Connections over HTTP that have died without a word are noticed, by every client of this process.

An answer that a job's end is waited for with may come after an hour: the stock client, and dbt's use of it,
give such a request no other limit. A router that has forgotten the connection meanwhile would have it waited
for in vain. So the kernel asks the other side when nothing has come for half a minute; without an answer the
request fails, and is made again.
"""

from __future__ import annotations

import socket
from typing import Final

from urllib3.connection import HTTPConnection

_WATCHED: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        # Seconds of silence, seconds between questions, questions without an answer. macOS has other names.
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
)


def notice_dead_connections() -> None:
    """From now on, of every connection over HTTP that this process opens."""
    # In place: it is the default of an argument as well.
    options = HTTPConnection.default_socket_options
    options.extend(each for each in _WATCHED if each not in options)
