"""Row keys of accounts: ``<first 4 hex digits of sha256(account id)>#<account id>``, UTF-8.

The hash prefix spreads accounts whose ids share a prefix or grow over time evenly over the tablets.
``clients/golden/row_keys.json`` holds vectors for other languages.
"""

from __future__ import annotations

import hashlib
from typing import Final

from segue_client.account_ids import encoded
from segue_client.errors import InvalidAccountIdError

MAX_ROW_KEY_BYTES: Final = 4096
"""Bigtable's limit; the emulator does not enforce it, so it is enforced here."""

MAX_ACCOUNT_ID_BYTES: Final = MAX_ROW_KEY_BYTES - 5
"""What the prefix leaves of it, in UTF-8."""

FIRST_ACCOUNT_KEY: Final = b"0"
"""Inclusive start of the range that holds exactly the accounts (a hex digit starts every key)."""

AFTER_ACCOUNT_KEYS: Final = b"g"
"""Exclusive end of the range that holds exactly the accounts."""


def row_key(account_id: str) -> bytes:
    """The row key of an account.

    Raises:
        InvalidAccountIdError: the id is empty, not UTF-8, or longer than ``MAX_ACCOUNT_ID_BYTES``.
    """
    if not account_id:
        raise InvalidAccountIdError("an empty account id")
    utf8 = encoded(account_id)
    if len(utf8) > MAX_ACCOUNT_ID_BYTES:
        raise InvalidAccountIdError(
            f"an account id of {len(utf8):,} bytes; at most {MAX_ACCOUNT_ID_BYTES:,} are allowed"
        )
    return hashlib.sha256(utf8).hexdigest()[:4].encode("ascii") + b"#" + utf8


def account_id_of(key: bytes) -> str:
    """The account id inside a row key.

    Raises:
        ValueError: the key is not one that :func:`row_key` makes.
    """
    account_id = key[5:].decode("utf-8")
    if row_key(account_id) != key:
        raise ValueError("not the row key of an account")
    return account_id
