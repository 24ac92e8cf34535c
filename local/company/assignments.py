"""Which arms accounts were put in when they signed up: those that the declared salts say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiments.declaration import Experiment
from local.company.columns import arrivals, identifiers, instants, picked
from local.company.people import SECOND_US, People
from local.company.spec import CompanySpec
from segments.evaluator import bucket

ASSIGNED_SHARE = 0.5


def arm(experiment: Experiment, account_id: str) -> int:
    """Index of the account's variant."""
    number, last = bucket(account_id, experiment.salt), 0
    for place, variant in enumerate(experiment.variants):
        last += round(variant.percent * 100)
        if number < last:
            return place
    raise ValueError(f"the variants of {experiment.id} do not add up")


def assignment_rows(
    spec: CompanySpec, random: np.random.Generator, people: People, experiment: Experiment
) -> dict[str, pa.Table]:
    """Rows of ``experiment_assignments`` for about half of the accounts."""
    assigned = np.nonzero(random.random(people.number.size) < ASSIGNED_SHARE)[0]
    at = np.maximum(people.created_at[assigned], spec.start_us) + SECOND_US
    accounts = identifiers("a", people.number[assigned])
    variants = np.array([arm(experiment, account) for account in accounts.to_pylist()], np.int64)
    return {
        "experiment_assignments": pa.table(
            {
                "experiment_id": picked((experiment.id,), np.zeros(assigned.size, np.int64)),
                "account_id": accounts,
                "variant": picked([each.name for each in experiment.variants], variants),
                "salt_version": pa.array(np.full(assigned.size, experiment.version, np.int64)),
                "occurred_at": instants(at),
                "ingested_at": instants(arrivals(spec, random, at)),
            }
        )
    }
