"""JSON Web Signatures of the App Store: ES256, with the chain of certificates in ``x5c``.

The chain must lead to a root that is configured, as it was valid when the text was signed, and its
certificates must be those that sign for the App Store:
https://developer.apple.com/documentation/appstoreservernotifications/jwsdecodedheader and Apple's WWDR and
receipt signing policies (https://www.apple.com/certificateauthority), whose object ids mark them.
"""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509 import (
    Certificate,
    ExtensionNotFound,
    ObjectIdentifier,
    load_der_x509_certificate,
    load_pem_x509_certificates,
)
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from loaders.landing.delivery import DeliveryError, SignedContent
from segue.errors import SettingsError
from segue.settings import Settings

_ALGORITHM: Final = "ES256"
# Made once, and the text taken apart once: either costs as much as a signature does.
_JWS: Final = jwt.PyJWS(algorithms=[_ALGORITHM])
_ES256: Final = jwt.get_algorithm_by_name(_ALGORITHM)
_SIGNS_FOR_THE_APP_STORE: Final = ObjectIdentifier("1.2.840.113635.100.6.11.1")
_WORLDWIDE_DEVELOPER_RELATIONS: Final = ObjectIdentifier("1.2.840.113635.100.6.2.1")
_EARLIEST: Final = 1_104_537_600_000
_LATEST: Final = 253_402_300_799_999


class AppStoreSignatures:
    """Opens signed texts; without roots their signatures are not verified, which is said of each."""

    def __init__(self, roots: tuple[Certificate, ...] = ()) -> None:
        self._roots = roots
        self._key_of = lru_cache(maxsize=64)(self._verified_key)

    def open(self, path: str, signed: Any) -> SignedContent:
        """The content of a signed text.

        Raises:
            DeliveryError: it is none, or was not signed by the App Store.
        """
        try:
            parts = _JWS.decode_complete(signed, options={"verify_signature": False})
            content = json.loads(parts["payload"])
        except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError) as error:
            raise DeliveryError(path, "is not JSON in a JSON Web Signature") from error
        if not isinstance(content, dict) or parts["header"].get("alg") != _ALGORITHM:
            raise DeliveryError(path, f"is not a JSON object in a JSON Web Signature by {_ALGORITHM}")
        if not self._roots:
            return SignedContent(content, is_verified=False)
        try:
            key = self._key_of(tuple(parts["header"]["x5c"]), _signed_on(content))
            is_right = _ES256.verify(signed.rpartition(".")[0].encode(), key, parts["signature"])
        except (
            jwt.InvalidTokenError,
            VerificationError,
            ExtensionNotFound,
            UnsupportedAlgorithm,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise DeliveryError(path, "was not signed by the App Store") from error
        if not is_right:
            raise DeliveryError(path, "was not signed by the App Store")
        return SignedContent(content, is_verified=True)

    def _verified_key(self, chain: tuple[str, ...], signed_on: date) -> EllipticCurvePublicKey:
        leaf, *others = (load_der_x509_certificate(b64decode(each)) for each in chain)
        verifier = (
            PolicyBuilder()
            .store(Store(list(self._roots)))
            .time(datetime.combine(signed_on, time(12), UTC))
            .extension_policies(
                # Who signs is no server and no client, and has no name that the web would know.
                ca_policy=ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=ExtensionPolicy.permit_all(),
            )
            .build_client_verifier()
        )
        verified = verifier.verify(leaf, others).chain
        verified[0].extensions.get_extension_for_oid(_SIGNS_FOR_THE_APP_STORE)
        verified[1].extensions.get_extension_for_oid(_WORLDWIDE_DEVELOPER_RELATIONS)
        key = leaf.public_key()
        if not isinstance(key, EllipticCurvePublicKey):
            raise ValueError("the key is not of an elliptic curve")
        return key


def _signed_on(content: dict[str, Any]) -> date:
    signed_at = content.get("signedDate")
    if not isinstance(signed_at, int) or not _EARLIEST <= signed_at <= _LATEST:
        raise ValueError("it does not say when it was signed")
    return datetime.fromtimestamp(signed_at / 1_000, UTC).date()


@lru_cache(maxsize=8)
def app_store_signatures(settings: Settings) -> AppStoreSignatures:
    """Signatures held against the configured roots, read once in a process.

    Raises:
        SettingsError: the file of roots cannot be read.
    """
    file = settings.app_store_roots_file
    return AppStoreSignatures(_roots_in(file) if file else ())


def _roots_in(file: Path) -> tuple[Certificate, ...]:
    try:
        content = file.read_bytes()
        if content.startswith(b"-----BEGIN"):
            return tuple(load_pem_x509_certificates(content))
        return (load_der_x509_certificate(content),)
    except (OSError, ValueError) as error:
        raise SettingsError(f"SEGUE_APP_STORE_ROOTS_FILE: {file}: {error}") from error
