"""What can go wrong when the embedded platform starts."""

from __future__ import annotations

from segue.errors import SegueError


class ServiceError(SegueError):
    """A service cannot be found, built or started; the message says which, why, and where its log is."""

    code = "embedded_service"
