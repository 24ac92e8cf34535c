"""Whether a row says who pays: by its own column, by what its payloads name, or by a map of customers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from loaders.landing.row import LandingRow, PayerNamed, RequiredWhen
from loaders.landing.schema import columns_of

Problem = tuple[str, str]
"""Column and reason."""


def payer_problem(
    contract: type[LandingRow], row: Mapping[str, Any], mapped_providers: Collection[str]
) -> Problem | None:
    """What is wrong with a row, in its contract's columns and with good payloads, that names nobody.

    ``mapped_providers``: those whose customers the feed ``provider_accounts`` knows.
    """
    if any(isinstance(rule, RequiredWhen) and row.get(rule.column) is None for rule in contract.rules):
        # Where nobody is named because something is missing, that is what has to be said.
        return None
    for rule in contract.rules:
        if not isinstance(rule, PayerNamed) or row.get(rule.column) is not None:
            continue
        payloads = {column.name: column.json for column in columns_of(contract) if column.json}
        text = row.get(rule.payload)
        if text is None or not payloads[rule.payload].parse(text).needs_account:
            continue
        named = {
            place.kind
            for name, json_of in payloads.items()
            if row.get(name) is not None
            for place in json_of.model.names
            if not place.is_former and place.read(json.loads(row[name]))
        }
        if "account" in named:
            continue
        if rule.provider not in mapped_providers:
            return rule.column, (
                f"{rule.column} is null, the payload names no account, and SEGUE_MAPPED_PROVIDERS does not "
                f"name {rule.provider}"
            )
        if rule.provider == "stripe" and "customer" not in named:
            return rule.column, f"{rule.column} is null, and the payload names neither account nor customer"
    return None
