"""An independent model of the rules, event by event and without SQL, agrees with the marts."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from segue.settings import PROJECT_ROOT, Settings
from tests.dbt.compiled_project import CompiledProject, Execution, compile_project
from tests.dbt.reference.company import Catalogue, Company, ProviderFee, VatRate
from tests.dbt.reference.comparison import (
    Built,
    aggregate_disagreements,
    build_companies,
    described,
    disagreements,
    smallest_failing,
)
from tests.dbt.reference.histories import WINDOW, catalogue, generated

EXAMPLES = int(os.environ.get("SEGUE_EXAMPLES", "2500"))
"""Random companies; the time of the tests grows with it."""

SEED = int(os.environ.get("SEGUE_EXAMPLES_SEED", "1"))

SHOWN = 3
"""Disagreements of different companies that are made small and printed."""


def _seed(name: str) -> list[dict[str, str]]:
    with Path(PROJECT_ROOT / "dbt/seeds" / name).open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def shared_catalogue() -> Catalogue:
    fees = tuple(
        ProviderFee(
            row["provider"],
            date.fromisoformat(row["valid_from_date"]),
            int(row["from_tenure_days"]),
            int(row["fee_basis_points"]),
        )
        for row in _seed("provider_fees.csv")
    )
    vat = tuple(
        VatRate(row["market"], date.fromisoformat(row["valid_from_date"]), int(row["vat_basis_points"]))
        for row in _seed("vat_rates.csv")
    )
    return catalogue(fees, vat)


@pytest.fixture(scope="module")
def project(world: Callable[..., Settings]) -> CompiledProject:
    settings = world("reference", history_start_date=WINDOW.history_start)
    return compile_project(settings, WINDOW.start, WINDOW.end, WINDOW.as_of)


Build = Callable[[Sequence[Company]], Built]


@pytest.fixture(scope="module")
def build(project: CompiledProject, shared_catalogue: Catalogue) -> Build:
    """Build the marts of some companies in fresh datasets, which are gone afterwards."""
    numbers = count()

    def run(companies: Sequence[Company]) -> Built:
        execution = Execution(project.settings, f"n{next(numbers)}")
        try:
            return build_companies(execution, project, companies, shared_catalogue, WINDOW)
        finally:
            execution.drop()

    return run


@pytest.fixture(scope="module")
def built(build: Build) -> Built:
    """Thousands of random companies side by side in one warehouse."""
    return build(generated(EXAMPLES, SEED))


def test_the_marts_are_those_of_the_reference(
    built: Built, build: Build, shared_catalogue: Catalogue
) -> None:
    found = disagreements(built, shared_catalogue, WINDOW)

    def fails(companies: Sequence[Company]) -> list[bool]:
        failed = disagreements(build(companies), shared_catalogue, WINDOW)
        return [number in failed for number in range(len(companies))]

    reports = []
    for number in sorted(found, key=lambda n: len(found[n]))[:SHOWN]:
        company = smallest_failing(built.companies[number], fails)
        differs = disagreements(build([company]), shared_catalogue, WINDOW)
        reports.append(f"{described(company)}\n{differs[0]}")
    assert not found, f"{len(found)} of {len(built.companies)} companies differ\n\n" + "\n\n".join(reports)


def test_the_aggregates_are_those_of_the_reference(built: Built, shared_catalogue: Catalogue) -> None:
    differs = aggregate_disagreements(built, shared_catalogue, WINDOW)
    assert not differs, differs[:4000]
