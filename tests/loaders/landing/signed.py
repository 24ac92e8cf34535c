"""An App Store of one's own: a root, certificates with Apple's marks, and what they sign."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

LEAF_MARK, INTERMEDIATE_MARK = "1.2.840.113635.100.6.11.1", "1.2.840.113635.100.6.2.1"


@dataclass(frozen=True)
class AppStore:
    """Signs as the App Store does; without ``marks`` the certificates are somebody else's under its root."""

    marks: tuple[str, str] | tuple[()] = (LEAF_MARK, INTERMEDIATE_MARK)
    valid_until: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    _keys: tuple[ec.EllipticCurvePrivateKey, ...] = field(
        default_factory=lambda: tuple(ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    )

    @cached_property
    def chain(self) -> list[x509.Certificate]:
        """Leaf, intermediate and root."""
        leaf, middle, root = self._keys
        marks = self.marks or (None, None)
        return [
            self._certificate("leaf", leaf, "middle", middle, marks[0], is_authority=False),
            self._certificate("middle", middle, "root", root, marks[1]),
            self._certificate("root", root, "root", root, None),
        ]

    def write_root(self, file: Path) -> Path:
        """The root in PEM."""
        file.write_bytes(self.chain[-1].public_bytes(Encoding.PEM))
        return file

    @property
    def x5c(self) -> list[str]:
        """The chain as a header holds it."""
        return [b64encode(each.public_bytes(Encoding.DER)).decode() for each in self.chain]

    def sign(self, content: dict[str, Any], x5c: list[Any] | None = None) -> str:
        """The content in a JSON Web Signature."""
        headers = {"x5c": self.x5c if x5c is None else x5c}
        return jwt.encode(content, self._keys[0], algorithm="ES256", headers=headers)

    def post(self, notification: dict[str, Any]) -> dict[str, str]:
        """What is posted: transaction and renewal signed, and the whole signed once more."""
        data = dict(notification.get("data", {}))
        for inner in ("transactionInfo", "renewalInfo"):
            if inner in data:
                data[f"signed{inner[0].upper()}{inner[1:]}"] = self.sign(data.pop(inner) | SIGNED)
        return {"signedPayload": self.sign(notification | ({"data": data} if data else {}))}

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        mark: str | None,
        is_authority: bool = True,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(self.valid_until)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if is_authority:
            builder = builder.add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
            )
        if mark:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), b"\x05\x00"), critical=False
            )
        return builder.sign(issuer_key, hashes.SHA256())


SIGNED = {"signedDate": 1773140400000}


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
