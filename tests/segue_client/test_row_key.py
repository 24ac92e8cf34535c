"""Row keys: the same bytes in every language, within Bigtable's limits, and reversible."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.settings import PROJECT_ROOT
from segue_client.bigtable.row_key import (
    AFTER_ACCOUNT_KEYS,
    FIRST_ACCOUNT_KEY,
    MAX_ROW_KEY_BYTES,
    account_id_of,
    row_key,
)
from segue_client.errors import InvalidAccountIdError

GOLDEN = json.loads((PROJECT_ROOT / "clients/golden/row_keys.json").read_text(encoding="utf-8"))
ACCOUNT_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: vector["account_id"][:20])
def test_keys_equal_the_golden_vectors(vector: dict[str, str]) -> None:
    assert row_key(vector["account_id"]).hex() == vector["row_key_hex"]


def test_the_prefix_is_the_start_of_sha256() -> None:
    # sha256("a") = ca978112ca1bbdca…
    assert row_key("a") == b"ca97#a"


@given(ACCOUNT_IDS)
def test_a_key_gives_its_account_back_and_lies_in_the_account_range(account_id: str) -> None:
    key = row_key(account_id)
    assert account_id_of(key) == account_id
    assert FIRST_ACCOUNT_KEY <= key < AFTER_ACCOUNT_KEYS


@given(ACCOUNT_IDS, ACCOUNT_IDS)
def test_two_accounts_never_share_a_key(one: str, other: str) -> None:
    assert (row_key(one) == row_key(other)) == (one == other)


def test_the_longest_key_is_4096_bytes() -> None:
    assert len(row_key("x" * 4091)) == MAX_ROW_KEY_BYTES
    with pytest.raises(
        InvalidAccountIdError, match="an account id of 4,092 bytes; at most 4,091 are allowed"
    ):
        row_key("x" * 4092)


def test_the_limit_counts_bytes_not_characters() -> None:
    with pytest.raises(InvalidAccountIdError):
        row_key("🎧" * 1023)


@pytest.mark.parametrize("account_id", ["", "\ud800"])
def test_an_empty_or_unencodable_id_is_refused(account_id: str) -> None:
    with pytest.raises(InvalidAccountIdError):
        row_key(account_id)


@pytest.mark.parametrize("key", [b"0000#a", b"!pointer", b"ca97", b""])
def test_other_keys_are_not_taken_for_accounts(key: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        account_id_of(key)
