"""Which trained model gave the scores of a day, as ``ops.run_ledger`` has it.

The registry says what is to score a day. Accounts of a day are scored on the morning after: a decision that
counts for the day may come later still, and a model may have failed on that morning.
"""

from __future__ import annotations

from datetime import date

from loaders.scoring.ended import scored_until
from loaders.scoring.registry import decisions
from loaders.warehouse.client import Warehouse
from loaders.warehouse.ops import ops_table
from scoring.registry import ModelDecision


def scored_by(warehouse: Warehouse, day: date) -> dict[str, ModelDecision]:
    """By the name that its scores have, the trained model that has scored the accounts of ``day``.

    Told is the newest decision about it that counts by the end of ``day``. A model in shadow scores under a
    name of its own. Empty where nothing was scored, or the scores came from elsewhere.

    Raises:
        WarehouseError: BigQuery did not answer.
    """
    ledger = ops_table(warehouse.settings, "run_ledger")
    # What scored a day was decided about before: without a decision nobody has to ask the ledger.
    known = {each.artifact: each for each in decisions(warehouse, day)}
    if not known or warehouse.find_table(ledger) is None:
        return {}
    return {
        name: known[days[day]]
        for name, days in scored_until(warehouse, day, since=day).items()
        if days[day] in known
    }
