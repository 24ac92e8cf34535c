"""The name of a decision: that an account is to be shown a rule's offer, as a generation has it.

Nothing is stored for it. It is made of what every reader of the table has in its hands, so that each reader,
in whatever language, on whatever replica and however often it asks, gives the same name, and so can a query
over ``offer_decisions``. To those who log it, it says nothing.
"""

from __future__ import annotations

from hashlib import sha256


def decision_id(account_id: str, generation_ms: int, rule_id: str) -> str:
    """32 hex digits: the first half of SHA-256 of ``<generation_ms>#<rule_id>#<account_id>`` in UTF-8.

    ``generation_ms`` is the generation that answered, not the one that wrote the cell. Neither it nor the id
    of a rule has a ``#``, so no two decisions are written alike.
    """
    return sha256(f"{generation_ms}#{rule_id}#{account_id}".encode()).hexdigest()[:32]
