"""Account ids as they are asked for: texts that are UTF-8, one or a list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from segue_client.errors import InvalidAccountIdError, InvalidRequestError, UnreadableOffersError

_Result = TypeVar("_Result")


def encoded(account_id: str) -> bytes:
    """An account id in UTF-8.

    Raises:
        InvalidAccountIdError: it is no text, or one that UTF-8 does not have.
    """
    if not isinstance(account_id, str):
        raise InvalidAccountIdError(f"an account id of type {type(account_id).__name__}; ids are texts")
    try:
        return account_id.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidAccountIdError(
            f"an account id with an unpaired surrogate at character {error.start}; ids are UTF-8"
        ) from error


def listed(account_ids: Sequence[str]) -> Sequence[str]:
    """The ids of a batch, as they are.

    Raises:
        InvalidRequestError: they are one text, whose characters would be taken for ids.
    """
    if isinstance(account_ids, str | bytes):
        raise InvalidRequestError(f"one {type(account_ids).__name__} where a list of account ids belongs")
    return account_ids


def of_batch(index: int, work: Callable[..., _Result], *arguments: object) -> _Result:
    """``work`` for one account of a batch; an error of it says of which."""
    try:
        return work(*arguments)
    except (InvalidAccountIdError, UnreadableOffersError) as error:
        raise type(error)(f"account_ids[{index}]: {error}") from error
