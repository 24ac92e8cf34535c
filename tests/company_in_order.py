"""A small generated company, built day after day as the scheduler would on a quiet morning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

import pytest

from local.company import CompanySpec, generate
from runs.steps import STEPS, asked
from segue.settings import Settings
from tests.marts import Fingerprints, fingerprints

DAY = timedelta(days=1)
LAST_DAY = datetime.now(UTC).date() - DAY
HISTORY_END = LAST_DAY - 3 * DAY
"""Up to here the days are built as one range; the last three one by one."""
SINGLE_DAYS = tuple(HISTORY_END + DAY * n for n in (1, 2, 3))
SPEC = CompanySpec(accounts=400, days=21, seed=7, end_date=LAST_DAY)


@dataclass
class CompanyInOrder:
    """The company's project; ``after`` holds all that was published when a day's first run had ended."""

    settings: Settings
    after: dict[date, Fingerprints] = field(default_factory=dict)


@pytest.fixture(scope="session")
def company_in_order(
    dbt_world: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> CompanyInOrder:
    """Built without Airflow and without the gate; no test may change it."""
    settings = dbt_world("in-order")
    landing = Path(urlparse(settings.landing_files_root).path)
    generate(SPEC, tmp_path_factory.mktemp("company-in-order"), landing=landing)
    built = CompanyInOrder(settings)
    for first, last in [(SPEC.first_day, HISTORY_END), *((day, day) for day in SINGLE_DAYS)]:
        window = asked(settings, first, last)
        for step in STEPS:
            if step.name != "validate":
                window = step.perform(settings, window).window
        built.after[last] = fingerprints(settings)
    return built
