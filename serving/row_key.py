"""Row keys of accounts: ``<first 4 hex digits of sha256(account id)>#<account id>``, UTF-8.

The hash prefix spreads accounts whose ids share a prefix or grow over time evenly over the tablets.
``serving/golden/row_keys.json`` holds vectors for other languages.
"""

from __future__ import annotations

import hashlib
from typing import Final

from segue.errors import SegueError

MAX_ROW_KEY_BYTES: Final = 4096
"""Bigtable's limit; the emulator does not enforce it, so it is enforced here."""

FIRST_ACCOUNT_KEY: Final = b"0"
"""Inclusive start of the range that holds exactly the accounts (a hex digit starts every key)."""

AFTER_ACCOUNT_KEYS: Final = b"g"
"""Exclusive end of the range that holds exactly the accounts."""


class InvalidAccountIdError(SegueError, ValueError):
    """The account id cannot be a row key: empty, too long, or not encodable as UTF-8."""

    code = "invalid_account_id"
    exit_code = 2


def row_key(account_id: str) -> bytes:
    """The row key of an account.

    Raises:
        InvalidAccountIdError: the id is empty, not UTF-8, or its key is longer than 4096 bytes.
    """
    if not account_id:
        raise InvalidAccountIdError("an account id must not be empty")
    try:
        encoded = account_id.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidAccountIdError("an account id must be encodable as UTF-8") from error
    key = hashlib.sha256(encoded).hexdigest()[:4].encode("ascii") + b"#" + encoded
    if len(key) > MAX_ROW_KEY_BYTES:
        raise InvalidAccountIdError(f"a row key of {len(key)} bytes is over the limit of {MAX_ROW_KEY_BYTES}")
    return key


def account_id_of(key: bytes) -> str:
    """The account id inside a row key.

    Raises:
        ValueError: the key is not one that :func:`row_key` makes.
    """
    account_id = key[5:].decode("utf-8")
    if row_key(account_id) != key:
        raise ValueError("not the row key of an account")
    return account_id
