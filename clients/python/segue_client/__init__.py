"""Looks up what an account should be offered now, and why.

``OfferServiceClient`` asks the lookup service, ``AsyncOfferServiceClient`` does so from an event loop.
``segue_client.bigtable.reader`` reads the table itself, with the extra ``segue-client[bigtable]``.
"""

from segue_client.answer import Lookup, Outcome
from segue_client.decision_id import decision_id
from segue_client.errors import (
    InvalidAccountIdError,
    InvalidRequestError,
    LookupFailedError,
    LookupTimeoutError,
    NotAuthenticatedError,
    NothingPublishedError,
    RateLimitedError,
    SegueClientError,
    UnavailableError,
    UnreadableOffersError,
)
from segue_client.remote import AsyncOfferServiceClient, OfferServiceClient
from segue_client.version import __version__
from segue_client.wire.offers_pb2 import AccountOffers, Offer

__all__ = [
    "AccountOffers",
    "AsyncOfferServiceClient",
    "InvalidAccountIdError",
    "InvalidRequestError",
    "Lookup",
    "LookupFailedError",
    "LookupTimeoutError",
    "NotAuthenticatedError",
    "NothingPublishedError",
    "Offer",
    "OfferServiceClient",
    "Outcome",
    "RateLimitedError",
    "SegueClientError",
    "UnavailableError",
    "UnreadableOffersError",
    "__version__",
    "decision_id",
]
