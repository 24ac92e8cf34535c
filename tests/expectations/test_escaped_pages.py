"""What a page of results shows of the data is text, whatever somebody has brought into a feed."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer import ValidationResultsPageRenderer

from expectations.data_docs import gx_context
from expectations.escaped_pages import EscapedPageView

BROUGHT = "<img src=x onerror=alert(1)>"


def results(kind: str, found: dict[str, Any], **arguments: Any) -> ExpectationSuiteValidationResult:
    asked = ExpectationConfiguration(type=kind, kwargs={"column": "market", "batch_id": "b", **arguments})
    result = ExpectationValidationResult(success=False, expectation_config=asked, result=found)
    return ExpectationSuiteValidationResult(
        success=False,
        suite_name="dim_account",
        results=[result],
        statistics={
            "evaluated_expectations": 1,
            "successful_expectations": 0,
            "unsuccessful_expectations": 1,
            "success_percent": 0.0,
        },
        suite_parameters={},
        meta={"run_id": {"run_name": "r", "run_time": "2026-03-02T00:00:00+00:00"}},
    )


def page(kind: str, found: dict[str, Any], **arguments: Any) -> str:
    rendered = ValidationResultsPageRenderer(run_info_at_end=True).render(results(kind, found, **arguments))
    return str(EscapedPageView().render(rendered))


def test_the_site_of_a_run_is_made_by_it(tmp_path: Path) -> None:
    context, run = (
        gx_context(tmp_path),
        RunIdentifier(run_name="r", run_time=datetime(2026, 3, 2, tzinfo=UTC)),
    )
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier("dim_account"), run, "b")
    found = results("expect_column_min_to_be_between", {"observed_value": BROUGHT}, min_value=1)
    context.validation_results_store.set(key, found)

    context.build_data_docs(resource_identifiers=[key])

    [made] = (tmp_path / "data_docs" / "validations").rglob("*.html")
    assert (BROUGHT in made.read_text(), "&lt;img" in made.read_text()) == (False, True)


def test_a_sampled_value_is_text() -> None:
    counts = {
        "element_count": 9, "unexpected_count": 2, "unexpected_percent": 22.2, "missing_count": 0,
        "partial_unexpected_list": [BROUGHT], "partial_unexpected_counts": [{"value": BROUGHT, "count": 2}],
    }  # fmt: skip
    found = page("expect_column_values_to_be_in_set", counts, value_set=["SE"])

    assert (BROUGHT in found, "&lt;img src=x onerror=alert(1)&gt;" in found) == (False, True)


def test_an_observed_value_is_text_and_its_page_still_a_page() -> None:
    found = page("expect_column_min_to_be_between", {"observed_value": BROUGHT}, min_value=1)

    assert (BROUGHT in found, "&lt;img src=x onerror=alert(1)&gt;" in found) == (False, True)
    assert "<table" in found
    assert "&lt;span" not in found
    assert "&amp;lt;" not in found
