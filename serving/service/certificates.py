"""The service's certificate, read again when its files change: a renewed one needs no restart."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import grpc
import structlog

from segue.errors import SegueError
from segue.settings import Settings

_log = structlog.get_logger()

_Versions = tuple[tuple[int, int, int], ...]


class ServiceConfigurationError(SegueError):
    """The service cannot be started as it is configured; the message says what to change."""

    code = "service_configuration"


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What the service shows its clients, and asks of them; ``None`` without TLS.

    Raises:
        ServiceConfigurationError: a file is missing, or the files do not fit together.
    """
    certificate, key = settings.service_certificate_file, settings.service_key_file
    client_ca = settings.service_client_ca_file
    if certificate is None and key is None:
        if client_ca is not None:
            raise ServiceConfigurationError("service_client_ca_file needs a certificate and a key for TLS")
        return None
    if certificate is None or key is None:
        raise ServiceConfigurationError("service_certificate_file and service_key_file go together")
    files = _Files(certificate, key, client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.read(), files.read_if_changed, require_client_authentication=client_ca is not None
    )


class _Files:
    """The files of a certificate; gRPC asks for changes before each handshake, from threads of its own."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._lock = threading.Lock()
        self._read: _Versions = ()
        self._broken: _Versions = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Raises ServiceConfigurationError when a file is missing, or the key is not the certificate's."""
        try:
            versions = self._versions()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate, self._key)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
            configuration = grpc.ssl_server_certificate_configuration(
                [(self._key.read_bytes(), self._certificate.read_bytes())],
                root_certificates=None if self._client_ca is None else self._client_ca.read_bytes(),
            )
        except ssl.SSLError as error:
            raise ServiceConfigurationError(
                f"{self._certificate} and {self._key} are no certificate and its key: {error.reason}"
            ) from error
        except OSError as error:
            raise ServiceConfigurationError(
                f"cannot read {error.filename or self._certificate}: {error.strerror}"
            ) from error
        self._read = versions
        return configuration

    def read_if_changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificate, if it is another than before; while its files are broken, the one before stays."""
        with self._lock:
            versions: _Versions = ()
            try:
                versions = self._versions()
                if versions == self._read:
                    return None
                configuration = self.read()
            except (ServiceConfigurationError, OSError) as error:
                if versions != self._broken:
                    _log.error("certificate stays as it was", cause=str(error))
                    self._broken = versions
                return None
            _log.info("certificate was read again")
            return configuration

    def _versions(self) -> _Versions:
        stats = [path.stat() for path in (self._certificate, self._key, self._client_ca) if path is not None]
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in stats)
