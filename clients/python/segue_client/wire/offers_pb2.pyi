from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LookupOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOOKUP_OUTCOME_UNSPECIFIED: _ClassVar[LookupOutcome]
    LOOKUP_OUTCOME_FOUND: _ClassVar[LookupOutcome]
    LOOKUP_OUTCOME_UNKNOWN_ACCOUNT: _ClassVar[LookupOutcome]
    LOOKUP_OUTCOME_SUPPRESSED: _ClassVar[LookupOutcome]
    LOOKUP_OUTCOME_EXPIRED: _ClassVar[LookupOutcome]
LOOKUP_OUTCOME_UNSPECIFIED: LookupOutcome
LOOKUP_OUTCOME_FOUND: LookupOutcome
LOOKUP_OUTCOME_UNKNOWN_ACCOUNT: LookupOutcome
LOOKUP_OUTCOME_SUPPRESSED: LookupOutcome
LOOKUP_OUTCOME_EXPIRED: LookupOutcome

class Offer(_message.Message):
    __slots__ = ("offer_id", "rule_id", "rule_version", "priority", "score", "reason_code", "experiment_id", "variant", "is_control", "content_id", "content_version", "valid_until_ms", "content_locale", "decision_id")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    IS_CONTROL_FIELD_NUMBER: _ClassVar[int]
    CONTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_LOCALE_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    rule_id: str
    rule_version: int
    priority: int
    score: float
    reason_code: str
    experiment_id: str
    variant: str
    is_control: bool
    content_id: str
    content_version: int
    valid_until_ms: int
    content_locale: str
    decision_id: str
    def __init__(self, offer_id: _Optional[str] = ..., rule_id: _Optional[str] = ..., rule_version: _Optional[int] = ..., priority: _Optional[int] = ..., score: _Optional[float] = ..., reason_code: _Optional[str] = ..., experiment_id: _Optional[str] = ..., variant: _Optional[str] = ..., is_control: _Optional[bool] = ..., content_id: _Optional[str] = ..., content_version: _Optional[int] = ..., valid_until_ms: _Optional[int] = ..., content_locale: _Optional[str] = ..., decision_id: _Optional[str] = ...) -> None: ...

class AccountOffers(_message.Message):
    __slots__ = ("account_id", "offers", "valid_until_ms", "suppressed_reason", "market", "held_back", "segment_date", "generation_ms")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSED_REASON_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_DATE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_MS_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    offers: _containers.RepeatedCompositeFieldContainer[Offer]
    valid_until_ms: int
    suppressed_reason: str
    market: str
    held_back: _containers.RepeatedCompositeFieldContainer[Offer]
    segment_date: str
    generation_ms: int
    def __init__(self, account_id: _Optional[str] = ..., offers: _Optional[_Iterable[_Union[Offer, _Mapping]]] = ..., valid_until_ms: _Optional[int] = ..., suppressed_reason: _Optional[str] = ..., market: _Optional[str] = ..., held_back: _Optional[_Iterable[_Union[Offer, _Mapping]]] = ..., segment_date: _Optional[str] = ..., generation_ms: _Optional[int] = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class LookupResponse(_message.Message):
    __slots__ = ("account_id", "outcome", "account", "generation_ms")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_MS_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    outcome: LookupOutcome
    account: AccountOffers
    generation_ms: int
    def __init__(self, account_id: _Optional[str] = ..., outcome: _Optional[_Union[LookupOutcome, str]] = ..., account: _Optional[_Union[AccountOffers, _Mapping]] = ..., generation_ms: _Optional[int] = ...) -> None: ...

class BatchLookupRequest(_message.Message):
    __slots__ = ("account_ids",)
    ACCOUNT_IDS_FIELD_NUMBER: _ClassVar[int]
    account_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, account_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchLookupResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[LookupResponse]
    def __init__(self, answers: _Optional[_Iterable[_Union[LookupResponse, _Mapping]]] = ...) -> None: ...
